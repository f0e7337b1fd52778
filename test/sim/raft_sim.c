/* raft_sim - random clusters of the Raft core; every promise checked.
 *
 * GFL_SEED=N runs that seed alone, GFL_SEEDS=N the seeds 1 to N (500; 100 if
 * instrumented). A seed that fails prints itself. */
#define TEST_SECONDS 300
#include "test.h"

#include "raft_run.h"

#ifdef __SANITIZE_ADDRESS__
enum { SEEDS = 100 };
#else
enum { SEEDS = 500 };
#endif

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

struct totals {
	int64_t commits, crashes, elections, changes, joints, reads, messages;
	int64_t snapshots, installs;
};

static void print_servers(const struct world *w)
{
	struct raft_status st;

	for (int i = 1; i <= SERVERS; i++) {
		const struct raft_conf *conf;

		if (!w->server[i].r)
			continue;
		raft_status(w->server[i].r, &st);
		conf = raft_conf(w->server[i].r);
		fprintf(stderr,
			"# %d %s leader=%" PRId64 " term=%" PRId64
			" vote=%" PRId64 " last=%" PRId64 " durable=%" PRId64
			" commit=%" PRId64 " conf=%" PRId64 ":",
			i, raft_role_name(st.role), st.leader, st.term, st.vote,
			st.last, st.durable, st.commit, st.conf_index);
		for (int m = 0; m < conf->n; m++)
			fprintf(stderr, " %" PRId64 "/%d%s", conf->member[m].id,
				(int)conf->member[m].role,
				conf->member[m].old ? "+" : "");
		fputc('\n', stderr);
	}
}

static void run_seed(uint64_t seed, struct totals *t)
{
	struct world w;

	world_run(&w, seed);
	if (w.broken[0]) {
		print_servers(&w);
		test_fail(__FILE__, __LINE__,
			  "seed %" PRIu64 " at %" PRId64 " ms: %s", seed,
			  w.now / MS, w.broken);
	}
	t->commits += (int64_t)w.n_facts;
	t->crashes += w.crashes;
	t->elections += w.elections;
	t->changes += w.changes;
	t->joints += w.joints;
	t->reads += w.reads;
	t->messages += w.messages;
	t->snapshots += w.snapshots;
	t->installs += w.installs;
	world_release(&w);
}

TEST(random_clusters_keep_every_promise)
{
	uint64_t only = env_number("GFL_SEED", 0);
	uint64_t last = only ? only : env_number("GFL_SEEDS", SEEDS);
	int64_t n = only ? 1 : (int64_t)last;
	struct totals t = {0};

	for (uint64_t seed = only ? only : 1; seed <= last; seed++)
		run_seed(seed, &t);
	printf("# %" PRId64 " seeds: %" PRId64 " entries committed, %" PRId64
	       " reads, %" PRId64 " crashes, %" PRId64 " elections, %" PRId64
	       " membership changes, %" PRId64 " of them joint, %" PRId64
	       " snapshots taken, %" PRId64 " sent, %" PRId64 " messages\n",
	       n, t.commits, t.reads, t.crashes, t.elections, t.changes,
	       t.joints, t.snapshots, t.installs, t.messages);
	/* A run in which little happened proves nothing. */
	CHECK(t.commits >= 300 * n);
	CHECK(t.reads >= 100 * n);
	CHECK(only || (t.changes >= n && t.joints >= n / 5));
	CHECK(only || (t.snapshots >= 5 * n && t.installs >= n / 2));
}

/* ---- fail-over ---- */

static void run_to(struct world *w, int64_t at)
{
	while (w->now < at && !w->broken[0])
		world_step(w);
}

/* From the death of the leader of three to the first commit of the next. */
static int64_t fail_over_ms(uint64_t seed)
{
	struct world w;
	struct server *dead;
	int64_t died, took;
	size_t facts;

	world_init(&w, seed, 3);
	w.snapshot_every = 0; /* hosts keep what those who are there need */
	calm_down(&w);
	run_to(&w, 2000 * MS + (int64_t)chance(&w, 50000));
	dead = some_leader(&w);
	CHECK(dead != NULL);
	server_crash(&w, dead, INT64_MAX);
	died = w.now;
	while (!some_leader(&w) && !w.broken[0] && w.now < w.end)
		world_step(&w);
	facts = w.n_facts;
	while (w.n_facts == facts && !w.broken[0] && w.now < w.end)
		world_step(&w);
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
