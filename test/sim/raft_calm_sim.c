/* raft_calm_sim - clusters of the Raft core without faults, or with one: how
 * soon a leader is replaced, and how much is stored after endless load. */
#define TEST_SECONDS 120
#include "test.h"

#include "raft_run.h"

static void begin(struct world *w, uint64_t seed)
{
	*w = (struct world){.rand = {seed}};
	w->max_jobs = 4;
	w->max_data = 48;
	w->clients = 5;
	w->client_gap_us = 4000;
	world_begin(w, 3);
	calm_down(w);
}

/* ---- fail-over ---- */

static bool no_leader(struct world *w)
{
	return !some_leader(w);
}

static bool leader(struct world *w)
{
	return some_leader(w);
}

/* From the death of the leader of three to the first commit of the next. */
static int64_t fail_over_ms(uint64_t seed)
{
	struct world w;
	struct server *dead;
	int64_t died, took;

	begin(&w, seed);
	run_to(&w, 2000 * MS + (int64_t)chance(&w, 50000));
	dead = some_leader(&w);
	CHECK(dead != NULL);
	server_crash(&w, dead, INT64_MAX);
	died = w.now;
	CHECK(no_leader(&w));
	CHECK(run_until(&w, leader, died + 5000 * MS));
	w.healed_facts = w.n_facts;
	CHECK(run_until(&w, commits, died + 5000 * MS));
	took = (w.now - died) / MS;
	CHECK_STR(w.broken, "");
	world_release(&w);
	return took;
}

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Timeouts of 150 to 300 ms, a network of 1 ms, disks of 1 ms. */
TEST(a_dead_leader_is_replaced_in_time)
{
	int64_t took[201];

	for (int i = 0; i < 201; i++)
		took[i] = fail_over_ms((uint64_t)i + 1);
	qsort(took, 201, sizeof(took[0]), ascending);
	printf("# ms without a commit after a leader's death: median %" PRId64
	       ", 95 of 100 %" PRId64 ", most %" PRId64 "\n",
	       took[100], took[190], took[200]);
	CHECK(took[100] <= 250);
	CHECK(took[200] <= 450);
}

/* ---- endless load ---- */

enum {
#ifdef __SANITIZE_ADDRESS__
	ENTRIES = 100000,
#else
	ENTRIES = 1000000,
#endif
	EVERY = 500,      /* entries make a snapshot due */
	AT_ONCE = 20,     /* each millisecond */
	UNDER_WAY = 1000, /* entries that are proposed and not yet applied */
};

static void load(struct world *w)
{
	struct raft_entry e[AT_ONCE];
	struct server *s = some_leader(w);
	int64_t index, term;
	struct raft_status st;
	struct err err;

	if (!s)
		return;
	raft_status(s->r, &st);
	if (st.last - st.applied > UNDER_WAY - AT_ONCE)
		return;
	for (int i = 0; i < AT_ONCE; i++)
		e[i] = (struct raft_entry){
			.type = RAFT_NORMAL, .data = "0123456789", .len = 10};
	if (!raft_propose(s->r, local_ms(w, s), e, AT_ONCE, &index, &term,
			  &err))
		drain(w, s);
}

/* On disk and in memory, the most that any server ever has. */
static int64_t most_rows(const struct world *w, int64_t most)
{
	for (int i = 1; i <= 3; i++) {
		const struct server *s = &w->server[i];
		struct raft_status st;
		int64_t rows = (int64_t)s->disk.n;

		if (s->r) {
			raft_status(s->r, &st);
			if (rows < st.last - st.first + 1)
				rows = st.last - st.first + 1;
		}
		most = rows > most ? rows : most;
	}
	return most;
}

/* Three servers; each moment of trouble is server 3's. */
static int64_t endless(world_fn *trouble)
{
	struct world w;
	int64_t most = 0;

	begin(&w, 1);
	w.snapshot_every = EVERY;
	w.clients = 1;
	while (w.n_facts < ENTRIES && !w.broken[0]) {
		trouble(&w);
		run_to(&w, w.now + MS);
		load(&w);
		most = most_rows(&w, most);
	}
	printf("# %zu entries in %" PRId64 " simulated s: at most %" PRId64
	       " rows, %" PRId64 " snapshots, %" PRId64 " sent\n",
	       w.n_facts, w.now / MS / 1000, most, w.t.snapshots, w.t.installs);
	CHECK_STR(w.broken, "");
	CHECK(w.t.snapshots > 0);
	world_release(&w);
	return most;
}

/* Away for one second of five. */
static bool away(struct world *w)
{
	bool cut = w->now / MS % 5000 < 1000;

	for (int i = 1; i <= SERVERS; i++)
		w->cut[3][i] = w->cut[i][3] = cut;
	return cut;
}

/* There, but what is large does not reach it once it was away. */
static bool starving(struct world *w)
{
	w->starved[3] = true;
	return w->now > 5000 * MS || away(w);
}

TEST(a_log_stays_small_under_endless_load)
{
	CHECK(endless(away) <= (1 + KEPT_MORE) * EVERY + 2 * UNDER_WAY);
}

TEST(a_log_stays_small_though_a_member_gets_no_snapshot)
{
	CHECK(endless(starving) <=
	      (WAIT_MORE + KEPT_MORE) * EVERY + 2 * UNDER_WAY);
}
