/* hierarchy_world.h - clusters of clusters in one process: the real core at
 * both levels and the real state above, on simulated disks, links and time.
 *
 * Each node has a server below and, while it is a member there, one above. What
 * a server writes is durable a little later, and what was not is lost with its
 * node. Times are milliseconds; timeouts are five times the usual ones. */
#ifndef HIERARCHY_WORLD_H
#define HIERARCHY_WORLD_H

#include "test.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "node/state.h"
#include "raft/raft.h"

enum {
	CLUSTERS = 100,
	NODES = 10,
	BELOW_VOTERS = 5, /* the rest of a cluster stands by */
	ELECTION_MS = 750,
	HEARTBEAT_MS = 250,
};

struct entry {
	struct raft_entry e; /* its conf and data are ours */
};

struct disk {
	int64_t term, vote, commit;
	struct entry *log; /* from index 1 */
	size_t n, cap;
};

struct pending { /* a write on its way to the disk */
	int64_t seq, term, vote, commit, truncate_from;
	struct entry *log;
	size_t n;
};

struct server {
	int64_t id;
	int cluster, node; /* where it lives */
	bool above;
	struct raft *raft; /* NULL: it is down, or none */
	struct disk disk;
	uint64_t life;
	int64_t tick_ms, write_ms; /* of the event under way; 0: none */
	struct state *state;       /* above only */
	bool news;                 /* above only: something was applied */
	char instance[33];         /* above only */
	int64_t lower_term;        /* in which it joined */
	int64_t joined, joined_term;
};

struct node {
	bool up;
	struct server below, above;
	int64_t lives;   /* of its server above */
	int64_t deaf_ms; /* until then it hears nobody of its cluster */
	int64_t asked_ms;
};

/* Of the servers of one cluster: who led which term, what was applied. */
struct record {
	int64_t *leader;
	uint64_t *applied;
	size_t nleader, napplied, cap_leader, cap_applied;
};

enum what { MESSAGE, WRITTEN, TICK, POLL, ASK, ADMITTED };

/* Asked of a server above by a node below: to join, to take its place, or
 * whether it is a member still, of whom it does not hear any more. */
struct ask {
	enum { ASK_JOIN, ASK_PLACE, ASK_WHETHER } what;
	int cluster, node;
	int64_t term;
	char instance[33];
};

struct event {
	int64_t at;
	uint64_t order, life;
	enum what what;
	struct server *to;
	int from_cluster, from_node;
	struct raft_msg msg; /* MESSAGE: entries and conf are ours */
	struct pending write;
	struct ask ask;              /* ASK, ADMITTED */
	int64_t joined, joined_term; /* of ADMITTED; 0: it is no member */
};

struct world {
	struct rand r;
	int64_t now;
	uint64_t order, events;
	struct event **heap;
	size_t nheap, cap_heap;
	int clusters, nodes;
	struct node node[CLUSTERS][NODES];
	struct record record[CLUSTERS + 1]; /* the last: above */
	int64_t place_term[CLUSTERS];       /* of who spoke last */
	int64_t alone_ms[CLUSTERS]; /* until then it reaches no other cluster */
	int64_t split_ms;           /* until then clusters are in two halves */
	bool half[CLUSTERS];
	double drop;
	bool forget; /* planted: who joins votes as if there was no other life
		      */
	int founded; /* the upper cluster is */
	char *wrong; /* the first violation */
};

#define LOWER_ID "%032x"

static inline int64_t chance(struct world *w, int64_t below)
{
	return (int64_t)rand_below(&w->r, (uint64_t)below);
}

static inline void wrong(struct world *w, char *why)
{
	if (w->wrong)
		free(why);
	else
		w->wrong = why;
}

/* ---- events ---- */

static inline bool sooner(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static inline struct event *event_new(struct world *w, int64_t in_ms,
				      enum what what, struct server *to)
{
	struct event *e = mem_zero(1, sizeof(*e));
	size_t i = w->nheap;

	e->at = w->now + in_ms;
	e->order = ++w->order;
	e->what = what;
	e->to = to;
	e->life = to->life;
	w->heap = mem_grow(w->heap, &w->cap_heap, w->nheap + 1, sizeof(e));
	w->nheap++;
	for (; i && sooner(e, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = e;
	return e;
}

static inline struct event *event_take(struct world *w)
{
	struct event *first = w->heap[0], *last = w->heap[--w->nheap];
	size_t i = 0, k;

	for (; (k = 2 * i + 1) < w->nheap; i = k) {
		if (k + 1 < w->nheap && sooner(w->heap[k + 1], w->heap[k]))
			k++;
		if (!sooner(w->heap[k], last))
			break;
		w->heap[i] = w->heap[k];
	}
	w->heap[i] = last;
	return first;
}

/* ---- entries and disks ---- */

static inline struct entry entry_copy(const struct raft_entry *e)
{
	struct entry copy = {*e};

	copy.e.conf = mem_dup(e->conf, e->conf_len);
	copy.e.data = mem_dup(e->data, e->len);
	return copy;
}

static inline void entry_free(struct entry *e)
{
	free((void *)(uintptr_t)e->e.conf);
	free((void *)(uintptr_t)e->e.data);
}

static inline void entries_free(struct entry *log, size_t n)
{
	for (size_t i = 0; i < n; i++)
		entry_free(&log[i]);
	free(log);
}

static inline struct entry *entries_copy(const struct raft_entry *e, size_t n)
{
	struct entry *copies = mem_zero(n + 1, sizeof(*copies));

	for (size_t i = 0; i < n; i++)
		copies[i] = entry_copy(&e[i]);
	return copies;
}

static inline void disk_apply(struct disk *d, struct pending *p)
{
	d->term = p->term;
	d->vote = p->vote;
	d->commit = p->commit;
	while (p->truncate_from && d->n >= (size_t)p->truncate_from)
		entry_free(&d->log[--d->n]);
	for (size_t i = 0; i < p->n; i++) {
		d->log = mem_grow(d->log, &d->cap, d->n + 1, sizeof(*d->log));
		d->log[d->n++] = p->log[i];
	}
	free(p->log);
	*p = (struct pending){0};
}

static inline void disk_wipe(struct disk *d)
{
	entries_free(d->log, d->n);
	*d = (struct disk){0};
}

static inline void event_free(struct event *e)
{
	if (e->what == MESSAGE) {
		for (size_t i = 0; i < e->msg.n; i++)
			entry_free(
				(struct entry *)(uintptr_t)&e->msg.entries[i]);
		free((void *)(uintptr_t)e->msg.entries);
	}
	entries_free(e->write.log, e->write.n);
	free(e);
}

/* ---- what must always hold ---- */

static inline struct record *record_of(struct world *w, const struct server *s)
{
	return &w->record[s->above ? CLUSTERS : s->cluster];
}

/* Raft 5.2: one leader a term. */
static inline void check_leader(struct world *w, const struct server *s)
{
	struct record *rec = record_of(w, s);
	struct raft_status st;

	raft_status(s->raft, &st);
	if (st.role != RAFT_LEADER)
		return;
	while (rec->nleader <= (size_t)st.term) {
		rec->leader = mem_grow(rec->leader, &rec->cap_leader,
				       rec->nleader + 1, sizeof(int64_t));
		rec->leader[rec->nleader++] = 0;
	}
	if (rec->leader[st.term] && rec->leader[st.term] != s->id)
		wrong(w, mem_fmt("servers %" PRId64 " and %" PRId64
				 " led term %" PRId64 " of cluster %d",
				 rec->leader[st.term], s->id, st.term,
				 s->above ? -1 : s->cluster));
	rec->leader[st.term] = s->id;
}

static inline uint64_t entry_hash(const struct raft_entry *e)
{
	const unsigned char *p = e->data;
	uint64_t h = rand_mix((uint64_t)e->term * 8 + e->type);

	for (size_t i = 0; i < e->len; i++)
		h = rand_mix(h ^ p[i]);
	return h;
}

/* Raft 5.4.3: what one has applied at an index is what everybody applies. True
 * if it is the first. */
static inline bool check_applied(struct world *w, const struct server *s,
				 const struct raft_entry *e)
{
	struct record *rec = record_of(w, s);
	uint64_t hash = entry_hash(e);

	if ((size_t)e->index <= rec->napplied) {
		if (rec->applied[e->index - 1] != hash)
			wrong(w, mem_fmt("server %" PRId64
					 " applied another entry %" PRId64
					 " of cluster %d",
					 s->id, e->index,
					 s->above ? -1 : s->cluster));
		return false;
	}
	rec->applied = mem_grow(rec->applied, &rec->cap_applied,
				rec->napplied + 1, sizeof(hash));
	rec->applied[rec->napplied++] = hash;
	return true;
}

/* A place goes to leaders of its cluster, each later than the one before. */
static inline void check_place(struct world *w, const struct server *s,
			       const Gfl__V1__TrainerChange *c)
{
	unsigned cluster;
	const Gfl__V1__Trainer *t;
	const struct record *rec;

	if (sscanf(c->trainer->instance_id, "%32x", &cluster) != 1)
		return;
	t = state_trainer_of(s->state, c->trainer->instance_id);
	rec = &w->record[cluster];
	if (t->term < w->place_term[cluster])
		wrong(w, mem_fmt("the place of cluster %u went back from term "
				 "%" PRId64 " to %" PRId64,
				 cluster, w->place_term[cluster], t->term));
	if ((size_t)t->term >= rec->nleader ||
	    rec->leader[t->term] != t->node_id)
		wrong(w, mem_fmt("server %" PRId64 " speaks for cluster %u in "
				 "term %" PRId64 ", which it did not lead",
				 t->node_id, cluster, t->term));
	w->place_term[cluster] = t->term;
}

#endif
