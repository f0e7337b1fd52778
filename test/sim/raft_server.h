/* raft_server.h - a server: its clock, its start, its end. */
#ifndef RAFT_SERVER_H
#define RAFT_SERVER_H

#include "raft_disk.h"

/* ---- its clock ---- */

static int64_t local_us(const struct world *w, const struct server *s)
{
	return s->base_us + (w->now - s->from) * s->rate / 1000;
}

static int64_t local_ms(const struct world *w, const struct server *s)
{
	return local_us(w, s) / MS;
}

/* When that clock shows ms, if it goes on as it does. */
static int64_t world_us(const struct server *s, int64_t ms)
{
	int64_t left = ms * MS - s->base_us;

	return left < 0 ? s->from
			: s->from + (left * 1000 + s->rate - 1) / s->rate;
}

/* ---- its life ---- */

/* After an input, and when its clock was set. */
static void deadline_set(struct server *s)
{
	int64_t ms = s->r ? raft_deadline(s->r) : INT64_MAX;

	s->deadline_us = ms == INT64_MAX ? ms : world_us(s, ms);
}

static void clock_set(struct world *w, struct server *s, int64_t rate,
		      int64_t jump_ms)
{
	s->base_us = local_us(w, s) + jump_ms * MS;
	s->from = w->now;
	s->rate = rate;
	deadline_set(s);
}

static void must(struct world *w, int rc, const struct err *err)
{
	if (rc)
		broken(w, "%s", err->msg);
}

/* What the disk has. */
static void server_load(struct world *w, struct server *s)
{
	const struct disk *d = &s->disk;
	struct err err;

	if (d->snap.index) {
		must(w, raft_load_snapshot(s->r, &d->snap, &err), &err);
		image_restore(w, s, &d->snap, d->bytes);
	}
	if (d->next.index)
		must(w, raft_load_pieces(s->r, &d->next, d->got, &err), &err);
	for (int64_t i = d->snap.index + 1; i <= disk_last(d); i++)
		must(w, raft_load(s->r, disk_entry(d, i), &err), &err);
}

static void server_start(struct world *w, struct server *s)
{
	struct raft_config c = {
		.id = s->id,
		.seed = rand_next(&w->rand),
		.election_min_ms = w->election_min_ms,
		.election_max_ms = w->election_max_ms,
		.heartbeat_ms = w->heartbeat_ms,
		.piece_ms = w->piece_ms,
		.term = s->disk.term,
		.vote = s->disk.vote,
		.commit = s->disk.commit,
		.floor_index = s->disk.floor_index,
		.floor_term = s->disk.floor_term,
		.max_append = s->max_append ? s->max_append : w->max_append,
		.max_uncommitted = w->max_uncommitted,
		.max_entry = 4096,
		.max_inflight = w->max_inflight,
		.max_reads = w->max_reads,
	};
	struct err err;

	s->machine = (struct machine){.sessions = sessions_new(64, 64)};
	must(w, raft_open(&s->r, &c, &err), &err);
	server_load(w, s);
	must(w, raft_start(s->r, local_ms(w, s), &err), &err);
	if (w->alone && s->id == 1 && !s->disk.term)
		must(w, raft_bootstrap(s->r, local_ms(w, s), "", 0, &err),
		     &err);
	s->life++;
	s->led_term = 0; /* it never leads that one again */
	s->seen_commit = s->disk.snap.index;
	raft_status(s->r, &s->was);
}

/* It ends, and of the writes under way the first few are durable nevertheless.
 */
static void server_die(struct world *w, struct server *s, size_t lucky,
		       int64_t back)
{
	w->t.crashes++;
	jobs_end(w, s, lucky);
	raft_close(s->r);
	sessions_free(s->machine.sessions);
	s->r = NULL;
	s->machine.sessions = NULL;
	s->dies = s->woken = 0;
	s->dies_at = POINT_NONE;
	s->failed = s->write_fails = false;
	s->back = back;
}

static void server_crash(struct world *w, struct server *s, int64_t back)
{
	if (s->r)
		server_die(w, s, chance(w, s->n_jobs + 1), back);
}

/* A server comes to this point. True if it ends there, and then all that it
 * wrote and nobody waited for may be gone. */
static bool dies_at(struct world *w, struct server *s, enum point at)
{
	if (s->dies_at != at || s->in-- > 0)
		return false;
	w->t.died_at[at]++;
	server_die(w, s, chance(w, 2) ? 0 : chance(w, s->n_jobs + 1),
		   w->now + (1 + (int64_t)chance(w, 100)) * MS);
	return true;
}

#endif
