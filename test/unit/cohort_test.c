#include "test.h"

#include <math.h>

#include "fl/cohort.h"

enum { N = 10 };

static void fill(struct cohort_candidate c[N])
{
	for (int i = 0; i < N; i++)
		c[i] = (struct cohort_candidate){i < 5 ? 100 : 900, 10.0 - i};
}

/* How often each of N is picked in many draws of want. */
static void draw(enum cohort_rule rule, size_t want, size_t choices,
		 int counts[N], int draws)
{
	struct cohort_candidate c[N];
	struct rand r = {7};
	size_t picked[N];

	fill(c);
	for (int i = 0; i < N; i++)
		counts[i] = 0;
	for (int d = 0; d < draws; d++) {
		CHECK_INT(cohort_pick(rule, c, N, want, choices, &r, picked),
			  want);
		for (size_t i = 0; i < want; i++) {
			CHECK(!i || picked[i - 1] < picked[i]);
			counts[picked[i]]++;
		}
	}
}

TEST(cohort_uniform_picks_each_as_often)
{
	int counts[N];

	draw(COHORT_UNIFORM, 3, 0, counts, 20000);
	for (int i = 0; i < N; i++)
		CHECK(counts[i] > 5600 && counts[i] < 6400); /* 6000 ± 65 */
}

TEST(cohort_size_picks_the_large_more_often)
{
	int counts[N], small = 0, large = 0;

	draw(COHORT_SIZE, 1, 0, counts, 20000);
	for (int i = 0; i < N; i++)
		*(i < 5 ? &small : &large) += counts[i];
	/* one of a pick is large with probability 9/10 */
	CHECK(large > 17700 && large < 18300);
}

TEST(cohort_power_of_all_picks_the_highest_loss)
{
	int counts[N];

	draw(COHORT_POWER, 2, N, counts, 100);
	CHECK_INT(counts[0], 100);
	CHECK_INT(counts[1], 100);
}

TEST(cohort_power_of_few_picks_the_highest_of_those)
{
	int counts[N];

	draw(COHORT_POWER, 1, 2, counts, 20000);
	/* of two drawn by size the lower index has the higher loss */
	CHECK(counts[0] > counts[4] && counts[5] > counts[8]);
	CHECK_INT(counts[9], 0); /* loses to whoever is drawn with it */
}

TEST(cohort_power_tries_first_whom_it_does_not_know)
{
	struct cohort_candidate c[3] = {{1, 5}, {1, (double)NAN}, {1, 6}};
	struct rand r = {1};
	size_t picked[3];

	CHECK_INT(cohort_pick(COHORT_POWER, c, 3, 1, 3, &r, picked), 1);
	CHECK_INT(picked[0], 1);
}

TEST(cohort_picks_all_where_all_are_wanted)
{
	struct cohort_candidate c[N];
	struct rand r = {1};
	size_t picked[N];

	fill(c);
	CHECK_INT(cohort_pick(COHORT_SIZE, c, N, 99, 0, &r, picked), N);
	for (size_t i = 0; i < N; i++)
		CHECK_INT(picked[i], i);
	CHECK_INT(cohort_pick(COHORT_UNIFORM, c, 0, 3, 0, &r, picked), 0);
}

TEST(cohort_of_a_seed_is_the_same_for_ever)
{
	struct cohort_candidate c[N];
	struct rand r = {42};
	size_t picked[N];

	fill(c);
	CHECK_INT(cohort_pick(COHORT_UNIFORM, c, N, 3, 0, &r, picked), 3);
	CHECK_INT(picked[0], 1);
	CHECK_INT(picked[1], 4);
	CHECK_INT(picked[2], 6);
}

TEST(cohort_size_rounds_up_within_its_bounds)
{
	CHECK_INT(cohort_size(10, 0.25, 0), 3);
	CHECK_INT(cohort_size(10, 0.3, 0), 3);
	CHECK_INT(cohort_size(10, 0.01, 0), 1);
	CHECK_INT(cohort_size(10, 0.1, 4), 4);
	CHECK_INT(cohort_size(3, 0.5, 9), 3);
	CHECK_INT(cohort_size(7, 1, 2), 7);
}

TEST(cohort_of_unknown_sizes_is_uniform)
{
	struct cohort_candidate c[N] = {{0}};
	struct rand r = {11};
	size_t picked[N];
	int first = 0;

	for (int d = 0; d < 20000; d++) {
		CHECK_INT(cohort_pick(COHORT_SIZE, c, N, 1, 0, &r, picked), 1);
		first += picked[0] == 0;
	}
	CHECK_NEAR(first / 20000.0, 0.1, 0.02);
}
