/* raft_run.h - one seed: a cluster with its own settings, some seconds of
 * faults, then peace, in which everything must come to its end. */
#ifndef RAFT_RUN_H
#define RAFT_RUN_H

#include "raft_faults.h"

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

/* ---- settings ---- */

static void choose_timeouts(struct world *w)
{
	int64_t min = 60 + (int64_t)chance(w, 240);

	w->election_min_ms = min;
	w->election_max_ms = min + min / 2 + (int64_t)chance(w, 300);
	w->heartbeat_ms = min / 6 + (int64_t)chance(w, (uint64_t)min / 4);
	w->piece_ms = 50 + (int64_t)chance(w, 1000);
}

static void choose_sizes(struct world *w)
{
	static const size_t append[] = {1, 150, 400, 2000, 1 << 20};

	w->max_append = append[chance(w, 5)];
	/* one entry a message and one message a round trip would be too slow
	 * for the clients there are */
	w->max_inflight =
		w->max_append == 1 || chance(w, 2) ? 2 + (int)chance(w, 20) : 1;
	w->max_uncommitted = chance(w, 2) ? 4096 : 1 << 20;
	w->max_reads = chance(w, 4) ? 0 : 1 + (int)chance(w, 3);
	w->max_data = chance(w, 3) ? 48 : 1500;
	w->max_jobs = 1 + chance(w, 4);
	w->snapshot_every = chance(w, 4) ? 5 + (int64_t)chance(w, 60) : 0;
	w->in_order = chance(w, 2);
}

static void choose_load(struct world *w)
{
	static const int64_t gap_us[] = {3000, 10000, 30000};
	static const uint64_t fault_ms[] = {30, 150, 500};

	w->clients = 1 + (int)chance(w, CLIENTS);
	w->client_gap_us = gap_us[chance(w, 3)];
	w->fault_gap_ms = fault_ms[chance(w, 3)];
	w->faults = chance(w, 4) ? rand_next(&w->rand) : ~(uint64_t)0;
}

/* Servers 1 to voters know each other; 1 alone founds a cluster of its own.
 * The others are empty, and may be added. */
static void world_begin(struct world *w, int voters)
{
	w->alone = voters == 1;
	heal(w);
	for (int i = 1; i <= SERVERS; i++) {
		struct server *s = &w->server[i];

		s->id = i;
		s->rate = 1000;
		s->base_us = (int64_t)(1000 + chance(w, 1000000)) * MS;
		s->write_us = 1000;
		if (i <= voters && voters > 1)
			found(w, s, voters);
		server_start(w, s);
	}
	for (int i = 1; i <= SERVERS; i++)
		drain(w, &w->server[i]);
	for (int i = 1; i <= CLIENTS; i++)
		w->client[i] = (struct client){.id = i, .ctx = i};
}

static inline void world_choose(struct world *w, uint64_t seed)
{
	*w = (struct world){.rand = {seed}};
	choose_timeouts(w);
	choose_sizes(w);
	choose_load(w);
	for (int i = 1; i <= SERVERS; i++)
		if (chance(w, 8) == 0)
			w->server[i].max_append = 100 + chance(w, 500);
	world_begin(w, (int)(1 + chance(w, 5)));
}

static void world_release(struct world *w)
{
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
	raft_conf_release(&w->conf);
	for (size_t i = 0; i < w->n_confs; i++)
		free(w->conf_fact[i].bytes);
	free(w->conf_fact);
	linear_release(&w->history);
}

/* ---- time ---- */

/* When something happens next on this server, in the world's time. */
static int64_t server_due(const struct world *w, const struct server *s)
{
	int64_t due = s->deadline_us;

	if (!s->r)
		return s->back;
	if (s->woken)
		due = s->woken;
	else if (s->n_jobs && s->job[0].due < due)
		due = s->job[0].due;
	if (s->dies && s->dies < due)
		due = s->dies;
	return due < w->now ? w->now : due;
}

static void server_turn(struct world *w, struct server *s)
{
	if (!s->r) {
		server_start(w, s);
		drain(w, s);
	} else if (s->dies && s->dies <= w->now) {
		server_crash(w, s, w->now + (w->calm ? 0 : some_while(w)));
	} else if (s->woken) {
		s->woken = 0;
	} else if (s->n_jobs && s->job[0].due <= w->now) {
		finish_writes(w, s);
	} else {
		raft_tick(s->r, local_ms(w, s));
		check_heard(w, s);
		drain(w, s);
	}
}

static void clients_turn(struct world *w)
{
	uint64_t gap = (uint64_t)w->client_gap_us;
	/* in peace all are served, so none is always the last */
	int64_t first = w->calm ? w->now : 0;

	w->next_client = w->now + 1 * MS + (int64_t)chance(w, gap);
	for (int i = 0; i < w->clients; i++) {
		int64_t id = 1 + (first + i) % w->clients;
		struct server *s = client_step(w, &w->client[id]);

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
	if (!w->calm && w->faults && w->next_fault < at) {
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

static inline void run_to(struct world *w, int64_t at)
{
	while (w->now < at && !w->broken[0])
		world_step(w);
}

typedef bool world_fn(struct world *w);

/* Until it is so, or until that time, which is false. */
static bool run_until(struct world *w, world_fn *so, int64_t at)
{
	while (!so(w) && w->now < at && !w->broken[0])
		world_step(w);
	return so(w);
}

/* ---- peace ---- */

/* Some elections may be lost by chance; then all is quick. */
static inline int64_t patience_us(const struct world *w, int elections)
{
	int64_t max = w->election_max_ms ? w->election_max_ms : 300;

	return (max * elections + 1000) * MS;
}

static bool commits(struct world *w)
{
	return w->n_facts > w->healed_facts;
}

static bool all_served(struct world *w)
{
	for (int i = 1; i <= w->clients; i++)
		if (w->client[i].done < w->client[i].healed_done + 3)
			return false;
	return true;
}

/* All proposals have ended, and all members have all entries. */
static bool settled(struct world *w)
{
	struct server *l = some_leader(w);
	const struct raft_conf *conf = l ? raft_conf(l->r) : NULL;

	for (int i = 1; i <= w->clients; i++)
		if (w->client[i].busy)
			return false;
	for (int i = 0; conf && i < conf->n; i++)
		if (w->server[conf->member[i].id].machine.index !=
		    (int64_t)w->n_facts)
			return false;
	return conf != NULL;
}

/* Nobody proposes: heartbeats and their answers, what servers that were
 * removed ask now and then, and what comes late and is answered. */
static void check_idle(struct world *w)
{
	enum { BEATS = 10 };
	int64_t beat = w->heartbeat_ms ? w->heartbeat_ms : 50;
	int64_t before = w->t.messages, late = (int64_t)w->n_events;
	int64_t most = 2 * (SERVERS - 1) * (BEATS + 1) + 200 + 2 * late;

	run_to(w, w->now + BEATS * beat * MS);
	if (w->t.messages - before > most)
		broken(w,
		       "liveness: %" PRId64
		       " messages where none had to be said",
		       w->t.messages - before);
}

/* Who is behind, and may take one entry a message. */
static int64_t catch_up_us(const struct world *w)
{
	int64_t most = 0;

	for (int i = 0; i < w->conf.n; i++) {
		int64_t id = w->conf.member[i].id;
		int64_t behind =
			(int64_t)w->n_facts - w->server[id].machine.index;

		most = behind > most ? behind : most;
	}
	return most * 10 * MS;
}

static void check_history(struct world *w)
{
	struct err err;

	if (linear_check(w->history.op, w->history.n, &err))
		broken(w, "linearizability: %s", err.msg);
}

/* A voter that lost entries votes for nobody who lacks what it may have
 * acknowledged. If too few others vote, nothing goes on until somebody decides
 * what is lost, and that is right. */
static void stuck(struct world *w, const char *how)
{
	for (int i = 1; i <= SERVERS; i++)
		if (w->server[i].disk.floor_index) {
			w->t.stuck++;
			return;
		}
	broken(w, "liveness: %s", how);
}

static void peace(struct world *w)
{
	calm_down(w);
	w->healed_facts = w->n_facts;
	for (int i = 1; i <= w->clients; i++)
		w->client[i].healed_done = w->client[i].done;
	if (!run_until(w, commits, w->now + patience_us(w, 10))) {
		stuck(w, "nothing is committed");
		return;
	}
	if (!run_until(w, all_served, w->now + patience_us(w, 20)))
		broken(w, "liveness: a client is stuck");
	w->quiet = true;
	if (!run_until(w, settled,
		       w->now + patience_us(w, 20) + catch_up_us(w)))
		broken(w, "liveness: a member is behind, or a client waits");
	if (!w->broken[0])
		check_idle(w);
}

/* Run a seed; w->broken says what did not hold. The caller releases w. */
static inline void world_run(struct world *w, uint64_t seed, bool lenient)
{
	int64_t storm_ms;

	world_choose(w, seed);
	w->lenient = lenient;
	storm_ms = w->election_max_ms * (6 + (int64_t)chance(w, 18));
	run_to(w, storm_ms * MS);
	if (!w->broken[0])
		peace(w);
	if (!w->broken[0])
		check_history(w);
}

#endif
