/* raft_world.h - a cluster on a virtual clock, with disks and a network that
 * fail as the seed says. Included by the two programs that run it, of which
 * one compiles the core itself with rules broken.
 *
 * raft_disk.h has the disks, raft_server.h their servers, raft_check.h the
 * promises that are checked after each event, raft_client.h who uses the
 * cluster, raft_host.h what a server does with what comes in, raft_faults.h
 * what goes wrong, raft_run.h a seed from its beginning to its end. */
#ifndef RAFT_WORLD_H
#define RAFT_WORLD_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/mem.h"
#include "base/rand.h"
#include "linear.h"
#include "raft/raft.h"
#include "raft/session.h"

enum { SERVERS = 7, CLIENTS = 8, KEYS = 16 };

static const int64_t MS = 1000; /* the world's clock counts microseconds */

struct disk {
	int64_t term, vote, commit;
	struct raft_entry *e; /* e[0] has index base + 1 */
	size_t n, cap;
	int64_t base;
	struct raft_snapshot snap, next; /* next: of which pieces are there */
	char *bytes, *next_bytes;
	int64_t got;
	int64_t floor_index, floor_term; /* since it lost entries */
};

struct job { /* a write under way */
	struct raft_write w;
	int64_t due;
	struct raft_snapshot own; /* in place of w, if it has an index */
	char *bytes;
	int64_t first;
};

/* Registers, each for one key at a time: a later one takes its place. */
struct cell {
	int64_t key, value;
};

/* What the entries make: the sessions, by whom how much was done, and what
 * clients read. */
struct machine {
	int64_t index;
	uint32_t chain; /* of all entries up to index */
	struct sessions *sessions;
	int64_t effects[CLIENTS + 1];
	struct cell cell[KEYS];
};

/* Where a server may die: between two things that a host does. */
enum point {
	POINT_NONE,
	POINT_INPUT,     /* it took an input, and nothing has come of it */
	POINT_GIVEN,     /* writes are under way, no message has left */
	POINT_SENDING,   /* some messages have left, others not */
	POINT_SENT,      /* all have, no write is durable */
	POINT_STORED,    /* a write is durable, and nobody knows */
	POINT_BETWEEN,   /* the first of several writes is durable */
	POINT_TOLD,      /* the core knows, and nothing has left */
	POINT_TAKEN,     /* a snapshot is taken, not yet stored */
	POINT_COMPACTED, /* it is stored, and the core does not know */
	POINT_PIECE,     /* part of another's snapshot is stored */
	POINT_WHOLE,     /* all of it, and the state is still the old one */
	POINT_APPLYING,  /* between two entries */
	POINTS
};

struct server {
	struct raft *r;         /* NULL while down */
	int64_t id, life, back; /* back: when it starts again */
	int64_t rate;           /* of its clock, in thousandths: base_us + */
	int64_t base_us;        /* (now - from) * rate / 1000 */
	int64_t from;
	int64_t write_us;   /* how long a write takes, at most */
	bool write_fails;   /* the next one does */
	bool failed;        /* one did: it has nothing to say any more */
	int64_t dies;       /* when it ends, 0: does not */
	int64_t woken;      /* when it goes on, if it is stopped */
	enum point dies_at; /* or at the in-th time that it gets there */
	unsigned in;
	struct disk disk;
	struct job *job;
	size_t n_jobs, jobs_cap;
	int64_t jobs_due;
	int64_t deadline_us; /* of its timers, in the world's time */
	size_t max_append;
	struct machine machine;
	int64_t seen_commit, led_term;
	struct raft_status was; /* after the event before, in this life */
};

struct client {
	int64_t id, seq;
	bool busy, reading, sent;
	int64_t floor; /* what was done before this began */
	int64_t retry; /* when to try again */
	int64_t server, life, index, term, ctx;
	int64_t done, healed_done; /* when faults were over */
	int64_t key, value;
	size_t op; /* in the history */
};

struct fact { /* an entry that was committed */
	int64_t term, commit_term;
	uint32_t crc, chain; /* chain: with all before it */
};

struct conf_fact { /* a configuration that was committed */
	int64_t index;
	void *bytes;
	size_t len;
};

struct seen { /* an entry that is in some log: one per index and term */
	int64_t index, term, before;
	uint32_t crc;
};

struct event {
	int64_t at, order;
	struct raft_msg msg; /* owns what it points at */
};

/* What happened in a world, or in many. */
struct totals {
	int64_t events, messages, commits, reads, crashes, elections, changes,
		joints;
	int64_t snapshots, installs, pauses, failed_writes, rots, stuck,
		transfers, refused;
	int64_t died_at[POINTS];
};

struct world {
	int64_t now;
	struct rand rand;
	uint64_t hash;                     /* of every event so far */
	struct server server[SERVERS + 1]; /* by id */
	struct client client[CLIENTS + 1];
	struct event *event; /* a heap by time */
	size_t n_events, events_cap;
	int64_t order, next_fault, next_client;
	bool calm;    /* faults are over */
	bool quiet;   /* and nobody begins anything */
	bool lenient; /* raft_rules.h does not count, only what comes of it */
	struct totals t;
	char broken[512]; /* the promise that did not hold */

	/* the seed's settings; 0 is the core's */
	bool alone; /* server 1 founds the cluster */
	int clients;
	int64_t election_min_ms, election_max_ms, heartbeat_ms, piece_ms;
	int64_t client_gap_us; /* at most, between what clients do */
	uint64_t fault_gap_ms;
	uint64_t faults;        /* the kinds there are, one bit each */
	int64_t snapshot_every; /* entries; 0: never */
	size_t max_append, max_uncommitted, max_jobs, max_data;
	int max_inflight, max_reads;
	bool in_order; /* appends, as on one connection */

	/* the network */
	unsigned drop, dup, late; /* of 1000 messages */
	int64_t delay_us;
	int64_t last_append[SERVERS + 1][SERVERS + 1];
	bool cut[SERVERS + 1][SERVERS + 1]; /* from, to */
	bool starved[SERVERS + 1]; /* pieces of snapshots do not get there */

	/* what is known to be so */
	struct fact *fact;
	size_t n_facts, facts_cap, healed_facts;
	struct seen *seen; /* open hash */
	size_t n_seen, seen_cap;
	int64_t *leader; /* by term */
	size_t leaders_cap;
	struct raft_conf conf; /* the last that was committed */
	struct conf_fact *conf_fact;
	size_t n_confs, confs_cap;
	int64_t floor;         /* newest index somebody was told of */
	struct linear history; /* what clients did, in moments */
	int64_t moment;
};

static uint64_t chance(struct world *w, uint64_t n)
{
	return rand_below(&w->rand, n);
}

__attribute__((format(printf, 2, 3))) static void broken(struct world *w,
							 const char *fmt, ...)
{
	va_list ap;

	if (w->broken[0])
		return;
	va_start(ap, fmt);
	vsnprintf(w->broken, sizeof(w->broken), fmt, ap);
	va_end(ap);
}

/* Two builds, or two runs, that do the same have the same hash. */
static void note(struct world *w, int64_t a, int64_t b)
{
	w->hash = rand_mix(w->hash * 31 + (uint64_t)a) + (uint64_t)b;
}

/* ---- entries ---- */

static struct raft_entry entry_copy(const struct raft_entry *e)
{
	struct raft_entry to = *e;

	to.conf = mem_dup(e->conf, e->conf_len);
	to.data = mem_dup(e->data, e->len);
	return to;
}

static struct raft_entry *entries_copy(const struct raft_entry *e, size_t n)
{
	struct raft_entry *to = mem_zero(n + 1, sizeof(*to));

	for (size_t i = 0; i < n; i++)
		to[i] = entry_copy(&e[i]);
	return to;
}

static void entry_free(const struct raft_entry *e)
{
	free((void *)e->conf);
	free((void *)e->data);
}

static void entries_free(const struct raft_entry *e, size_t n)
{
	for (size_t i = 0; i < n; i++)
		entry_free(&e[i]);
	free((void *)e);
}

static struct raft_msg msg_copy(const struct raft_msg *m)
{
	struct raft_msg to = *m;

	to.entries = entries_copy(m->entries, m->n);
	to.conf = mem_dup(m->conf, m->conf_len);
	to.data = mem_dup(m->data, m->len);
	return to;
}

static void msg_free(const struct raft_msg *m)
{
	entries_free(m->entries, m->n);
	free((void *)m->conf);
	free((void *)m->data);
}

static uint32_t entry_crc(const struct raft_entry *e)
{
	int64_t head[] = {e->index, e->term, e->type, e->client, e->seq};
	uint32_t crc = crc32c_of(0, head, sizeof(head));

	return crc32c_of(crc32c_of(crc, e->conf, e->conf_len), e->data, e->len);
}

/* ---- network: a heap of messages ---- */

static bool sooner(const struct event *a, const struct event *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

/* Takes m. */
static void event_put(struct world *w, int64_t at, const struct raft_msg *m)
{
	struct event e = {at, w->order++, *m};
	size_t i = w->n_events++;

	w->event = mem_grow(w->event, &w->events_cap, w->n_events,
			    sizeof(*w->event));
	for (; i && sooner(&e, &w->event[(i - 1) / 2]); i = (i - 1) / 2)
		w->event[i] = w->event[(i - 1) / 2];
	w->event[i] = e;
}

static struct event event_take(struct world *w)
{
	struct event first = w->event[0], last = w->event[--w->n_events];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < w->n_events) {
		if (child + 1 < w->n_events &&
		    sooner(&w->event[child + 1], &w->event[child]))
			child++;
		if (!sooner(&w->event[child], &last))
			break;
		w->event[i] = w->event[child];
		i = child;
	}
	w->event[i] = last;
	return first;
}

static void net_send(struct world *w, const struct raft_msg *m)
{
	unsigned copies = 1 + (w->dup && chance(w, 1000) < w->dup);
	int64_t *last = &w->last_append[m->from][m->to];
	struct raft_msg own;

	w->t.messages++;
	for (unsigned i = 0; i < copies; i++) {
		int64_t at = w->now + 200 +
			     (int64_t)chance(w, (uint64_t)w->delay_us);
		bool late = w->late && chance(w, 1000) < w->late;
		bool ordered = m->type == RAFT_APPEND && w->in_order && !late;

		if (w->drop && chance(w, 1000) < w->drop)
			continue;
		if (late) /* perhaps from a term long past by then */
			at += (int64_t)chance(w, 3000000);
		if (ordered && at < *last)
			at = *last;
		if (ordered)
			*last = at;
		own = msg_copy(m);
		event_put(w, at, &own);
	}
}

#endif
