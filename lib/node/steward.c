/* The leader keeps the cluster: who is up, who votes, who is gone. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "node/hierarchy.h"
#include "node/node_impl.h"
#include "wire/rpc.h"
#include "wire/transfer.h"

#define ACTION(name) GFL__V1__MEMBERSHIP__ACTION__##name

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

/* An entry about one member, valid for a call. */
struct note {
	Gfl__V1__Member member;
	Gfl__V1__Membership change;
	Gfl__V1__Entry entry;
};

static const Gfl__V1__Entry *note(struct note *out, int action, int64_t id)
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
	struct note e;
	struct err err;

	if (node_propose(n, note(&e, action, id), noted, n, &err))
		return;
	n->steward->busy = true;
	log_info(what, "node=%" PRId64, id);
}

static void change(struct node *n, int64_t id, enum raft_member_role role,
		   int action, const char *what)
{
	struct note e;
	struct err err;

	if (node_change(n, id, role, note(&e, action, id), noted, n, &err)) {
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
		change(n, id, RAFT_NONE, ACTION(REMOVE), "superseded");
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
			mark(n, m->id, ACTION(MARK_DOWN), "node down");
		}
		return;
	}
	if (m->liveness && silent_ms < n->cfg.fail_after_ms / 2 &&
	    answers(n, m->id))
		mark(n, m->id, ACTION(MARK_UP), "node up");
	else if (m->liveness && silent_ms >= n->cfg.remove_after_ms &&
		 suspects_gone(n, m->id))
		change(n, m->id, RAFT_NONE, ACTION(REMOVE), "remove");
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

/* ---- Join and Leave ---- */

static void reply_joined(struct ask *a, const struct driver_result *result)
{
	const struct state *s = a->n->state;
	Gfl__V1__JoinResponse out = GFL__V1__JOIN_RESPONSE__INIT;

	out.node_id = result->id;
	out.cluster_id = a->n->meta.cluster_id;
	out.n_members = s->nmembers;
	out.members = s->members;
	out.index = s->applied;
	out.term = s->term;
	ask_answer(a, &out.base);
}

static void join_again(struct ask *a, const struct driver_result *result)
{
	(void)result;
	ask_begin(a);
}

static Gfl__V1__Member *by_instance(const struct state *s, const char *instance)
{
	for (size_t i = 0; i < s->nmembers; i++)
		if (!strcmp(s->members[i]->instance_id, instance))
			return s->members[i];
	return NULL;
}

/* No cluster is above itself, not even by way of another. */
static int check_lower(const struct node *n, const char *lower, struct err *err)
{
	if (!*lower)
		return 0;
	if (!str_is_id(lower))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a cluster id is 32 hex digits, not \"%.40s\"",
			       lower);
	if (strcmp(lower, n->meta.cluster_id) != 0 &&
	    strcmp(lower, cluster_upper_id(n->cluster)) != 0)
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION,
		       "cluster %s is not below cluster %s: it is that, or "
		       "above it",
		       lower, n->meta.cluster_id);
}

static int check_join(const struct node *n, const Gfl__V1__JoinRequest *in,
		      struct err *err)
{
	if (*in->cluster_id && strcmp(in->cluster_id, n->meta.cluster_id))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "node %" PRId64 " is of cluster %s, not of %s",
			       n->meta.node_id, n->meta.cluster_id,
			       in->cluster_id);
	if (!in->member || !*in->member->instance_id ||
	    strlen(in->member->instance_id) > 64 || in->member->id < 0 ||
	    in->member->id > STATE_ID_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a member has an id, a URL and an instance");
	if (check_lower(n, in->member->lower_id, err))
		return (int)err->code;
	if (n->state->nmembers >= STATE_MEMBERS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "the cluster has %d members", STATE_MEMBERS_MAX);
	return transfer_check_url(in->member->url, err);
}

/* A member that is known to us by its instance: it may have moved. */
static int welcome_back(struct ask *a, const Gfl__V1__Member *old,
			const Gfl__V1__Member *now, struct err *err)
{
	struct driver_result same = {.id = old->id};
	struct note e;

	if (!strcmp(old->url, now->url) && !old->liveness) {
		reply_joined(a, &same);
		return 0;
	}
	note(&e, ACTION(ADD), old->id);
	e.member.url = now->url;
	e.member.instance_id = now->instance_id;
	return ask_propose(a, &e.entry, reply_joined, err);
}

static int admit(struct ask *a, const Gfl__V1__Member *who, int64_t id,
		 struct err *err)
{
	struct note e;

	note(&e, ACTION(ADD), id);
	e.member.url = who->url;
	e.member.instance_id = who->instance_id;
	e.member.lower_id = who->lower_id;
	e.member.lower_term = who->lower_term;
	e.member.role = GFL__V1__ROLE__LEARNER;
	log_info("join", "node=%" PRId64 " url=%s", id, who->url);
	return ask_change(a, id, RAFT_LEARNER, &e.entry, reply_joined, err);
}

/* Certain by now that we lead, and so that we know all members. */
static void reply_stranger(struct ask *a, const struct driver_result *result)
{
	const Gfl__V1__JoinRequest *in = (const Gfl__V1__JoinRequest *)a->in;
	const Gfl__V1__Member *m =
		by_instance(a->n->state, in->member->instance_id);
	struct driver_result same = {.id = m ? m->id : 0};
	struct err err;

	(void)result;
	if (m) {
		reply_joined(a, &same);
		return;
	}
	err_set(&err, ERR_NOT_FOUND,
		"node %" PRId64 " is not a member any more", in->member->id);
	ask_fail(a, &err);
}

int steward_join(struct ask *a, struct err *err)
{
	const Gfl__V1__JoinRequest *in = (const Gfl__V1__JoinRequest *)a->in;
	struct node *n = a->n;
	const Gfl__V1__Member *who = in->member, *old, *holder;
	struct note e;
	int rc = check_join(n, in, err);

	if (rc)
		return rc;
	old = by_instance(n->state, who->instance_id);
	if (old)
		return welcome_back(a, old, who, err);
	if (who->role) /* it was a member, it says */
		return ask_read(a, reply_stranger, err);
	holder = state_member(n->state, who->id);
	if (holder && !holder->liveness && strcmp(holder->url, who->url) != 0)
		return err_set(err, ERR_ALREADY_EXISTS,
			       "node %" PRId64 " is alive at %s", who->id,
			       holder->url);
	if (holder) /* its log may be gone with it: it is another server */
		return ask_change(a, who->id, RAFT_NONE,
				  note(&e, ACTION(REMOVE), who->id), join_again,
				  err);
	return admit(a, who, who->id ? who->id : state_next_id(n->state), err);
}

static void reply_left(struct ask *a, const struct driver_result *result)
{
	Gfl__V1__LeaveResponse out = GFL__V1__LEAVE_RESPONSE__INIT;

	out.index = result->index;
	ask_answer(a, &out.base);
}

int steward_leave(struct ask *a, struct err *err)
{
	const Gfl__V1__LeaveRequest *in = (const Gfl__V1__LeaveRequest *)a->in;
	struct node *n = a->n;
	const Gfl__V1__Member *m = state_member(n->state, in->node_id);
	struct driver_result none = {0};
	struct note e;

	if (m && *in->instance_id && strcmp(m->instance_id, in->instance_id))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "node %" PRId64 " is another one by now",
			       in->node_id);
	if (!m) {
		reply_left(a, &none);
		return 0;
	}
	if (in->node_id == n->meta.node_id)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "node %" PRId64 " leads: transfer first",
			       in->node_id);
	log_info("leave", "node=%" PRId64, in->node_id);
	return ask_change(a, in->node_id, RAFT_NONE,
			  note(&e, ACTION(REMOVE), in->node_id), reply_left,
			  err);
}
