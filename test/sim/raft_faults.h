/* raft_faults.h - what goes wrong, and the run as a whole. */
#ifndef RAFT_FAULTS_H
#define RAFT_FAULTS_H

#include "raft_client.h"

/* What a host does after an input. */
static void drain(struct world *w, struct server *s)
{
	const struct raft_entry *e;
	struct raft_write wr;
	struct raft_snapshot snap;
	struct raft_read rd;
	struct raft_msg m;

	while (s->n_jobs < w->max_jobs && raft_next_write(s->r, &wr)) {
		for (size_t i = 0; i < wr.n; i++)
			check_matching(w, s, &wr.entries[i]);
		job_write(w, s, &wr);
	}
	while (raft_next_msg(s->r, &m)) {
		if (m.type == RAFT_PIECE)
			m.data = s->disk.bytes + m.hint;
		net_send(w, &m);
	}
	check_server(w, s);
	while (raft_next_restore(s->r, &snap))
		image_restore(w, s, &snap, s->disk.bytes);
	while ((e = raft_next_apply(s->r)))
		apply(w, s, e);
	while (raft_next_read(s->r, &rd))
		client_read_done(w, s, &rd);
	job_snapshot_due(w, s);
}

static void deliver(struct world *w)
{
	struct event e = event_take(w);
	struct server *s = &w->server[e.msg.to];
	struct err err;
	int rc;

	if (s->r && !w->cut[e.msg.from][e.msg.to]) {
		rc = raft_step(s->r, local_ms(w, s), &e.msg, &err);
		if (rc && rc != ERR_UNAVAILABLE)
			broken(w, "%s", err.msg);
		drain(w, s);
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

/* Writes that are due are stored; the host may tell of several at once. */
static void finish_writes(struct world *w, struct server *s)
{
	int64_t seq = 0;

	if (s->write_fails) {
		s->write_fails = false;
		raft_write_failed(s->r, local_ms(w, s));
		server_crash(w, s, w->now + 100 * MS);
		return;
	}
	do {
		if (!s->job[0].own.index)
			seq = s->job[0].w.seq;
		job_store(w, s);
		compacted(w, s, &s->job[0]);
		job_drop(s);
	} while (s->n_jobs && s->job[0].due < w->now + MS);
	if (seq)
		raft_written(s->r, local_ms(w, s), seq);
	drain(w, s);
}

/* ---- faults ---- */

static void heal(struct world *w)
{
	memset(w->cut, 0, sizeof(w->cut));
	w->drop = w->dup = 0;
	w->delay_us = 1000;
}

static void fault_network(struct world *w)
{
	unsigned side = (unsigned)chance(w, 1 << (SERVERS + 1));
	bool both = chance(w, 2);

	memset(w->cut, 0, sizeof(w->cut));
	for (int a = 1; a <= SERVERS; a++)
		for (int b = 1; b <= SERVERS; b++)
			w->cut[a][b] = (side >> a & 1) != (side >> b & 1) &&
				       (both || (side >> a & 1));
}

static void fault_links(struct world *w)
{
	w->drop = (unsigned)(chance(w, 3) ? chance(w, 50) : chance(w, 400));
	w->dup = (unsigned)chance(w, 200);
	w->delay_us = 500 + (int64_t)chance(w, chance(w, 3) ? 5000 : 100000);
}

static void fault_clock(struct world *w, struct server *s)
{
	double rate = 0.7 + 0.1 * (double)chance(w, 7);

	clock_set(w, s, rate, chance(w, 4) ? 0 : (double)chance(w, 400));
}

static void fault_disk(struct world *w, struct server *s)
{
	s->write_us = 1000 + (int64_t)chance(w, chance(w, 2) ? 5000 : 300000);
	if (chance(w, 8) == 0)
		s->write_fails = true;
}

static struct server *some_leader(struct world *w)
{
	size_t first = chance(w, SERVERS);

	for (size_t i = 0; i < SERVERS; i++) {
		struct server *s = &w->server[1 + (first + i) % SERVERS];
		struct raft_status st;

		if (!s->r)
			continue;
		raft_status(s->r, &st);
		if (st.role == RAFT_LEADER)
			return s;
	}
	return NULL;
}

/* A voter goes or becomes a standby; who is new gets no vote at first. */
static enum raft_member_role other_role(struct world *w,
					enum raft_member_role was)
{
	if (was == RAFT_VOTER)
		return (enum raft_member_role)(chance(w, 2) * 2);
	if (was == RAFT_NONE || chance(w, 4) == 0)
		return (enum raft_member_role)(2 + chance(w, 2));
	return RAFT_VOTER;
}

/* One member or a few, who follow each other in some order. */
static void fault_member(struct world *w)
{
	struct server *s = some_leader(w);
	struct raft_member to[4];
	struct raft_entry e = {0};
	struct raft_status st;
	int64_t id = 1 + (int64_t)chance(w, SERVERS), index, term;
	size_t n = chance(w, 2) ? 1 : 2 + chance(w, 3);
	struct err err;

	if (!s)
		return;
	for (size_t i = 0; i < n; i++, id = id % SERVERS + 1)
		to[i] = (struct raft_member){
			.id = id,
			.role = other_role(w,
					   raft_conf_role(raft_conf(s->r), id)),
		};
	if (!raft_change_many(s->r, local_ms(w, s), to, n, &e, &index, &term,
			      &err)) {
		raft_status(s->r, &st);
		w->changes++;
		w->joints += st.joint;
	}
	drain(w, s);
}

static void fault_transfer(struct world *w)
{
	struct server *s = some_leader(w);
	int64_t to = chance(w, 2) ? 0 : 1 + (int64_t)chance(w, SERVERS);
	struct err err;

	if (!s || raft_transfer(s->r, local_ms(w, s), to, &err))
		return;
	drain(w, s);
}

static void fault(struct world *w)
{
	struct server *s = &w->server[1 + chance(w, SERVERS)];
	int64_t later =
		w->now + (1 + (int64_t)chance(w, chance(w, 2) ? 20 : 600)) * MS;

	w->next_fault = w->now + (1 + (int64_t)chance(w, w->fault_gap_ms)) * MS;
	switch (chance(w, 12)) {
	case 0:
	case 1:
		server_crash(w, s, later);
		break;
	case 2:
		if (some_leader(w))
			server_crash(w, some_leader(w), later);
		break;
	case 3:
		fault_network(w);
		break;
	case 4:
		fault_links(w);
		break;
	case 5:
		fault_clock(w, s);
		break;
	case 6:
		fault_disk(w, s);
		break;
	case 7:
	case 8:
		fault_member(w);
		break;
	case 9:
		fault_transfer(w);
		break;
	default:
		heal(w);
		break;
	}
}

static void calm_down(struct world *w)
{
	w->calm = true;
	heal(w);
	for (int i = 1; i <= SERVERS; i++) {
		struct server *s = &w->server[i];

		clock_set(w, s, 1, 0);
		s->write_us = 1000;
		s->write_fails = false;
		if (!s->r)
			s->back = w->now;
	}
}

#endif
