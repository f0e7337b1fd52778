#include "test.h"

#include "base/rand.h"
#include "fl/sparsify.h"
#include "plan/mask.h"
#include "plan/topology.h"

TEST(gather_and_average_touch_only_what_the_mask_names)
{
	float x[5] = {1, 2, 3, 4, 5}, y[2] = {10, -20};
	uint32_t idx[2] = {1, 4};
	unsigned char out[9];
	float got[2];

	sparsify_gather(x, idx, 2, out + 1);
	memcpy(got, out + 1, 8);
	CHECK_NEAR(got[0], 2, 0);
	CHECK_NEAR(got[1], 5, 0);
	CHECK_INT(out[1 + 3], 0x40); /* 2.0f, little-endian */
	memcpy(out + 1, y, 8);
	sparsify_average(x, idx, 2, out + 1);
	CHECK_NEAR(x[1], 6, 0);
	CHECK_NEAR(x[4], -7.5, 0);
	CHECK_NEAR(x[0] + x[2] + x[3], 8, 0);
}

TEST(values_that_are_not_finite_are_seen)
{
	float in[3] = {3.4e38f, -3.4e38f, 1e-45f};

	CHECK(sparsify_finite(in, 3));
	in[2] = NAN;
	CHECK(!sparsify_finite(in, 3));
	in[2] = -INFINITY;
	CHECK(!sparsify_finite(in, 3));
	CHECK(sparsify_finite(in, 2));
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
	int mate[N];

	topology_past_init(&past, N);
	topology_match(TOPOLOGY_RANDOM, N, NULL, 0, &past, t, &r, mate);
	topology_past_release(&past);
	mask_indices(&m, idx);
	for (int i = 0; i < N; i++) {
		float mine[D], theirs[D];

		if (mate[i] < i)
			continue;
		sparsify_gather(x[i], idx, k, mine);
		sparsify_gather(x[mate[i]], idx, k, theirs);
		sparsify_average(x[i], idx, k, theirs);
		sparsify_average(x[mate[i]], idx, k, mine);
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
