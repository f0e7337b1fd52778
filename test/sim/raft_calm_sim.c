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
