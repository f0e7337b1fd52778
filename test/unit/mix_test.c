#include "test.h"

#include "base/rand.h"
#include "fl/mix.h"
#include "plan/mask.h"
#include "plan/topology.h"

TEST(mix_touches_only_what_the_indices_name)
{
	float x[5] = {1, 2, 3, 4, 5}, theirs[2] = {10, -20}, mine[2];
	const uint32_t index[2] = {1, 4};

	mix_gather(x, index, 2, mine);
	CHECK_NEAR(mine[0], 2, 0);
	CHECK_NEAR(mine[1], 5, 0);
	mix_pull(x, index, 2, 0.5F, mine, theirs);
	CHECK_NEAR(x[1], 6, 0);
	CHECK_NEAR(x[4], -7.5, 0);
	mix_scatter(x, index, 2, mine);
	CHECK_NEAR(x[1], 2, 0);
	CHECK_NEAR(x[4], 5, 0);
	CHECK_NEAR(x[0] + x[2] + x[3], 8, 0);
}

TEST(mix_without_indices_is_of_all)
{
	float x[3] = {1, 2, 3}, y[3] = {4, 8, 6}, was[3];

	mix_gather(x, NULL, 3, was);
	mix_pull(x, NULL, 3, 0.25F, was, y);
	CHECK_NEAR(x[1], 3.5, 0);
	mix_scatter(x, NULL, 3, y);
	CHECK_NEAR(x[2], 6, 0);
}

/* However they are rounded; also the largest, whose sum is not finite. */
TEST(mix_by_halves_leaves_both_with_the_very_same)
{
	struct rand r = {3};

	for (int i = 0; i < 100000; i++) {
		float x = (float)ldexp(rand_unit(&r) - 0.5,
				       (int)rand_below(&r, 240) - 112);
		float y = (float)ldexp(rand_unit(&r) - 0.5,
				       (int)rand_below(&r, 240) - 112);
		const float a = x, b = y;

		mix_pull(&x, NULL, 1, 0.5F, &a, &b);
		mix_pull(&y, NULL, 1, 0.5F, &b, &a);
		CHECK(isfinite(x) && x == y);
	}
}

/* Each knows the other's values only roughly. */
TEST(mix_preserves_the_mean_of_values_that_were_rounded)
{
	struct rand r = {9};

	for (int i = 0; i < 1000; i++) {
		float x = (float)rand_unit(&r), y = (float)-rand_unit(&r);
		const float a = roundf(x * 10) / 10, b = roundf(y * 10) / 10;
		const double sum = (double)x + (double)y;

		mix_pull(&x, NULL, 1, 0.3F, &a, &b);
		mix_pull(&y, NULL, 1, 0.3F, &b, &a);
		CHECK_NEAR((double)x + (double)y, sum, 1e-6);
	}
}

TEST(mix_chooses_what_differs_most)
{
	const float x[] = {5, 5, 5, 5, 5}, shared[] = {5, 1, 9, 5, 4};
	uint32_t index[3];

	mix_choose(x, shared, 5, 3, index);
	CHECK_INT(index[0], 1);
	CHECK_INT(index[1], 2);
	CHECK_INT(index[2], 4);
}

/* --- the contraction of the paper's lemma ------------------------------- */

enum { N = 14, D = 200 };

static double spread(float x[N][D])
{
	double sum = 0;

	for (int j = 0; j < D; j++) {
		double mean = 0;

		for (int i = 0; i < N; i++)
			mean += x[i][j] / N;
		for (int i = 0; i < N; i++)
			sum += (x[i][j] - mean) * (x[i][j] - mean);
	}
	return sum;
}

static void one_round(float x[N][D], int64_t t, uint32_t c)
{
	struct rand r = {(uint64_t)t + 9};
	struct mask m = {1, t, (uint64_t)t * 3 + 1, D, c};
	struct topology_past past;
	uint32_t idx[D], k = mask_count(D, c);
	double bps[N * N];
	int mate[N];

	for (int i = 0; i < N * N; i++)
		bps[i] = 1;
	topology_past_init(&past, N);
	topology_match(TOPOLOGY_RANDOM, N, bps, 0, &past, t, &r, mate);
	topology_past_release(&past);
	mask_indices(&m, idx);
	for (int i = 0; i < N; i++) {
		float mine[D], theirs[D];

		if (mate[i] < i)
			continue;
		mix_gather(x[i], idx, k, mine);
		mix_gather(x[mate[i]], idx, k, theirs);
		mix_pull(x[i], idx, k, 0.5F, mine, theirs);
		mix_pull(x[mate[i]], idx, k, 0.5F, theirs, mine);
	}
}

/* E|X - mean|^2 shrinks per round by q + p rho^2, with rho^2 of uniform random
 * perfect matchings 1/2 - 1/(2(n-1)) (SAPS-PSGD, section 5). */
static void check_contraction(uint32_t c)
{
	double p = 1.0 / c, rho2 = 0.5 - 0.5 / (N - 1), sum = 0;
	static float x[N][D];
	const int rounds = 2000;
	struct rand r = {1};

	for (int t = 0; t < rounds; t++) {
		double before;

		for (int i = 0; i < N; i++)
			for (int j = 0; j < D; j++)
				x[i][j] = (float)rand_unit(&r);
		before = spread(x);
		one_round(x, t, c);
		sum += spread(x) / before;
	}
	CHECK_NEAR(sum / rounds, 1 - p + p * rho2, 0.004 * sqrt(p) + 0.0005);
}

TEST(a_round_contracts_as_the_lemma_says)
{
	check_contraction(1);
	check_contraction(10);
	check_contraction(100);
}
