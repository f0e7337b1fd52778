/* raft_sim - random clusters of the Raft core; every promise checked.
 *
 * GFL_SEEDS=N runs so many seeds (2000; 150 if instrumented), GFL_FROM=N begins
 * with that one (1), GFL_SEED=N runs that one alone and prints its hash. A seed
 * that fails prints itself. */
#define TEST_SECONDS 600
#include "test.h"

#include "raft_seeds.h"

#ifdef __SANITIZE_ADDRESS__
enum { SEEDS = 150 };
#else
enum { SEEDS = 2000 };
#endif

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void print_totals(uint64_t n, const struct totals *t)
{
	printf("# %" PRIu64 " seeds: %" PRId64 " events, %" PRId64
	       " entries committed, %" PRId64 " reads, %" PRId64
	       " crashes, %" PRId64 " elections, %" PRId64
	       " membership changes, %" PRId64 " of them joint, %" PRId64
	       " transfers, %" PRId64 " snapshots taken, %" PRId64
	       " sent, %" PRId64 " pauses, %" PRId64 " failed writes, %" PRId64
	       " disks that lost entries, %" PRId64 " stuck by that, %" PRId64
	       " refused for want of room, %" PRId64 " messages\n",
	       n, t->events, t->commits, t->reads, t->crashes, t->elections,
	       t->changes, t->joints, t->transfers, t->snapshots, t->installs,
	       t->pauses, t->failed_writes, t->rots, t->stuck, t->refused,
	       t->messages);
	printf("# died at each point:");
	for (int i = 1; i < POINTS; i++)
		printf(" %" PRId64, t->died_at[i]);
	putchar('\n');
}

/* A run in which little happened proves nothing. */
static void check_totals(int64_t n, const struct totals *t)
{
	CHECK(t->commits >= 100 * n);
	CHECK(t->reads >= 30 * n);
	CHECK(t->crashes >= 5 * n);
	CHECK(t->elections >= 5 * n);
	CHECK(t->stuck <= n / 100);
	CHECK(t->changes >= n && t->joints >= n / 5);
	CHECK(t->transfers >= n / 2);
	CHECK(t->snapshots >= 5 * n);
	CHECK(t->installs >= n / 4);
	CHECK(t->pauses >= n / 4);
	CHECK(t->failed_writes >= n / 4);
	CHECK(t->rots >= n / 4);
	CHECK(t->refused > 0);
	for (int i = 1; n >= 1000 && i < POINTS; i++)
		CHECK(t->died_at[i] > 0);
}

TEST(random_clusters_keep_every_promise)
{
	uint64_t only = env_number("GFL_SEED", 0);
	uint64_t first = env_number("GFL_FROM", 1);
	uint64_t n = env_number("GFL_SEEDS", SEEDS), hash;
	struct totals t = {0};

	if (only) {
		CHECK(seed_run(only, &t, &hash));
		print_totals(1, &t);
		printf("# seed %" PRIu64 " has hash %016" PRIx64 "\n", only,
		       hash);
		return;
	}
	CHECK_INT(seeds_run(first, first + n - 1, &t), 0);
	print_totals(n, &t);
	if (n >= 100)
		check_totals((int64_t)n, &t);
}

TEST(a_seed_does_the_same_each_time)
{
	uint64_t seen[8];

	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct totals t[2] = {0};
		uint64_t hash[2];

		for (int i = 0; i < 2; i++)
			CHECK(seed_run(seed, &t[i], &hash[i]));
		CHECK(hash[0] == hash[1]);
		CHECK(!memcmp(&t[0], &t[1], sizeof(t[0])));
		seen[seed - 1] = hash[0];
		CHECK(seed == 1 || seen[seed - 2] != hash[0]);
	}
}
