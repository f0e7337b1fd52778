/* raft_server.h - a server: its clock, its start, its end. */
#ifndef RAFT_SERVER_H
#define RAFT_SERVER_H

#include "raft_disk.h"

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
		.term = s->disk.term,
		.vote = s->disk.vote,
		.commit = s->disk.commit,
		.max_append = w->max_append,
		.max_uncommitted = w->max_uncommitted,
		.max_entry = 4096,
		.max_inflight = w->max_inflight,
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
	s->seen_commit = s->disk.snap.index;
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
			job_store(w, s);
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
