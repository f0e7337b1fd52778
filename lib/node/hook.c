/* Events that a command or a function is told: who is there, who was lost, who
 * leads. What is told is found by comparing the state with what was told. Of
 * each event one command runs at a time, in order. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "node/node_impl.h"

enum { QUEUE_MAX = 1024, GRACE_MS = 2000 };

struct event {
	struct node_event e;
	char *url; /* which e borrows */
	STAILQ_ENTRY(event) entry;
};

/* A hook, and what it has yet to be told. */
struct teller {
	struct node *n;
	const struct node_hook *h;
	enum node_event_kind kind; /* of h */
	struct process *process;
	STAILQ_HEAD(, event) queue; /* the first is being told */
	size_t queued;
};

struct peer_told {
	int64_t id;
	char *url;
};

struct hooks {
	struct peer_told *told; /* as there, by ascending id */
	size_t ntold, cap;
	int64_t leader; /* told last */
	bool stopped, paused;
	size_t n;
	struct teller tellers[];
};

void hook_open(struct node *n)
{
	size_t count = n->cfg.nhooks;
	struct hooks *h =
		mem_zero(1, sizeof(*h) + count * sizeof(h->tellers[0]));

	h->n = count;
	for (size_t i = 0; i < count; i++) {
		h->tellers[i].n = n;
		h->tellers[i].h = &n->cfg.hooks[i];
		h->tellers[i].kind = n->cfg.hooks[i].kind;
		STAILQ_INIT(&h->tellers[i].queue);
	}
	n->hooks = h;
}

/* ---- telling ---- */

static void run_first(struct teller *t);

static void pop(struct teller *t)
{
	struct event *e = STAILQ_FIRST(&t->queue);

	STAILQ_REMOVE_HEAD(&t->queue, entry);
	t->queued--;
	free(e->url);
	free(e);
}

static void done(struct teller *t, const struct err *err)
{
	if (err)
		log_warn("hook_failed", "of=%s error=%s", hook_name(t->kind),
			 err->msg);
	pop(t);
}

static void ended(const struct err *err, const char *out, size_t len, void *arg)
{
	struct teller *t = arg;

	(void)out;
	(void)len;
	t->process = NULL;
	done(t, t->n->hooks->stopped ? NULL : err);
	run_first(t);
	node_check_idle(t->n);
}

static int run(struct teller *t, const struct node_event *e, struct err *err)
{
	bool leader = e->kind == NODE_LEADER;
	struct facts facts = {0};
	const struct process_opts opts = {
		.facts = &facts,
		.timeout_ms = t->n->cfg.handler_ms,
		.grace_ms = GRACE_MS,
		.out_max = SIZE_MAX >> 1,
	};
	int rc;

	facts_add(&facts, "GFL_EVENT", "%s", hook_name(e->kind));
	facts_add(&facts, leader ? "GFL_LEADER_ID" : "GFL_PEER_ID", "%" PRId64,
		  e->id);
	facts_add(&facts, leader ? "GFL_LEADER_URL" : "GFL_PEER_URL", "%s",
		  e->url);
	if (leader)
		facts_add(&facts, "GFL_TERM", "%" PRId64, e->term);
	node_facts(t->n, &facts);
	rc = process_start(&t->process, t->n->loop, t->h->command, &opts, ended,
			   t, err);
	facts_release(&facts);
	return rc;
}

static void run_first(struct teller *t)
{
	struct event *e;
	struct err err;

	while (!t->process && !t->n->hooks->stopped && !t->n->hooks->paused &&
	       (e = STAILQ_FIRST(&t->queue)))
		if (run(t, &e->e, &err))
			done(t, &err);
}

static void queue(struct teller *t, const struct node_event *what)
{
	struct event *e;

	if (t->queued == QUEUE_MAX) {
		log_warn("hook_behind", "of=%s node=%" PRId64,
			 hook_name(t->kind), what->id);
		return;
	}
	e = mem_zero(1, sizeof(*e));
	e->e = *what;
	e->e.url = e->url = mem_str(what->url);
	STAILQ_INSERT_TAIL(&t->queue, e, entry);
	t->queued++;
	run_first(t);
}

static void tell(struct node *n, enum node_event_kind kind, int64_t id,
		 const char *url)
{
	const struct node_event e = {kind, id, url ? url : "",
				     kind == NODE_LEADER ? n->term : 0};

	for (size_t i = 0; i < n->hooks->n; i++) {
		struct teller *t = &n->hooks->tellers[i];

		if (t->kind != kind)
			continue;
		if (t->h->command)
			queue(t, &e);
		else
			t->h->fn(&e, n->cfg.arg);
	}
}

/* ---- finding ---- */

static bool is_there(const struct node *n, const Gfl__V1__Member *m)
{
	return m && m->id != n->meta.node_id && !m->liveness;
}

static void tell_lost(struct node *n)
{
	struct hooks *h = n->hooks;
	size_t kept = 0;

	for (size_t i = 0; i < h->ntold; i++) {
		struct peer_told was = h->told[i];

		if (is_there(n, state_member(n->state, was.id))) {
			h->told[kept++] = was;
			continue;
		}
		tell(n, NODE_LOST, was.id, was.url);
		free(was.url);
	}
	h->ntold = kept;
}

/* Both lists are by ascending id. */
static void tell_found(struct node *n)
{
	struct hooks *h = n->hooks;
	size_t at = 0;

	for (size_t i = 0; i < n->state->nmembers; i++) {
		const Gfl__V1__Member *m = n->state->members[i];

		while (at < h->ntold && h->told[at].id < m->id)
			at++;
		if (!is_there(n, m) ||
		    (at < h->ntold && h->told[at].id == m->id))
			continue;
		h->told = mem_grow(h->told, &h->cap, h->ntold + 1,
				   sizeof(*h->told));
		memmove(h->told + at + 1, h->told + at,
			(h->ntold - at) * sizeof(*h->told));
		h->told[at] = (struct peer_told){m->id, mem_str(m->url)};
		h->ntold++;
		tell(n, NODE_DISCOVERED, m->id, m->url);
	}
}

void hook_look(struct node *n)
{
	struct hooks *h = n->hooks;

	if (!h->n || h->stopped || !n->ready)
		return;
	tell_lost(n);
	tell_found(n);
	if (!n->leader || n->leader == h->leader)
		return;
	h->leader = n->leader;
	tell(n, NODE_LEADER, n->leader,
	     n->leader == n->meta.node_id ? node_url(n)
					  : node_url_of(n, n->leader));
}

/* ---- others instead ---- */

bool hook_pause(struct node *n)
{
	n->hooks->paused = true;
	return !hook_running(n);
}

/* What was not told yet is told to who is there for it now. */
static void hand_over(struct hooks *now, struct teller *old)
{
	struct teller *heir = NULL;

	for (size_t i = 0; i < now->n; i++)
		if (now->tellers[i].kind == old->kind &&
		    now->tellers[i].h->command)
			heir = &now->tellers[i];
	while (!heir && old->queued)
		pop(old);
	if (!heir)
		return;
	STAILQ_CONCAT(&heir->queue, &old->queue);
	heir->queued += old->queued;
	run_first(heir);
}

void hook_swap(struct node *n)
{
	struct hooks *old = n->hooks, *now;

	hook_open(n);
	now = n->hooks;
	now->told = old->told;
	now->ntold = old->ntold;
	now->cap = old->cap;
	now->leader = old->leader;
	now->stopped = old->stopped;
	for (size_t i = 0; i < old->n; i++)
		hand_over(now, &old->tellers[i]);
	free(old);
}

/* ---- the end ---- */

void hook_stop(struct node *n)
{
	n->hooks->stopped = true;
	for (size_t i = 0; i < n->hooks->n; i++)
		if (n->hooks->tellers[i].process)
			process_stop(n->hooks->tellers[i].process);
}

size_t hook_running(const struct node *n)
{
	size_t running = 0;

	for (size_t i = 0; i < n->hooks->n; i++)
		running += n->hooks->tellers[i].process != NULL;
	return running;
}

void hook_close(struct node *n)
{
	struct hooks *h = n->hooks;

	for (size_t i = 0; h && i < h->n; i++) {
		process_drop(h->tellers[i].process);
		while (h->tellers[i].queued)
			pop(&h->tellers[i]);
	}
	for (size_t i = 0; h && i < h->ntold; i++)
		free(h->told[i].url);
	free(h ? h->told : NULL);
	free(h);
	n->hooks = NULL;
}
