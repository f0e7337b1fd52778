#include "node/view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "registry/runs.h"

static void tell(struct view *v, struct view_event e)
{
	v->fn(&e, v->arg);
}

void view_release(struct view *v)
{
	for (size_t i = 0; i < v->nnodes; i++)
		free(v->nodes[i].url);
	free(v->nodes);
	free(v->trainers);
	free(v->runs);
}

/* --- nodes ---------------------------------------------------------------- */

struct view_node *view_node(const struct view *v, int64_t id)
{
	for (size_t i = 0; i < v->nnodes; i++)
		if (v->nodes[i].id == id)
			return &v->nodes[i];
	return NULL;
}

static void tell_node(struct view *v, const char *event,
		      const struct view_node *n)
{
	tell(v, (struct view_event){.what = "node",
				    .event = event,
				    .node = n->id,
				    .role = n->role,
				    .url = n->url,
				    .accuracy = NAN});
}

/* What was told of a node; role may be NULL: that is not known. */
struct facts {
	int64_t id;
	const char *url, *role;
};

static struct view_node *add_node(struct view *v, const struct facts *f,
				  const char *event)
{
	size_t at = 0;

	while (at < v->nnodes && v->nodes[at].id < f->id)
		at++;
	v->nodes = realloc(v->nodes, (v->nnodes + 1) * sizeof(*v->nodes));
	if (!v->nodes)
		abort();
	memmove(&v->nodes[at + 1], &v->nodes[at],
		(v->nnodes - at) * sizeof(*v->nodes));
	v->nnodes++;
	v->nodes[at] = (struct view_node){.id = f->id, .url = mem_str(f->url)};
	str_copy(v->nodes[at].role, sizeof(v->nodes[at].role), f->role);
	tell_node(v, event, &v->nodes[at]);
	return &v->nodes[at];
}

static void remove_node(struct view *v, struct view_node *n)
{
	size_t at = (size_t)(n - v->nodes);

	tell_node(v, "left", n);
	free(n->url);
	memmove(n, n + 1, (v->nnodes - at - 1) * sizeof(*n));
	v->nnodes--;
}

static void change_node(struct view *v, struct view_node *n,
			const struct facts *f)
{
	bool changed = false;

	if (*f->url && strcmp(n->url, f->url) != 0) {
		free(n->url);
		n->url = mem_str(f->url);
		changed = true;
	}
	if (f->role && *f->role && strcmp(n->role, f->role) != 0) {
		changed = changed || *n->role; /* to learn it is no change */
		str_copy(n->role, sizeof(n->role), f->role);
	}
	if (changed)
		tell_node(v, "changed", n);
}

static void set_expired(struct view *v, struct view_node *n, bool expired)
{
	if (n->expired == expired)
		return;
	n->expired = expired;
	tell_node(v, expired ? "expired" : "up", n);
}

void view_gateway(struct view *v, const NodeEvent *e)
{
	const NodeInfo *info = e->node;
	struct view_node *n;
	struct facts f;

	if (!info)
		return;
	if (!strcmp(e->kind, "leader")) {
		view_leader(v, info->node_id, e->leader_term);
		return;
	}
	f = (struct facts){info->node_id, info->url, info->role};
	n = view_node(v, f.id);
	if (!strcmp(e->kind, "left")) {
		if (n)
			remove_node(v, n);
		return;
	}
	if (n)
		change_node(v, n, &f);
	else if (!strcmp(e->kind, "present") || !strcmp(e->kind, "joined"))
		n = add_node(v, &f, e->kind);
	if (n)
		set_expired(v, n, strcmp(info->status, "dead") == 0);
}

static void see_member(struct view *v, const Gfl__V1__Member *m)
{
	bool down = m->liveness == GFL__V1__LIVENESS__DOWN;
	struct facts f = {m->id, m->url, NULL};
	struct view_node *n = view_node(v, m->id);

	if (n)
		change_node(v, n, &f);
	else
		n = add_node(v, &f, v->begun ? "joined" : "present");
	n->member = true;
	if (n->down != down) {
		n->down = down;
		tell_node(v, down ? "down" : "up", n);
	}
}

/* Whoever was a member and is none now has left; whom only a gateway knows may
 * be about to join. */
static void see_members(struct view *v, const struct state *s)
{
	for (size_t i = 0; i < s->nmembers; i++)
		see_member(v, s->members[i]);
	for (size_t i = v->nnodes; i-- > 0;)
		if (v->nodes[i].member && !state_member(s, v->nodes[i].id))
			remove_node(v, &v->nodes[i]);
}

/* Losing a leader raises no term: a node that is cut off may have a high one
 * that nobody else will ever reach. */
void view_leader(struct view *v, int64_t id, int64_t term)
{
	bool news = term > v->term ? id || v->leader
				   : term == v->term && id != v->leader;

	if (!news)
		return;
	if (!id)
		term = v->term;
	v->leader = id;
	v->term = term;
	tell(v, (struct view_event){.what = "leader",
				    .event = id ? "elected" : "lost",
				    .node = id,
				    .term = term,
				    .accuracy = NAN});
}

/* --- trainers ------------------------------------------------------------- */

static void tell_trainer(struct view *v, const char *event,
			 const struct view_trainer *t)
{
	tell(v, (struct view_event){.what = "trainer",
				    .event = event,
				    .trainer = t->id,
				    .node = t->node,
				    .accuracy = NAN});
}

static const struct view_trainer *find_trainer(const struct view_trainer *all,
					       size_t n, int64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (all[i].id == id)
			return &all[i];
	return NULL;
}

static void compare_trainer(struct view *v, const struct view_trainer *old,
			    const struct view_trainer *now)
{
	if (!old)
		tell_trainer(v, v->begun ? "attached" : "present", now);
	if (old && old->node != now->node)
		tell_trainer(v, "moved", now);
	if ((old && old->down) != now->down)
		tell_trainer(v, now->down ? "down" : "up", now);
}

static void see_trainers(struct view *v, const struct state *s)
{
	struct view_trainer *old = v->trainers;
	size_t nold = v->ntrainers;

	v->ntrainers = s->ntrainers;
	v->trainers = mem_zero(s->ntrainers, sizeof(*v->trainers));
	for (size_t i = 0; i < s->ntrainers; i++) {
		const Gfl__V1__Trainer *t = s->trainers[i];

		v->trainers[i] = (struct view_trainer){
			t->id, t->node_id,
			t->liveness == GFL__V1__LIVENESS__DOWN};
		compare_trainer(v, find_trainer(old, nold, t->id),
				&v->trainers[i]);
	}
	for (size_t i = 0; i < nold; i++)
		if (!state_trainer(s, old[i].id))
			tell_trainer(v, "detached", &old[i]);
	free(old);
}

size_t view_attached(const struct view *v, int64_t node)
{
	size_t n = 0;

	for (size_t i = 0; i < v->ntrainers; i++)
		n += v->trainers[i].node == node && !v->trainers[i].down;
	return n;
}

/* --- runs ----------------------------------------------------------------- */

static void tell_run(struct view *v, const char *event,
		     const struct view_run *r, const char *reason)
{
	tell(v, (struct view_event){.what = "run",
				    .event = event,
				    .run = r->id,
				    .round = r->round,
				    .rounds = r->rounds,
				    .trainers = r->trainers,
				    .bytes_sent = r->bytes_sent,
				    .accuracy = r->accuracy,
				    .text = reason});
}

static struct view_run run_of(const Gfl__V1__Run *run)
{
	struct runs_progress p = runs_progress_of(run);
	struct view_run r = {
		.id = run->id,
		.round = p.round,
		.rounds = run->spec ? run->spec->rounds : 0,
		.trainers = p.trainers,
		.bytes_sent = p.bytes_sent,
		.accuracy = p.accuracy,
	};

	str_copy(r.state, sizeof(r.state), run->state);
	return r;
}

static bool has_progressed(const struct view_run *old,
			   const struct view_run *now)
{
	return old->round != now->round || old->bytes_sent != now->bytes_sent ||
	       (!isnan(now->accuracy) && !(old->accuracy == now->accuracy));
}

/* A run that had ended before we looked is history. */
static void compare_run(struct view *v, const struct view_run *old,
			const struct view_run *now, const Gfl__V1__Run *run)
{
	bool running = !strcmp(now->state, "running");

	if (!old && !v->begun && state_run_over(run))
		return;
	if (!old || strcmp(old->state, now->state) != 0)
		tell_run(v, running ? "started" : now->state, now,
			 *run->reason ? run->reason : NULL);
	else if (running && has_progressed(old, now))
		tell_run(v, "progress", now, NULL);
}

static void see_runs(struct view *v, const struct state *s)
{
	struct view_run *old = v->runs;
	size_t nold = v->nruns, k = 0;

	v->nruns = s->nruns;
	v->runs = mem_zero(s->nruns, sizeof(*v->runs));
	for (size_t i = 0; i < s->nruns; i++) {
		v->runs[i] = run_of(s->runs[i]);
		while (k < nold && old[k].id < v->runs[i].id)
			k++;
		compare_run(v,
			    k < nold && old[k].id == v->runs[i].id ? &old[k]
								   : NULL,
			    &v->runs[i], s->runs[i]);
	}
	free(old);
}

const struct view_run *view_last_run(const struct view *v)
{
	for (size_t i = 0; i < v->nruns; i++)
		if (!strcmp(v->runs[i].state, "running"))
			return &v->runs[i];
	return v->nruns ? &v->runs[v->nruns - 1] : NULL;
}

void view_state(struct view *v, const struct state *s, unsigned changed)
{
	if (changed & STATE_MEMBER)
		see_members(v, s);
	if (changed & STATE_TRAINER)
		see_trainers(v, s);
	if (changed & (STATE_RUN | STATE_TRAINER))
		see_runs(v, s);
	v->begun = true;
}
