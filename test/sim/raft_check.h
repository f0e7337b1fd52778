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

/* What it lost it may have acknowledged before, and it guards that: nobody
 * leads with its vote who has it not. */
static bool stores(const struct server *s, int64_t index, int64_t term)
{
	const struct disk *d = &s->disk;
	const struct raft_entry *e = disk_entry(d, index);

	return d->snap.index >= index || (e && e->term == term) ||
	       (!e && d->floor_index >= index && d->floor_term >= term);
}

/* Who votes, a bit each: in C_old if the configuration is joint, or else. */
static unsigned voting(const struct raft_conf *conf, bool old)
{
	unsigned who = 0;

	for (int i = 0; i < conf->n; i++)
		if (old ? conf->member[i].old
			: conf->member[i].role == RAFT_VOTER)
			who |= 1u << conf->member[i].id;
	return who;
}

static int count_bits(unsigned who)
{
	return __builtin_popcount(who);
}

/* Durability: what is committed is on the disks of a majority, of the servers
 * that are down too. */
static void check_durable(struct world *w, const struct server *s,
			  const struct raft_entry *e)
{
	unsigned have = 0;

	for (int i = 1; i <= SERVERS; i++)
		if (stores(&w->server[i], e->index, e->term))
			have |= 1u << i;
	for (int old = 0; old <= raft_conf_joint(raft_conf(s->r)); old++) {
		unsigned who = voting(raft_conf(s->r), old);

		if (count_bits(who & have) <= count_bits(who) / 2)
			broken(w,
			       "durability: entry %" PRId64 " is committed by "
			       "server %" PRId64 ", and on the disks of %d "
			       "of %d voters",
			       e->index, s->id, count_bits(who & have),
			       count_bits(who));
	}
}

/* Majorities of one configuration and the next have a server in common. */
static bool overlap(const struct raft_conf *now, const struct raft_conf *next)
{
	unsigned moved = voting(now, false) ^ voting(next, false);

	if (raft_conf_joint(now))
		return !raft_conf_joint(next) && !moved;
	if (raft_conf_joint(next))
		return voting(next, true) == voting(now, false);
	return count_bits(moved) <= 1;
}

static void conf_add(struct world *w, const struct raft_entry *e)
{
	struct raft_conf next = {0};
	struct err err;

	if (raft_conf_decode(&next, e->conf, e->conf_len, &err)) {
		broken(w, "%s", err.msg);
		return;
	}
	if (w->conf.n && !overlap(&w->conf, &next))
		broken(w,
		       "configuration: entry %" PRId64
		       " does not follow the one before",
		       e->index);
	raft_conf_release(&w->conf);
	w->conf = next;
	w->conf_fact = mem_grow(w->conf_fact, &w->confs_cap, w->n_confs + 1,
				sizeof(*w->conf_fact));
	w->conf_fact[w->n_confs++] = (struct conf_fact){
		e->index, mem_dup(e->conf, e->conf_len), e->conf_len};
}

/* Somebody commits an entry first. */
static void fact_add(struct world *w, const struct server *s,
		     const struct raft_status *st, const struct raft_entry *e)
{
	struct fact now = {e->term, st->term, entry_crc(e), 0};
	uint32_t chain = w->n_facts ? w->fact[w->n_facts - 1].chain : 0;

	now.chain = crc32c_of(chain, &now.crc, sizeof(now.crc));
	w->fact = mem_grow(w->fact, &w->facts_cap, w->n_facts + 1,
			   sizeof(*w->fact));
	w->fact[w->n_facts++] = now;
	w->t.commits++;
	check_durable(w, s, e);
	if (e->type == RAFT_CONFIG)
		conf_add(w, e);
}

/* State machine safety: one entry per index, whoever commits it. */
static void check_commit(struct world *w, struct server *s,
			 const struct raft_status *st)
{
	while (s->seen_commit < st->commit) {
		const struct raft_entry *e = raft_entry(s->r, ++s->seen_commit);

		if (e && (size_t)e->index == w->n_facts + 1) {
			fact_add(w, s, st, e);
		} else if ((size_t)s->seen_commit > w->n_facts ||
			   (!e && s->seen_commit >= st->first)) {
			broken(w,
			       "server %" PRId64 " commits entry %" PRId64
			       " that it does not have",
			       s->id, s->seen_commit);
		} else if (e && (w->fact[e->index - 1].term != e->term ||
				 w->fact[e->index - 1].crc != entry_crc(e))) {
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
	for (size_t i = (size_t)st->first - 1; i < w->n_facts; i++) {
		const struct raft_entry *e = raft_entry(s->r, (int64_t)i + 1);

		if (w->fact[i].commit_term >= st->term)
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

	if (s->led_term == st->term)
		return;
	w->leader = mem_grow(w->leader, &w->leaders_cap, (size_t)st->term + 1,
			     sizeof(*w->leader));
	if (had < w->leaders_cap)
		memset(w->leader + had, 0,
		       (w->leaders_cap - had) * sizeof(*w->leader));
	of = &w->leader[st->term];
	if (*of)
		broken(w,
		       "election safety: servers %" PRId64 " and %" PRId64
		       " lead term %" PRId64,
		       *of, s->id, st->term);
	*of = s->id;
	s->led_term = st->term;
	w->t.elections++;
	check_complete(w, s, st);
}

/* What a server never takes back while it lives. */
static void check_forward(struct world *w, const struct server *s,
			  const struct raft_status *st)
{
	const struct raft_status *was = &s->was;

	if (st->commit < was->commit || st->applied < was->applied ||
	    st->term < was->term || st->first < was->first ||
	    st->snapshot < was->snapshot)
		broken(w, "server %" PRId64 " goes back", s->id);
	if (st->term == was->term && was->vote && st->vote != was->vote)
		broken(w, "server %" PRId64 " votes twice in term %" PRId64,
		       s->id, st->term);
	/* that of another's snapshot is not durable at first */
	if (st->durable > st->last || st->applied > st->commit ||
	    (st->applied > st->durable && st->durable >= st->first - 1))
		broken(w,
		       "server %" PRId64 " has applied %" PRId64 " of %" PRId64
		       " committed and %" PRId64 " durable entries of %" PRId64,
		       s->id, st->applied, st->commit, st->durable, st->last);
	if (st->role == RAFT_LEADER && st->vote != s->id)
		broken(w, "server %" PRId64 " leads without its own vote",
		       s->id);
}

#endif
