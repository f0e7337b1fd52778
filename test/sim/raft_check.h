/* raft_check.h - the promises of figure 3 of the paper, and what clients may
 * rely on; checked after each event. */
#ifndef RAFT_CHECK_H
#define RAFT_CHECK_H

#include "raft_server.h"

static uint32_t seen_slot(const struct world *w, int64_t index, int64_t term)
{
	uint64_t h = rand_mix((uint64_t)index * 1000003 + (uint64_t)term);
	size_t i = h & (w->seen_cap - 1);

	while (w->seen[i].index &&
	       (w->seen[i].index != index || w->seen[i].term != term))
		i = (i + 1) & (w->seen_cap - 1);
	return (uint32_t)i;
}

static void seen_room(struct world *w)
{
	struct seen *old = w->seen;
	size_t cap = w->seen_cap;

	if (cap && w->n_seen * 2 < cap)
		return;
	w->seen_cap = cap ? cap * 2 : 1024;
	w->seen = mem_zero(w->seen_cap, sizeof(*w->seen));
	for (size_t i = 0; i < cap; i++)
		if (old[i].index)
			w->seen[seen_slot(w, old[i].index, old[i].term)] =
				old[i];
	free(old);
}

/* Log matching: entries of the same index and term are the same, and so are
 * those before them (by induction: they have the same term before them). */
static void check_matching(struct world *w, const struct server *s,
			   const struct raft_entry *e)
{
	const struct raft_entry *before = raft_entry(s->r, e->index - 1);
	struct seen now = {e->index, e->term, before ? before->term : 0,
			   entry_crc(e)};
	struct seen *was;

	if (e->index > 1 && !before) /* a snapshot has it */
		return;
	seen_room(w);
	was = &w->seen[seen_slot(w, e->index, e->term)];
	if (!was->index) {
		*was = now;
		w->n_seen++;
	} else if (was->before != now.before || was->crc != now.crc) {
		broken(w,
		       "log matching: entry %" PRId64 " of term %" PRId64
		       " on server %" PRId64,
		       e->index, e->term, s->id);
	}
}

/* State machine safety: one entry per index, whoever commits it. */
static void check_commit(struct world *w, struct server *s,
			 const struct raft_status *st)
{
	while (s->seen_commit < st->commit) {
		const struct raft_entry *e = raft_entry(s->r, ++s->seen_commit);
		struct fact now;

		if (!e) { /* in a snapshot, that is compared as such */
			if (s->seen_commit >= st->first ||
			    (size_t)s->seen_commit > w->n_facts)
				broken(w,
				       "server %" PRId64
				       " commits entry %" PRId64
				       " that it does not have",
				       s->id, s->seen_commit);
			continue;
		}
		now = (struct fact){e->term, st->term, entry_crc(e), 0};
		if ((size_t)e->index > w->n_facts) {
			now.chain = crc32c_of(
				w->n_facts ? w->fact[w->n_facts - 1].chain : 0,
				&now.crc, sizeof(now.crc));
			w->fact = mem_grow(w->fact, &w->facts_cap,
					   w->n_facts + 1, sizeof(*w->fact));
			w->fact[w->n_facts++] = now;
		} else if (w->fact[e->index - 1].term != now.term ||
			   w->fact[e->index - 1].crc != now.crc) {
			broken(w,
			       "state machine safety: entry %" PRId64
			       " on server %" PRId64,
			       e->index, s->id);
		}
	}
}

/* Leader completeness holds for leaders of later terms than the commit. */
static void check_complete(struct world *w, const struct server *s,
			   const struct raft_status *st)
{
	for (size_t i = 0; i < w->n_facts; i++) {
		const struct raft_entry *e = raft_entry(s->r, (int64_t)i + 1);

		if (w->fact[i].commit_term >= st->term ||
		    (int64_t)i + 1 < st->first)
			continue;
		if (!e || e->term != w->fact[i].term)
			broken(w,
			       "leader completeness: server %" PRId64
			       " leads term %" PRId64 " without entry %zu",
			       s->id, st->term, i + 1);
	}
}

static void check_leader(struct world *w, struct server *s,
			 const struct raft_status *st)
{
	size_t had = w->leaders_cap;
	int64_t *of;

	w->leader = mem_grow(w->leader, &w->leaders_cap, (size_t)st->term + 1,
			     sizeof(*w->leader));
	if (had < w->leaders_cap)
		memset(w->leader + had, 0,
		       (w->leaders_cap - had) * sizeof(*w->leader));
	of = &w->leader[st->term];
	if (*of == s->id && s->seen_term == st->term)
		return;
	if (*of)
		broken(w,
		       "election safety: servers %" PRId64 " and %" PRId64
		       " lead term %" PRId64,
		       *of, s->id, st->term);
	*of = s->id;
	s->seen_term = st->term;
	w->elections++;
	check_complete(w, s, st);
}

static void check_server(struct world *w, struct server *s)
{
	struct raft_status st;

	raft_status(s->r, &st);
	if (st.role == RAFT_LEADER)
		check_leader(w, s, &st);
	if (st.commit != s->seen_commit)
		check_commit(w, s, &st);
}

#endif
