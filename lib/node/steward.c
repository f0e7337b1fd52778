/* The leader keeps the cluster: who is up, who votes, who is gone. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "node/hierarchy.h"
#include "node/steward_impl.h"
#include "wire/rpc.h"

enum {
	PAUSE_MS = 1000, /* between two looks: we were stopped or starved */
};

/* A trainer that is down: since when, as far as this leader knows. */
struct lost {
	int64_t id, attached_index, since_ms;
};

struct steward {
	struct lost *lost;
	size_t nlost, lost_cap;
	bool busy;       /* a proposal of ours is under way */
	int64_t lead_ms; /* leader since; 0: not leading */
	int64_t look_ms; /* when it last looked */
};

void steward_open(struct node *n)
{
	n->steward = mem_zero(1, sizeof(*n->steward));
}

void steward_close(struct node *n)
{
	if (n->steward)
		free(n->steward->lost);
	free(n->steward);
	n->steward = NULL;
}

const Gfl__V1__Entry *steward_note(struct steward_note *out, int action,
				   int64_t id)
{
	gfl__v1__member__init(&out->member);
	gfl__v1__membership__init(&out->change);
	gfl__v1__entry__init(&out->entry);
	out->member.id = id;
	out->change.action = action;
	out->change.member = &out->member;
	out->entry.kind_case = GFL__V1__ENTRY__KIND_MEMBERSHIP;
	out->entry.membership = &out->change;
	return &out->entry;
}

static void noted(const struct err *err, const struct driver_result *result,
		  void *arg)
{
	struct node *n = arg;

	(void)result;
	if (n->steward)
		n->steward->busy = false;
	if (err)
		log_debug("steward", "error=%s", err->msg);
	node_settle(n);
}

static void mark(struct node *n, int64_t id, int action, const char *what)
{
	struct steward_note e;
	struct err err;

	if (node_propose(n, steward_note(&e, action, id), noted, n, &err))
		return;
	n->steward->busy = true;
	log_info(what, "node=%" PRId64, id);
}

static void change(struct node *n, int64_t id, enum raft_member_role role,
		   int action, const char *what)
{
	struct steward_note e;
	struct err err;

	if (node_change(n, id, role, steward_note(&e, action, id), noted, n,
			&err)) {
		log_debug(what, "node=%" PRId64 " error=%s", id, err.msg);
		return;
	}
	n->steward->busy = true;
	log_info(what, "node=%" PRId64, id);
}

/* A new leader's clocks start anew. */
int64_t steward_silence_ms(const struct node *n, int64_t id)
{
	int64_t silent_ms = clock_ms() - n->steward->lead_ms, of_peer_ms;
	struct raft_peer p;
	struct err err;

	if (id == n->meta.node_id)
		return 0;
	if (raft_peer(driver_raft(n->driver), id, &p, &err))
		return silent_ms;
	of_peer_ms = driver_now_ms(n->driver) - p.heard_ms;
	return of_peer_ms < silent_ms ? of_peer_ms : silent_ms;
}

/* Another speaks for its cluster by now. If we are the one, we hand over. */
static void let_go(struct node *n, int64_t id)
{
	struct raft_status s;
	struct err err;

	if (id != n->meta.node_id) {
		change(n, id, RAFT_NONE, STEWARD_ACTION(REMOVE), "superseded");
		return;
	}
	raft_status(driver_raft(n->driver), &s);
	if (!s.transfer_to && driver_transfer(n->driver, 0, &err))
		log_debug("hand_over", "error=%s", err.msg);
}

/* It has answered this leader, whose clocks begin with it. */
static bool answers(const struct node *n, int64_t id)
{
	struct raft_peer p;
	struct err err;

	return !raft_peer(driver_raft(n->driver), id, &p, &err) && !p.probing;
}

/* At most one step about m. */
static void look_at(struct node *n, const Gfl__V1__Member *m)
{
	int64_t silent_ms = steward_silence_ms(n, m->id);

	if (silent_ms < n->cfg.fail_after_ms)
		suspects_clear(n, m->id);
	if (hierarchy_superseded(n->state, m)) {
		let_go(n, m->id);
		return;
	}
	if (!m->liveness && silent_ms >= n->cfg.fail_after_ms) {
		if (suspects_gone(n, m->id)) {
			suspects_clear(n, m->id); /* ask anew to remove it */
			mark(n, m->id, STEWARD_ACTION(MARK_DOWN), "node down");
		}
		return;
	}
	if (m->liveness && silent_ms < n->cfg.fail_after_ms / 2 &&
	    answers(n, m->id))
		mark(n, m->id, STEWARD_ACTION(MARK_UP), "node up");
	else if (m->liveness && silent_ms >= n->cfg.remove_after_ms &&
		 suspects_gone(n, m->id))
		change(n, m->id, RAFT_NONE, STEWARD_ACTION(REMOVE), "remove");
}

static void log_roles(const struct node *n, const struct raft_member *to,
		      size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const Gfl__V1__Member *m = state_member(n->state, to[i].id);

		log_info(to[i].role == RAFT_VOTER          ? "promote"
			 : m->role == GFL__V1__ROLE__VOTER ? "demote"
							   : "standby",
			 "node=%" PRId64, to[i].id);
	}
}

/* All of them in one step. */
static void set_voters(struct node *n)
{
	struct raft_member *to;
	size_t count = voters_due(n, &to);
	struct err err;

	if (!count)
		return;
	if (node_change_many(n, to, count, noted, n, &err)) {
		log_debug("roles", "error=%s", err.msg);
	} else {
		n->steward->busy = true;
		log_roles(n, to, count);
	}
	free(to);
}

static bool still_lost(const struct node *n, const struct lost *l)
{
	const Gfl__V1__Trainer *t = state_trainer(n->state, l->id);

	return t && t->liveness && t->attached_index == l->attached_index;
}

static struct lost *find_lost(const struct steward *w, int64_t id)
{
	for (size_t i = 0; i < w->nlost; i++)
		if (w->lost[i].id == id)
			return &w->lost[i];
	return NULL;
}

/* Start the clock of who went down, forget who came back. */
static void count_lost(struct node *n)
{
	struct steward *w = n->steward;
	size_t kept = 0;

	for (size_t i = 0; i < w->nlost; i++)
		if (still_lost(n, &w->lost[i]))
			w->lost[kept++] = w->lost[i];
	w->nlost = kept;
	for (size_t i = 0; i < n->state->ntrainers; i++) {
		const Gfl__V1__Trainer *t = n->state->trainers[i];

		if (!t->liveness || find_lost(w, t->id))
			continue;
		w->lost = mem_grow(w->lost, &w->lost_cap, w->nlost + 1,
				   sizeof(*w->lost));
		w->lost[w->nlost++] =
			(struct lost){t->id, t->attached_index, clock_ms()};
	}
}

/* A trainer that does not come back gives its place and its number free. */
static void detach_lost(struct node *n)
{
	struct steward *w = n->steward;
	Gfl__V1__TrainerChange c = GFL__V1__TRAINER_CHANGE__INIT;
	Gfl__V1__Trainer t = GFL__V1__TRAINER__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	struct err err;

	count_lost(n);
	c.action = GFL__V1__TRAINER_CHANGE__ACTION__DETACH;
	c.trainer = &t;
	c.reason = "down for too long";
	e.kind_case = GFL__V1__ENTRY__KIND_TRAINER;
	e.trainer = &c;
	for (size_t i = 0; i < w->nlost && !w->busy; i++) {
		if (clock_ms() - w->lost[i].since_ms < n->cfg.remove_after_ms)
			continue;
		t.id = w->lost[i].id;
		t.attached_index = w->lost[i].attached_index;
		log_info("detach", "trainer=%" PRId64, t.id);
		if (node_propose(n, &e, noted, n, &err))
			log_debug("detach", "error=%s", err.msg);
		else
			w->busy = true;
	}
}

void steward_look(struct node *n)
{
	struct steward *w = n->steward;

	if (!n->leads || !n->driver || !driver_leads(n->driver)) {
		w->lead_ms = 0;
		w->nlost = 0;
		suspects_clear(n, 0);
		return;
	}
	if (!w->lead_ms || clock_ms() - w->look_ms > PAUSE_MS)
		w->lead_ms = clock_ms();
	w->look_ms = clock_ms();
	for (size_t i = 0; i < n->state->nmembers && !w->busy; i++)
		look_at(n, n->state->members[i]);
	if (!w->busy)
		set_voters(n);
	detach_lost(n);
}
