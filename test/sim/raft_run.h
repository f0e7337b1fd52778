/* raft_run.h - one seed: some seconds of faults, then some of peace, in which
 * everything must come to its end. */
#ifndef RAFT_RUN_H
#define RAFT_RUN_H

#include "raft_faults.h"

/* Faults first, then time to recover: what a few elections may take. */
static const int64_t STORM_MS = 5000, CALM_MS = 6000;

/* At the end nobody proposes: heartbeats to the others and their answers, and
 * what removed servers ask. */
static const int64_t IDLE_MS = 500, IDLE_MAX = 2 * (SERVERS - 1) * 11 + 200;

static void found(struct world *w, struct server *s, int n)
{
	struct raft_member m[SERVERS];
	struct raft_conf conf = {m, n};
	struct raft_entry e = {.index = 1, .term = 1, .type = RAFT_CONFIG};
	struct raft_write wr = {.term = 1, .entries = &e, .n = 1};
	void *bytes;

	for (int i = 0; i < n; i++)
		m[i] = (struct raft_member){.id = i + 1, .role = RAFT_VOTER};
	e.conf_len = raft_conf_encode(&conf, &bytes);
	e.conf = bytes;
	disk_store(w, s, &wr);
	free(bytes);
}

/* voters 0: as the seed says. */
static void world_init(struct world *w, uint64_t seed, int voters)
{
	static const size_t append[] = {1, 400, 1 << 20};

	*w = (struct world){.rand = {seed}};
	w->max_append = append[chance(w, 3)];
	/* one entry a message and one message a round trip would be too slow
	 * for the clients there are */
	w->max_inflight = w->max_append == 1 || chance(w, 2) ? 16 : 1;
	w->max_uncommitted = chance(w, 2) ? 4096 : 1 << 20;
	w->in_order = chance(w, 2);
	w->fault_gap_ms = 20 + 200 * chance(w, 2);
	w->max_jobs = 1 + chance(w, 4);
	w->snapshot_every = chance(w, 4) ? 10 + (int64_t)chance(w, 300) : 0;
	if (!voters)
		voters = (int)(1 + chance(w, 5));
	w->alone = voters == 1;
	heal(w);
	w->end = (STORM_MS + CALM_MS) * MS;
	for (int i = 1; i <= SERVERS; i++) {
		struct server *s = &w->server[i];

		s->id = i;
		s->rate = 1;
		s->base_ms = (double)chance(w, 1000000);
		s->write_us = 1000;
		if (i <= voters && voters > 1)
			found(w, s, voters);
		server_start(w, s);
	}
	drain(w, &w->server[1]);
	for (int i = 1; i <= CLIENTS; i++)
		w->client[i] = (struct client){.id = i, .ctx = i};
}

static void world_release(struct world *w)
{
	w->broken[255] = 0;
	for (int i = 1; i <= SERVERS; i++) {
		struct server *s = &w->server[i];

		server_crash(w, s, 0);
		disk_free(&s->disk);
		free(s->job);
	}
	while (w->n_events) {
		struct event e = event_take(w);

		msg_free(&e.msg);
	}
	free(w->event);
	free(w->fact);
	free(w->seen);
	free(w->leader);
}

/* When something happens next on this server, in the world's time. */
static int64_t server_due(const struct world *w, const struct server *s)
{
	int64_t deadline, due;

	if (!s->r)
		return s->back;
	deadline = raft_deadline(s->r);
	if (deadline == INT64_MAX)
		due = INT64_MAX;
	else
		due = s->from +
		      (int64_t)(((double)deadline + 0.001 - s->base_ms) /
				s->rate * 1000.0) +
		      1;
	if (s->n_jobs && s->job[0].due < due)
		due = s->job[0].due;
	return due < w->now ? w->now : due;
}

static void server_turn(struct world *w, struct server *s)
{
	if (!s->r) {
		server_start(w, s);
		drain(w, s);
	} else if (s->n_jobs && s->job[0].due <= w->now) {
		finish_writes(w, s);
	} else {
		raft_tick(s->r, local_ms(w, s));
		drain(w, s);
	}
}

static void clients_turn(struct world *w)
{
	w->next_client = w->now + 1 * MS + (int64_t)chance(w, 4000);
	for (int i = 1; i <= CLIENTS; i++) {
		struct server *s = client_step(w, &w->client[i]);

		if (s)
			drain(w, s);
	}
}

/* The next thing in time: a message, a server's timer or disk, the clients, a
 * fault. */
static void world_step(struct world *w)
{
	struct server *first = NULL;
	int64_t at = w->next_client;

	for (int i = 1; i <= SERVERS; i++) {
		int64_t due = server_due(w, &w->server[i]);

		if (due < at) {
			at = due;
			first = &w->server[i];
		}
	}
	if (!w->calm && w->next_fault < at) {
		w->now = w->next_fault;
		fault(w);
	} else if (w->n_events && w->event[0].at < at) {
		w->now = w->event[0].at;
		deliver(w);
	} else if (first) {
		w->now = at;
		server_turn(w, first);
	} else {
		w->now = at;
		clients_turn(w);
	}
}

/* In peace all proposals end, and all members have all entries. */
static void check_live(struct world *w, const int64_t *done)
{
	struct server *l = some_leader(w);
	const struct raft_conf *conf = l ? raft_conf(l->r) : NULL;

	if (!l)
		return broken(w, "liveness: no leader");
	for (int i = 1; i <= CLIENTS; i++)
		if (w->client[i].busy || w->client[i].done < done[i] + 10)
			broken(w, "liveness: client %d is stuck", i);
	for (int i = 0; i < conf->n; i++) {
		struct server *s = &w->server[conf->member[i].id];

		if (s->machine.index != (int64_t)w->n_facts)
			broken(w,
			       "liveness: member %" PRId64
			       " has applied %" PRId64 " of %zu",
			       s->id, s->machine.index, w->n_facts);
	}
}

/* Run a seed; w->broken says what did not hold. The caller releases w. */
static inline void world_run(struct world *w, uint64_t seed)
{
	int64_t done[CLIENTS + 1] = {0}, idle = 0;

	world_init(w, seed, 0);
	while (w->now < STORM_MS * MS && !w->broken[0])
		world_step(w);
	calm_down(w);
	for (int i = 1; i <= CLIENTS; i++)
		done[i] = w->client[i].done;
	while (w->now < w->end && !w->broken[0]) {
		world_step(w);
		if (w->now < w->end - IDLE_MS * MS)
			idle = w->messages;
	}
	idle = w->messages - idle;
	if (!w->broken[0])
		check_live(w, done);
	if (!w->broken[0] && idle > IDLE_MAX)
		broken(w, "%" PRId64 " messages where none had to be said",
		       idle);
}

#endif
