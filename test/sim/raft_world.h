/* raft_world.h - a cluster on a virtual clock, with disks and a network that
 * fail as the seed says. Included by the two programs that run it, of which
 * one compiles the core itself with rules broken.
 *
 * raft_check.h has the promises that are checked after each event,
 * raft_client.h who uses the cluster, raft_faults.h what goes wrong. */
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
#include "raft/raft.h"
#include "raft/session.h"

enum { SERVERS = 7, CLIENTS = 5 };

static const int64_t MS = 1000; /* the world's clock counts microseconds */

struct disk {
	int64_t term, vote, commit;
	struct raft_entry *e; /* e[0] has index 1 */
	size_t n, cap;
};

struct job { /* a write under way */
	struct raft_write w;
	int64_t due;
};

/* What the entries make: the sessions, and by whom how much was done. */
struct machine {
	int64_t index;
	struct sessions *sessions;
	int64_t effects[CLIENTS + 1];
};

struct server {
	struct raft *r;         /* NULL while down */
	int64_t id, life, back; /* back: when it starts again */
	double rate;            /* its clock: base_ms + (now - from) * rate */
	double base_ms;
	int64_t from;
	int64_t write_us; /* how long a write takes, at most */
	bool write_fails; /* the next one does */
	struct disk disk;
	struct job *job;
	size_t n_jobs, jobs_cap;
	int64_t jobs_due;
	struct machine machine;
	int64_t seen_commit, seen_term;
};

struct client {
	int64_t id, seq;
	bool busy, reading, sent;
	int64_t floor; /* what was done before this began */
	int64_t retry; /* when to try again */
	int64_t server, life, index, term, ctx;
	int64_t done;
};

struct fact { /* an entry that was committed */
	int64_t term, commit_term;
	uint32_t crc;
};

struct seen { /* an entry that is in some log: one per index and term */
	int64_t index, term, before;
	uint32_t crc;
};

struct event {
	int64_t at, order;
	struct raft_msg msg; /* owns its entries */
};

struct world {
	int64_t now, end;
	struct rand rand;
	struct server server[SERVERS + 1]; /* by id */
	struct client client[CLIENTS + 1];
	struct event *event; /* a heap by time */
	size_t n_events, events_cap;
	int64_t order, next_fault, next_client;
	uint64_t fault_gap_ms;
	bool calm;  /* faults are over */
	bool alone; /* server 1 founds the cluster */

	unsigned drop, dup; /* of 1000 messages */
	int64_t delay_us;
	bool in_order; /* appends, as on one connection */
	int64_t last_append[SERVERS + 1][SERVERS + 1];
	bool cut[SERVERS + 1][SERVERS + 1]; /* from, to */

	struct fact *fact;
	size_t n_facts, facts_cap;
	struct seen *seen; /* open hash */
	size_t n_seen, seen_cap;
	int64_t *leader; /* by term */
	size_t leaders_cap;
	int64_t floor; /* newest index somebody was told of */
	int64_t messages, crashes, elections, changes, reads;
	size_t max_append, max_uncommitted, max_jobs;
	int max_inflight;
	char broken[256]; /* the promise that did not hold */
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

static void event_add(struct world *w, int64_t at, const struct raft_msg *m)
{
	struct event e = {at, w->order++, *m};
	size_t i = w->n_events++;

	e.msg.entries = entries_copy(m->entries, m->n);
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
	unsigned copies = 1 + (chance(w, 1000) < w->dup);
	int64_t *last = &w->last_append[m->from][m->to];

	w->messages++;
	for (unsigned i = 0; i < copies; i++) {
		int64_t delay = 200 + (int64_t)chance(w, (uint64_t)w->delay_us);

		if (chance(w, 1000) < w->drop)
			continue;
		if (w->in_order && m->type == RAFT_APPEND &&
		    w->now + delay < *last)
			delay = *last - w->now;
		if (m->type == RAFT_APPEND)
			*last = w->now + delay;
		event_add(w, w->now + delay, m);
	}
}

/* ---- disk ---- */

static void disk_cut(struct disk *d, int64_t from)
{
	while ((int64_t)d->n >= from)
		entry_free(&d->e[--d->n]);
}

static void disk_store(struct world *w, struct server *s,
		       const struct raft_write *wr)
{
	struct disk *d = &s->disk;

	if (wr->term < d->term ||
	    (wr->term == d->term && d->vote && wr->vote != d->vote))
		broken(w, "server %" PRId64 " forgets term %" PRId64, s->id,
		       d->term);
	d->term = wr->term;
	d->vote = wr->vote;
	d->commit = wr->commit;
	if (wr->truncate_from)
		disk_cut(d, wr->truncate_from);
	for (size_t i = 0; i < wr->n; i++) {
		if (wr->entries[i].index != (int64_t)d->n + 1)
			broken(w, "server %" PRId64 " leaves a gap", s->id);
		d->e = mem_grow(d->e, &d->cap, d->n + 1, sizeof(*d->e));
		d->e[d->n++] = entry_copy(&wr->entries[i]);
	}
}

static void job_drop(struct server *s)
{
	entries_free(s->job[0].w.entries, s->job[0].w.n);
	memmove(s->job, s->job + 1, --s->n_jobs * sizeof(*s->job));
}

static void job_add(struct world *w, struct server *s,
		    const struct raft_write *wr)
{
	struct job j = {*wr, w->now};

	if (s->jobs_due > j.due)
		j.due = s->jobs_due;
	j.due += 100 + (int64_t)chance(w, (uint64_t)s->write_us);
	s->jobs_due = j.due;
	j.w.entries = entries_copy(wr->entries, wr->n);
	s->job = mem_grow(s->job, &s->jobs_cap, s->n_jobs + 1, sizeof(*s->job));
	s->job[s->n_jobs++] = j;
}

/* ---- servers ---- */

static int64_t local_ms(const struct world *w, const struct server *s)
{
	return (int64_t)(s->base_ms +
			 (double)(w->now - s->from) / 1000.0 * s->rate);
}

static void clock_set(struct world *w, struct server *s, double rate,
		      double jump_ms)
{
	s->base_ms += (double)(w->now - s->from) / 1000.0 * s->rate + jump_ms;
	s->from = w->now;
	s->rate = rate;
}

static void must(struct world *w, int rc, const struct err *err)
{
	if (rc)
		broken(w, "%s", err->msg);
}

static void server_start(struct world *w, struct server *s)
{
	struct raft_config c = {
		.id = s->id,
		.seed = rand_next(&w->rand),
		.term = s->disk.term,
		.vote = s->disk.vote,
		.commit = s->disk.commit,
		.max_append = w->max_append,
		.max_uncommitted = w->max_uncommitted,
		.max_entry = 4096,
		.max_inflight = w->max_inflight,
	};
	struct err err;

	must(w, raft_open(&s->r, &c, &err), &err);
	for (size_t i = 0; i < s->disk.n; i++)
		must(w, raft_load(s->r, &s->disk.e[i], &err), &err);
	must(w, raft_start(s->r, local_ms(w, s), &err), &err);
	if (w->alone && s->id == 1 && !s->disk.term)
		must(w, raft_bootstrap(s->r, local_ms(w, s), "", 0, &err),
		     &err);
	s->life++;
	s->seen_commit = 0;
	s->machine = (struct machine){.sessions = sessions_new(64, 64)};
}

/* A crash: of the writes under way the first few may be there nevertheless.
 */
static void server_crash(struct world *w, struct server *s, int64_t back)
{
	size_t lucky = chance(w, s->n_jobs + 1);

	if (!s->r)
		return;
	w->crashes++;
	for (size_t i = 0; s->n_jobs; i++) {
		if (i < lucky)
			disk_store(w, s, &s->job[0].w);
		job_drop(s);
	}
	s->jobs_due = 0;
	raft_close(s->r);
	s->r = NULL;
	sessions_free(s->machine.sessions);
	s->machine.sessions = NULL;
	s->back = back;
}

#endif
