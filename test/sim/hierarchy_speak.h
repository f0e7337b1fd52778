/* hierarchy_speak.h - who leads below joins above and speaks, as lib/node's
 * cluster.h has it; who leads above lets the others in and go. What the states
 * and the rules of lib/node/hierarchy.h say is theirs. */
#ifndef HIERARCHY_SPEAK_H
#define HIERARCHY_SPEAK_H

#include "hierarchy_server.h"
#include "node/hierarchy.h"

enum {
	POLL_MS = 200,
	ASK_MS = 500,
	VOTERS_MAX = 5,
	BEHIND_MAX = 64,
	FAIL_MS = 5 * HEARTBEAT_MS,
};

#define ACTION(name) GFL__V1__MEMBERSHIP__ACTION__##name

/* ---- proposals above ---- */

static inline size_t pack(const Gfl__V1__Entry *e, uint8_t **bytes)
{
	*bytes = mem_zero(1, gfl__v1__entry__get_packed_size(e) + 1);
	return gfl__v1__entry__pack(e, *bytes);
}

struct note {
	Gfl__V1__Member member;
	Gfl__V1__Membership change;
	Gfl__V1__Entry entry;
};

static inline struct note *note(struct note *out, int action, int64_t id)
{
	gfl__v1__member__init(&out->member);
	gfl__v1__membership__init(&out->change);
	gfl__v1__entry__init(&out->entry);
	out->member.id = id;
	out->change.action = action;
	out->change.member = &out->member;
	out->entry.kind_case = GFL__V1__ENTRY__KIND_MEMBERSHIP;
	out->entry.membership = &out->change;
	return out;
}

/* True if it is under way; with a role, as a change of the configuration. */
static inline bool propose(struct world *w, struct server *s,
			   const Gfl__V1__Entry *entry, int64_t id, int role)
{
	struct raft_entry e = {.type = RAFT_NORMAL};
	int64_t index, term;
	uint8_t *bytes;
	struct err err;
	int rc;

	e.len = pack(entry, &bytes);
	e.data = bytes;
	if (role < 0)
		rc = raft_propose(s->raft, w->now, &e, 1, &index, &term, &err);
	else
		rc = raft_change(s->raft, w->now, id,
				 (enum raft_member_role)role, &e, &index, &term,
				 &err);
	free(bytes);
	drain(w, s);
	return !rc;
}

/* ---- who leads above ---- */

static inline bool caught_up(const struct server *s, int64_t id)
{
	struct raft_status st;
	struct raft_peer p;
	struct err err;

	raft_status(s->raft, &st);
	return !raft_peer(s->raft, id, &p, &err) && !p.probing && p.match > 0 &&
	       p.match + BEHIND_MAX >= st.last;
}

static inline bool is_silent(const struct world *w, const struct server *s,
			     int64_t id)
{
	struct raft_peer p;
	struct err err;

	return id != s->id && !raft_peer(s->raft, id, &p, &err) &&
	       w->now - p.heard_ms >= FAIL_MS;
}

static inline int voters(const struct state *st)
{
	int n = 0;

	for (size_t i = 0; i < st->nmembers; i++)
		n += st->members[i]->role == GFL__V1__ROLE__VOTER;
	return n;
}

static inline bool may_vote(const struct world *w, const struct server *s,
			    const Gfl__V1__Member *m)
{
	return m->role != GFL__V1__ROLE__VOTER && !m->liveness &&
	       !is_silent(w, s, m->id) && caught_up(s, m->id);
}

/* One step about m; true if there is one. */
static inline bool keep(struct world *w, struct server *s,
			const Gfl__V1__Member *m)
{
	bool voter = m->role == GFL__V1__ROLE__VOTER, up = !m->liveness;
	struct note e;
	struct err err;
	int64_t id = m->id;

	if (hierarchy_superseded(s->state, m)) {
		if (id != s->id)
			return propose(w, s,
				       &note(&e, ACTION(REMOVE), id)->entry, id,
				       RAFT_NONE);
		if (!raft_transfer(s->raft, w->now, 0, &err))
			drain(w, s);
		return true;
	}
	if (up == is_silent(w, s, id))
		return propose(
			w, s,
			&note(&e, up ? ACTION(MARK_DOWN) : ACTION(MARK_UP), id)
				 ->entry,
			id, -1);
	if (!voter && voters(s->state) < VOTERS_MAX && may_vote(w, s, m))
		return propose(w, s, &note(&e, ACTION(PROMOTE), id)->entry, id,
			       RAFT_VOTER);
	if (m->role == GFL__V1__ROLE__LEARNER && may_vote(w, s, m))
		return propose(w, s, &note(&e, ACTION(DEMOTE), id)->entry, id,
			       RAFT_STANDBY);
	if (up || !voter)
		return false;
	for (size_t i = 0; i < s->state->nmembers; i++)
		if (may_vote(w, s, s->state->members[i]))
			return propose(w, s,
				       &note(&e, ACTION(DEMOTE), id)->entry, id,
				       RAFT_STANDBY);
	return false;
}

static inline void keep_all(struct world *w, struct server *s)
{
	struct raft_status st;

	if (!leads(s))
		return;
	raft_status(s->raft, &st);
	if (st.applied < st.last)
		return; /* one step at a time */
	s->news = false;
	for (size_t i = 0; i < s->state->nmembers; i++)
		if (keep(w, s, s->state->members[i]))
			return;
}

static inline void reply(struct world *w, struct server *s, const struct ask *a)
{
	struct node *n = &w->node[a->cluster][a->node];
	struct event *e;

	if (rand_unit(&w->r) < w->drop)
		return;
	e = event_new(w, 1 + chance(w, 15), ADMITTED, &n->below);
	e->ask = *a;
	if (a->what == ASK_WHETHER)
		return;
	e->joined = s->state->applied;
	e->joined_term = s->state->term;
}

static inline void admit(struct world *w, struct server *s, const struct ask *a)
{
	int64_t id = (int64_t)a->cluster * NODES + a->node + 1;
	const Gfl__V1__Member *m = state_member(s->state, id);
	char lower[33];
	struct note e;
	bool known = m && !strcmp(m->instance_id, a->instance);

	if (known == (a->what == ASK_JOIN))
		reply(w, s, a);
	if (known || a->what == ASK_WHETHER)
		return;
	if (m) { /* an earlier life: its log is gone with it */
		propose(w, s, &note(&e, ACTION(REMOVE), id)->entry, id,
			RAFT_NONE);
		return;
	}
	snprintf(lower, sizeof(lower), LOWER_ID, (unsigned)a->cluster);
	note(&e, ACTION(ADD), id);
	e.member.instance_id = (char *)(uintptr_t)a->instance;
	e.member.role = GFL__V1__ROLE__LEARNER;
	e.member.lower_id = lower;
	e.member.lower_term = a->term;
	propose(w, s, &e.entry, id, RAFT_LEARNER);
}

static inline void place(struct world *w, struct server *s, const struct ask *a)
{
	Gfl__V1__TrainerChange c = GFL__V1__TRAINER_CHANGE__INIT;
	Gfl__V1__Trainer t = GFL__V1__TRAINER__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	char lower[33];

	snprintf(lower, sizeof(lower), LOWER_ID, (unsigned)a->cluster);
	t.instance_id = lower;
	t.node_id = (int64_t)a->cluster * NODES + a->node + 1;
	t.term = a->term;
	c.action = GFL__V1__TRAINER_CHANGE__ACTION__ATTACH;
	c.trainer = &t;
	e.kind_case = GFL__V1__ENTRY__KIND_TRAINER;
	e.trainer = &c;
	propose(w, s, &e, 0, -1);
}

/* Whoever does not lead passes it on, once. */
static inline void answer(struct world *w, struct server *s, struct event *e)
{
	struct raft_status st;

	if (leads(s)) {
		if (e->ask.what == ASK_PLACE)
			place(w, s, &e->ask);
		else
			admit(w, s, &e->ask);
		return;
	}
	raft_status(s->raft, &st);
	if (st.leader && st.leader != s->id && e->from_node >= 0) {
		struct event *on = event_new(w, 1 + chance(w, 15), ASK,
					     server_of(w, s, st.leader));

		on->ask = e->ask;
		on->from_cluster = s->cluster;
		on->from_node = -1 - s->node;
	}
}

/* ---- who leads below ---- */

/* Of some server above, as a gateway would name it. */
static inline void ask(struct world *w, struct node *n, int what)
{
	int c = (int)chance(w, w->clusters), k = (int)chance(w, w->nodes);
	struct server *above = &n->above, *to = NULL;
	struct event *e;

	if (w->now - n->asked_ms < ASK_MS)
		return;
	for (int i = 0; i < w->clusters && !to; i++)
		for (int j = 0; j < w->nodes && !to; j++) {
			struct node *some = &w->node[(c + i) % w->clusters]
						    [(k + j) % w->nodes];

			if (some != n && some->above.raft)
				to = &some->above;
		}
	if (above->raft && leads(above))
		to = above;
	if (!to)
		return;
	n->asked_ms = w->now;
	e = event_new(w, 1 + chance(w, 15), ASK, to);
	e->from_cluster = above->cluster;
	e->from_node = above->node;
	e->ask = (struct ask){what, above->cluster, above->node,
			      term_of(&n->below), ""};
	memcpy(e->ask.instance, above->instance, sizeof(e->ask.instance));
}

static inline void found(struct world *w, struct node *n)
{
	struct server *s = &n->above;
	char lower[33], upper[33];
	struct note e;
	uint8_t *bytes;
	struct err err;
	size_t len;

	w->founded = 1;
	snprintf(lower, sizeof(lower), LOWER_ID, (unsigned)s->cluster);
	snprintf(upper, sizeof(upper), LOWER_ID, 0xffffff);
	note(&e, ACTION(ADD), s->id);
	e.member.instance_id = s->instance;
	e.member.role = GFL__V1__ROLE__VOTER;
	e.member.lower_id = lower;
	e.member.lower_term = s->lower_term;
	e.change.cluster_id = upper;
	len = pack(&e.entry, &bytes);
	must(w, raft_bootstrap(s->raft, w->now, bytes, len, &err), &err);
	free(bytes);
	drain(w, s);
}

/* Another life begins, which is let in before it has a server. */
static inline void begin_life(struct world *w, struct node *n)
{
	struct server *s = &n->above;

	disk_wipe(&s->disk);
	snprintf(s->instance, sizeof(s->instance), "%" PRId64 "/%" PRId64,
		 s->id, ++n->lives);
	s->lower_term = term_of(&n->below);
	s->joined = s->joined_term = 0;
	if (w->founded && !w->forget)
		return;
	server_open(w, s);
	if (!w->founded)
		found(w, n);
}

static inline void part(struct server *s)
{
	server_close(s);
	disk_wipe(&s->disk);
	*s->instance = '\0';
}

static inline void admitted(struct world *w, struct node *n,
			    const struct event *e)
{
	struct server *s = &n->above;

	if (strcmp(s->instance, e->ask.instance) != 0)
		return;
	if (!e->joined)
		part(s);
	if (s->raft || !e->joined)
		return;
	s->joined = e->joined;
	s->joined_term = e->joined_term;
	server_open(w, s);
}

static inline bool is_member(const struct server *s)
{
	const Gfl__V1__Member *m = state_member(s->state, s->id);

	return m && !strcmp(m->instance_id, s->instance);
}

static inline bool speaks(const struct server *s, int64_t term)
{
	const Gfl__V1__Trainer *t;
	char lower[33];

	snprintf(lower, sizeof(lower), LOWER_ID, (unsigned)s->cluster);
	t = state_trainer_of(s->state, lower);
	return t && t->node_id == s->id && t->term == term;
}

static inline void poll_node(struct world *w, struct node *n)
{
	struct server *s = &n->above;
	struct raft_status st = {0};

	if (s->raft)
		raft_status(s->raft, &st);
	if (st.removed)
		part(s);
	if (leads(&n->below) && !s->raft) {
		if (!*s->instance)
			begin_life(w, n);
		ask(w, n, ASK_JOIN);
	} else if (leads(&n->below) && is_member(s) &&
		   !speaks(s, term_of(&n->below))) {
		ask(w, n, ASK_PLACE);
	} else if (s->raft && !st.leader &&
		   raft_conf_role(raft_conf(s->raft), s->id) != RAFT_VOTER) {
		ask(w, n, ASK_WHETHER);
	}
	keep_all(w, s);
}

#endif
