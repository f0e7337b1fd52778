/* The theory as a test: how fast models that only exchange, and do not train,
 * come together. SAPS-PSGD (arXiv 2002.09692), lemma 1: with a mask that has
 * each value with probability p = 1/c, E|X - mean|^2 falls per round by q +
 * p rho^2, q = 1 - p, at least; rho^2 is the second largest eigenvalue of the
 * mean of W'W over the rounds' matchings W = (I + P)/2. */
#include "test.h"

#include <math.h>

#include "base/mem.h"
#include "base/rand.h"
#include "fl/strategy.h"
#include "plan/matching.h"
#include "plan/topology.h"

enum { N_MAX = 32, PARAMS = 2000, ROUNDS = 150 };

struct bed {
	size_t n;
	double bps[N_MAX * N_MAX], theta;
	struct topology_past past;
	float *x[N_MAX];
	int mate[N_MAX];
	struct strategy_transfer transfer[2 * N_MAX + 2];
	struct strategy_mix m;
	double w2[N_MAX * N_MAX]; /* sum of W'W */
};

static void begin(struct bed *b, size_t n, uint32_t c)
{
	struct rand r = {n};

	*b = (struct bed){.n = n};
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			b->bps[i * n + j] = b->bps[j * n + i] =
				exp2(10 * rand_unit(&r));
	b->theta = topology_theta(n, b->bps);
	topology_past_init(&b->past, n);
	for (size_t i = 0; i < n; i++)
		b->x[i] = mem_zero(PARAMS, sizeof(float));
	b->m = (struct strategy_mix){.n = n,
				     .params = PARAMS,
				     .x = b->x,
				     .scheme = SCHEME_STRAT,
				     .c = c,
				     .mate = b->mate,
				     .transfer = b->transfer};
}

static void end(struct bed *b)
{
	topology_past_release(&b->past);
	for (size_t i = 0; i < b->n; i++)
		free(b->x[i]);
}

static void scatter(struct bed *b, struct rand *r)
{
	for (size_t i = 0; i < b->n; i++)
		for (int j = 0; j < PARAMS; j++)
			b->x[i][j] = (float)rand_unit(r) - 0.5f;
}

/* |X - mean|^2; *mean is the sum of all means. */
static double spread(const struct bed *b, double *mean)
{
	double sum = 0;

	*mean = 0;
	for (int j = 0; j < PARAMS; j++) {
		double m = 0;

		for (size_t i = 0; i < b->n; i++)
			m += (double)b->x[i][j] / (double)b->n;
		for (size_t i = 0; i < b->n; i++)
			sum += ((double)b->x[i][j] - m) *
			       ((double)b->x[i][j] - m);
		*mean += m;
	}
	return sum;
}

/* W'W = W for a matching: W is a projection. */
static void note_w(struct bed *b)
{
	for (size_t i = 0; i < b->n; i++) {
		size_t mate = b->mate[i] < 0 ? i : (size_t)b->mate[i];

		b->w2[i * b->n + i] += 0.5 / ROUNDS;
		b->w2[i * b->n + mate] += 0.5 / ROUNDS;
	}
}

/* The second largest eigenvalue, by powers of what is left without the mean. */
static double rho2(const struct bed *b)
{
	double v[N_MAX], w[N_MAX], norm = 0;

	for (size_t i = 0; i < b->n; i++)
		v[i] = sin(1 + (double)i * 2);
	for (int k = 0; k < 3000; k++) {
		double mean = 0;

		norm = 0;
		for (size_t i = 0; i < b->n; i++)
			mean += v[i] / (double)b->n;
		for (size_t i = 0; i < b->n; i++) {
			w[i] = 0;
			for (size_t j = 0; j < b->n; j++)
				w[i] += b->w2[i * b->n + j] * (v[j] - mean);
			norm += w[i] * w[i];
		}
		norm = sqrt(norm);
		for (size_t i = 0; i < b->n; i++)
			v[i] = w[i] / norm;
	}
	return norm;
}

static void part_pair(struct bed *b, size_t i)
{
	b->mate[b->mate[i]] = MATCHING_NONE;
	b->mate[i] = MATCHING_NONE;
}

/* The mean of what a round leaves of the spread, each from models of chance;
 * an exchange fails with this chance. */
static double measure(struct bed *b, enum topology_policy policy, double fails)
{
	struct rand r = {b->n * 7 + (uint64_t)policy};
	double left = 0;

	for (int64_t t = 0; t < ROUNDS; t++) {
		struct rand chance = {(uint64_t)t * 3 + 1};
		double before, after, mean, mean_after;

		topology_match(policy, b->n, b->bps, b->theta, &b->past, t,
			       &chance, b->mate);
		topology_past_add(&b->past, t, b->mate);
		for (size_t i = 0; i < b->n; i++)
			if (b->mate[i] > (int)i && rand_unit(&r) < fails)
				part_pair(b, i);
		note_w(b);
		scatter(b, &r);
		before = spread(b, &mean);
		b->m.t = t;
		b->m.seed = rand_next(&r);
		b->m.ntransfers = 0;
		strategy_mix(&strategies[STRATEGY_GOSSIP], &b->m);
		after = spread(b, &mean_after);
		CHECK_NEAR(mean_after, mean, 5e-6); /* of 2,000 values */
		left += after / before / ROUNDS;
	}
	return left;
}

TEST(random_matchings_contract_as_the_paper_computes)
{
	static const size_t ns[] = {14, 32};
	static const uint32_t cs[] = {1, 10};

	for (int k = 0; k < 2; k++)
		for (int l = 0; l < 2; l++)
			for (int f = 0; f < 2; f++) {
				double n = (double)ns[k], p = 1.0 / cs[l];
				double rho = 0.5 - 1 / (2 * (n - 1));
				double fails = f * 0.3;
				struct bed b;

				rho = 1 - (1 - fails) * (1 - rho);
				begin(&b, ns[k], cs[l]);
				CHECK_NEAR(measure(&b, TOPOLOGY_RANDOM, fails),
					   1 - p + p * rho, 0.02 * p);
				end(&b);
			}
}

TEST(every_policy_contracts_within_its_bound)
{
	static const enum topology_policy all[] = {
		TOPOLOGY_AUTO,   TOPOLOGY_SAPS, TOPOLOGY_AGE,
		TOPOLOGY_RANDOM, TOPOLOGY_RING, TOPOLOGY_ALL};

	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
		for (size_t n = 9; n <= 16; n += 7)
			for (int f = 0; f < 2; f++) {
				double left, p = 1.0 / 4, rho;
				struct bed b;

				begin(&b, n, 4);
				left = measure(&b, all[k], f * 0.3);
				rho = rho2(&b);
				CHECK(rho < 1);
				CHECK(left <= 1 - p + p * rho + 0.005);
				CHECK(left < 1 - 0.3 * p * (1 - f * 0.3));
				end(&b);
			}
}
