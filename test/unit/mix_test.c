#include "test.h"

#include "base/rand.h"
#include "fl/sparsify.h"
#include "nn/bf16.h"
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

TEST(bf16_of_each_of_its_values_is_itself)
{
	for (uint32_t half = 0; half < 65536; half++) {
		const float v = bf16_value((uint16_t)half);

		if (isnan(v))
			CHECK(isnan(bf16_value(bf16_of(v))));
		else
			CHECK_INT(bf16_of(v), half);
	}
}

TEST(bf16_rounds_to_the_nearest_and_of_two_to_the_even)
{
	struct rand r = {5};
	float nan;
	uint32_t bits = 0x7f800001; /* whose upper half is infinity's */

	CHECK_INT(bf16_of(1), 0x3f80);
	CHECK_INT(bf16_of(-2.5F), 0xc020);
	CHECK_INT(bf16_of(1 + 0x1p-8F), 0x3f80);
	CHECK_INT(bf16_of(1 + 0x3p-8F), 0x3f82);
	CHECK_INT(bf16_of(1 + 0x1p-8F + 0x1p-20F), 0x3f81);
	CHECK_INT(bf16_of(3.4e38F), 0x7f80);
	CHECK_INT(bf16_of(-0.0F), 0x8000);
	memcpy(&nan, &bits, 4);
	CHECK(isnan(bf16_value(bf16_of(nan))));
	for (int i = 0; i < 100000; i++) {
		const float v = (float)(rand_unit(&r) - 0.5);
		const uint16_t h = bf16_of(v);
		const float off = fabsf(bf16_value(h) - v);

		CHECK(off <= fabsf(bf16_value((uint16_t)(h + 1)) - v));
		CHECK(off <= fabsf(bf16_value((uint16_t)(h - 1)) - v));
	}
}

/* Both know each other's values only roughly, but their mean stays. */
TEST(bf16_exchange_preserves_the_mean)
{
	float x[100], y[100];
	unsigned char a[201], b[201];
	uint32_t idx[100];
	struct rand r = {9};
	double before = 0, after = 0;

	for (uint32_t i = 0; i < 100; i++) {
		idx[i] = i;
		x[i] = (float)rand_unit(&r);
		y[i] = (float)-rand_unit(&r) * 3;
		before += (double)x[i] + (double)y[i];
	}
	sparsify_gather_bf16(x, idx, 100, a + 1);
	sparsify_gather_bf16(y, idx, 100, b + 1);
	CHECK(sparsify_finite_bf16(a + 1, 100));
	sparsify_average_bf16(x, idx, 100, b + 1);
	sparsify_average_bf16(y, idx, 100, a + 1);
	for (int i = 0; i < 100; i++) {
		CHECK_NEAR((double)x[i], (double)y[i], 0.02);
		after += (double)x[i] + (double)y[i];
	}
	CHECK_NEAR(after, before, 1e-5);
	x[3] = INFINITY;
	sparsify_gather_bf16(x, idx, 100, a + 1);
	CHECK(!sparsify_finite_bf16(a + 1, 100));
	CHECK(sparsify_finite_bf16(a + 1, 3));
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
