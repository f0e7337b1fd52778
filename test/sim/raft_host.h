/* raft_host.h - what a host does after an input, and where it may die while it
 * does so. */
#ifndef RAFT_HOST_H
#define RAFT_HOST_H

#include "raft_client.h"
#include "raft_rules.h"

/* Every promise, after an event at s. */
static void check_server(struct world *w, struct server *s)
{
	struct raft_status st;

	raft_status(s->r, &st);
	w->t.events++;
	note(w, w->now, s->id << 4 | st.role);
	note(w, st.last << 32 | st.commit, st.term << 32 | st.durable);
	check_forward(w, s, &st);
	if (st.role == RAFT_LEADER)
		check_leader(w, s, &st);
	if (st.commit != s->seen_commit)
		check_commit(w, s, &st);
	check_rules(w, s, &st);
	s->was = st;
}

static bool take_writes(struct world *w, struct server *s)
{
	struct raft_write wr;

	while (s->n_jobs < w->max_jobs && raft_next_write(s->r, &wr)) {
		for (size_t i = 0; i < wr.n; i++)
			check_matching(w, s, &wr.entries[i]);
		job_write(w, s, &wr);
		if (dies_at(w, s, POINT_GIVEN))
			return false;
	}
	return true;
}

static bool send_all(struct world *w, struct server *s)
{
	struct raft_msg m;
	bool any = false;

	while (raft_next_msg(s->r, &m)) {
		check_said(w, s, &m);
		if (m.type == RAFT_PIECE)
			m.data = s->disk.bytes + m.hint;
		net_send(w, &m);
		any = true;
		if (dies_at(w, s, POINT_SENDING))
			return false;
	}
	return !any || !dies_at(w, s, POINT_SENT);
}

static bool apply_all(struct world *w, struct server *s)
{
	const struct raft_entry *e;
	struct raft_snapshot snap;

	while (raft_next_restore(s->r, &snap))
		image_restore(w, s, &snap, s->disk.bytes);
	while ((e = raft_next_apply(s->r))) {
		apply(w, s, e);
		if (dies_at(w, s, POINT_APPLYING))
			return false;
	}
	return true;
}

static void drain(struct world *w, struct server *s)
{
	struct raft_read rd;

	check_server(w, s);
	if (dies_at(w, s, POINT_INPUT) || !take_writes(w, s) ||
	    !send_all(w, s) || !apply_all(w, s))
		return;
	while (raft_next_read(s->r, &rd))
		client_read_done(w, s, &rd);
	deadline_set(s);
	if (!s->failed && job_snapshot_due(w, s))
		(void)dies_at(w, s, POINT_TAKEN);
}

/* What is sent to a server that is stopped waits for it. That a connection is
 * broken, its sender may be told. */
static void deliver(struct world *w)
{
	struct event e = event_take(w);
	struct server *s = &w->server[e.msg.to];
	struct server *from = &w->server[e.msg.from];
	bool lost = w->cut[e.msg.from][e.msg.to] ||
		    (e.msg.type == RAFT_PIECE && w->starved[e.msg.to]);
	struct err err;
	int rc;

	if (s->woken) {
		event_put(w, s->woken, &e.msg);
		return;
	}
	note(w, (int64_t)e.msg.type << 32 | e.msg.from << 16 | e.msg.to,
	     e.msg.index);
	if (s->r && !lost) {
		rc = raft_step(s->r, local_ms(w, s), &e.msg, &err);
		if (rc && rc != ERR_UNAVAILABLE)
			broken(w, "%s", err.msg);
		drain(w, s);
	} else if (from->r && !from->woken && chance(w, 8) == 0) {
		raft_unreachable(from->r, local_ms(w, from), s->id);
		drain(w, from);
	}
	msg_free(&e.msg);
}

/* The snapshot in this job is stored: unless a newer one came in meanwhile. */
static void compacted(struct world *w, struct server *s, const struct job *j)
{
	struct raft_status st;
	struct err err;

	raft_status(s->r, &st);
	if (j->own.index && st.snapshot <= j->own.index)
		must(w,
		     raft_compact(s->r, local_ms(w, s), &j->own, j->first,
				  &err),
		     &err);
}

static enum point point_of(const struct job *j)
{
	if (j->own.index)
		return POINT_COMPACTED;
	if (!j->w.piece)
		return POINT_STORED;
	return j->w.piece->complete ? POINT_WHOLE : POINT_PIECE;
}

/* Nobody knows what a write that failed has left. */
static void fail_write(struct world *w, struct server *s)
{
	w->t.failed_writes++;
	s->write_fails = false;
	s->failed = true;
	raft_write_failed(s->r, local_ms(w, s));
	s->dies = w->now + (int64_t)chance(w, 100) * MS;
	s->job[0].due = s->jobs_due = INT64_MAX;
	drain(w, s);
}

/* The first write is durable. False: the server died of it. */
static bool finish_write(struct world *w, struct server *s, int64_t *seq)
{
	struct job j = job_take(s);
	bool lives;

	job_store(w, s, &j);
	lives = !dies_at(w, s, point_of(&j));
	if (lives && !j.own.index)
		*seq = j.w.seq;
	if (lives)
		compacted(w, s, &j);
	job_free(&j);
	return lives && (!s->n_jobs || !dies_at(w, s, POINT_BETWEEN));
}

/* Writes that are due are stored; the host may tell of several at once. */
static void finish_writes(struct world *w, struct server *s)
{
	int64_t seq = 0;

	if (s->write_fails) {
		fail_write(w, s);
		return;
	}
	do {
		if (!finish_write(w, s, &seq))
			return;
	} while (s->n_jobs && s->job[0].due < w->now + MS);
	if (seq)
		raft_written(s->r, local_ms(w, s), seq);
	if (!dies_at(w, s, POINT_TOLD))
		drain(w, s);
}

#endif
