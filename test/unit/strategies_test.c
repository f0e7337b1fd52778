#include "test.h"

#include "base/value.h"
#include "plan/strategies.h"

enum { N = 33 };

/* How often i and j meet in all phases; in each everyone meets one at most. */
static void count_meetings(enum strategy_links links, size_t n, int met[N][N])
{
	memset(met, 0, sizeof(int) * N * N);
	for (size_t p = 0; p < strategies_phases(links, n); p++)
		for (size_t i = 0; i < n; i++) {
			int j = strategies_mate(links, n, i, p);

			CHECK(j >= -1 && j < (int)n && j != (int)i);
			if (j < 0)
				continue;
			CHECK_INT(strategies_mate(links, n, (size_t)j, p), i);
			met[i][j]++;
		}
}

static bool beside(size_t n, size_t i, size_t j)
{
	return i != j && ((i + 1) % n == j || (j + 1) % n == i);
}

TEST(strategies_meet_each_neighbour_once_a_round)
{
	static int met[N][N];

	for (size_t n = 0; n < N; n++) {
		count_meetings(LINKS_RING, n, met);
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j < n; j++)
				CHECK_INT(met[i][j], beside(n, i, j));
		count_meetings(LINKS_ALL, n, met);
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j < n; j++)
				CHECK_INT(met[i][j], i != j);
	}
}

TEST(strategies_need_as_few_phases_as_there_can_be)
{
	CHECK_INT(strategies_phases(LINKS_PAIRS, 9), 1);
	CHECK_INT(strategies_phases(LINKS_RING, 2), 1);
	CHECK_INT(strategies_phases(LINKS_RING, 3), 3);
	CHECK_INT(strategies_phases(LINKS_RING, 8), 2);
	CHECK_INT(strategies_phases(LINKS_RING, 9), 3);
	CHECK_INT(strategies_phases(LINKS_ALL, 2), 1);
	CHECK_INT(strategies_phases(LINKS_ALL, 8), 7);
	CHECK_INT(strategies_phases(LINKS_ALL, 9), 9);
}

/* Doubly stochastic: with what it keeps everyone's weights are 1. */
TEST(strategies_weigh_neighbours_as_their_papers_do)
{
	CHECK_NEAR(strategies_weight(LINKS_PAIRS, 9), 0.5, 0);
	CHECK_NEAR(strategies_weight(LINKS_RING, 2), 0.5, 0);
	CHECK_NEAR(strategies_weight(LINKS_RING, 3), 1.0 / 3, 0);
	CHECK_NEAR(strategies_weight(LINKS_RING, 9), 1.0 / 3, 0);
	CHECK_NEAR(strategies_weight(LINKS_ALL, 9), 1.0 / 9, 0);
}

TEST(strategies_step_less_where_less_travels)
{
	CHECK_NEAR(strategies_eta("dense", 1), 1, 0);
	CHECK_NEAR(strategies_eta("strat", 0.01), 0.01, 0);
	CHECK_NEAR(strategies_eta("topk", 0.01), 0.03, 1e-12);
	CHECK_NEAR(strategies_eta("topk", 0.5), 1, 0);
}

TEST(strategies_are_found_by_name)
{
	int n = 0;

	for (const struct strategy *s = strategies; s->name; s++, n++) {
		CHECK_INT(s->kind, n);
		CHECK(strategies_find(s->name) == s);
		CHECK_INT(value_choice(STRATEGY_NAMES, s->name), n);
		CHECK_STR(strategies_scheme(s), s->dense ? "dense" : "strat");
	}
	CHECK_INT(n, 6);
	CHECK(!strategies_find("magic") && !strategies_find(""));
}
