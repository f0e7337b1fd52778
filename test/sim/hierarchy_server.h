/* hierarchy_server.h - a server of either level as a host runs it: its outputs
 * go to the simulated disk and links, what comes from there goes in. */
#ifndef HIERARCHY_SERVER_H
#define HIERARCHY_SERVER_H

#include "hierarchy_world.h"

static inline void must(struct world *w, int rc, const struct err *err)
{
	if (rc)
		wrong(w, mem_str(err->msg));
}

/* ---- links ---- */

static inline bool is_cut(const struct world *w, int c1, int n1, int c2, int n2)
{
	if (c1 == c2)
		return n1 != n2 && (w->node[c1][n1].deaf_ms > w->now ||
				    w->node[c2][n2].deaf_ms > w->now);
	return w->alone_ms[c1] > w->now || w->alone_ms[c2] > w->now ||
	       (w->split_ms > w->now && w->half[c1] != w->half[c2]);
}

static inline struct server *server_of(struct world *w, const struct server *s,
				       int64_t id)
{
	int at = (int)id - 1;
	struct node *n = &w->node[at / NODES][at % NODES];

	return s->above ? &n->above : &n->below;
}

static inline void send(struct world *w, const struct server *s,
			const struct raft_msg *m)
{
	struct server *to = server_of(w, s, m->to);
	struct event *e;

	if (!to->raft || rand_unit(&w->r) < w->drop)
		return;
	e = event_new(w, 1 + chance(w, 15), MESSAGE, to);
	e->from_cluster = s->cluster;
	e->from_node = s->node;
	e->msg = *m;
	e->msg.entries = &entries_copy(m->entries, m->n)->e;
}

/* ---- outputs ---- */

static inline void store(struct world *w, struct server *s,
			 const struct raft_write *out)
{
	struct event *e;
	int64_t at = w->now + 1 + chance(w, 4);

	if (at < s->write_ms)
		at = s->write_ms;
	s->write_ms = at;
	e = event_new(w, at - w->now, WRITTEN, s);
	e->write = (struct pending){
		.seq = out->seq,
		.term = out->term,
		.vote = out->vote,
		.commit = out->commit,
		.truncate_from = out->truncate_from,
		.log = entries_copy(out->entries, out->n),
		.n = out->n,
	};
}

static inline void apply(struct world *w, struct server *s,
			 const struct raft_entry *e)
{
	bool first = check_applied(w, s, e);
	Gfl__V1__Entry *entry = NULL;
	struct state_result res;
	struct err err;

	if (!s->above)
		return;
	s->news = true;
	if (e->type != RAFT_NOOP)
		must(w, state_entry(&entry, e->data, e->len, &err), &err);
	must(w,
	     state_apply(s->state, e->index, e->term, e->type == RAFT_CONFIG,
			 entry, &res, &err),
	     &err);
	if (first && entry && !res.refused.code &&
	    entry->kind_case == GFL__V1__ENTRY__KIND_TRAINER)
		check_place(w, s, entry->trainer);
	if (entry)
		gfl__v1__entry__free_unpacked(entry, NULL);
}

static inline void drain(struct world *w, struct server *s)
{
	const struct raft_entry *e;
	struct raft_write write;
	struct raft_msg msg;
	struct raft_read read;
	int64_t at;

	while (raft_next_write(s->raft, &write))
		store(w, s, &write);
	while (raft_next_msg(s->raft, &msg))
		send(w, s, &msg);
	while ((e = raft_next_apply(s->raft)))
		apply(w, s, e);
	while (raft_next_read(s->raft, &read))
		;
	check_leader(w, s);
	at = raft_deadline(s->raft);
	if (at == INT64_MAX || (s->tick_ms && s->tick_ms <= at))
		return;
	s->tick_ms = at > w->now ? at : w->now;
	event_new(w, s->tick_ms - w->now, TICK, s);
}

/* ---- life ---- */

static inline void server_close(struct server *s)
{
	raft_close(s->raft);
	s->raft = NULL;
	state_free(s->state);
	s->state = NULL;
	s->life++;
	s->tick_ms = s->write_ms = 0;
}

/* From its disk on, which may be empty. */
static inline void server_open(struct world *w, struct server *s)
{
	const struct raft_config cfg = {
		.id = s->id,
		.seed = rand_next(&w->r),
		.election_min_ms = ELECTION_MS,
		.election_max_ms = 2 * ELECTION_MS,
		.heartbeat_ms = HEARTBEAT_MS,
		.joined = w->forget ? 0 : s->joined,
		.joined_term = w->forget ? 0 : s->joined_term,
		.term = s->disk.term,
		.vote = s->disk.vote,
		.commit = s->disk.commit,
	};
	struct err err;

	must(w, raft_open(&s->raft, &cfg, &err), &err);
	for (size_t i = 0; i < s->disk.n; i++)
		must(w, raft_load(s->raft, &s->disk.log[i].e, &err), &err);
	must(w, raft_start(s->raft, w->now, &err), &err);
	if (s->above)
		s->state = state_new();
	drain(w, s);
}

static inline bool leads(const struct server *s)
{
	struct raft_status st;

	if (!s->raft)
		return false;
	raft_status(s->raft, &st);
	return st.role == RAFT_LEADER && st.committed_in_term;
}

static inline int64_t term_of(const struct server *s)
{
	struct raft_status st;

	raft_status(s->raft, &st);
	return st.term;
}

#endif
