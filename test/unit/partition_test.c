#include "test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/rand.h"
#include "nn/partition.h"
#include "nn/sampler.h"

enum { N = 6000, CLASSES = 10, PARTS_MAX = 64 };

static uint8_t label[N];
static const struct partition_labels labels = {label, N, CLASSES};
static uint32_t part_of[N];
static size_t held[PARTS_MAX][CLASSES], sizes[PARTS_MAX];

/* Divide as text says and count who holds how many of what. */
static int divide(const char *text, int parts, uint64_t seed, struct err *err)
{
	struct rand r = {3};
	struct partition p;

	for (int i = 0; i < N; i++)
		label[i] = (uint8_t)rand_below(&r, CLASSES);
	memset(held, 0, sizeof(held));
	memset(sizes, 0, sizeof(sizes));
	if (partition_parse(&p, text, err) ||
	    partition_make(&p, &labels, parts, seed, part_of, err))
		return (int)err->code;
	for (int i = 0; i < N; i++) {
		CHECK(part_of[i] < (uint32_t)parts);
		held[part_of[i]][label[i]]++;
		sizes[part_of[i]]++;
	}
	return 0;
}

static int classes_of(int part)
{
	int n = 0;

	for (int c = 0; c < CLASSES; c++)
		n += held[part][c] > 0;
	return n;
}

TEST(partition_iid_is_even_and_mixed)
{
	struct err err;

	CHECK(!divide("iid", 7, 1, &err));
	for (int k = 0; k < 7; k++) {
		CHECK(sizes[k] == N / 7 || sizes[k] == N / 7 + 1);
		for (int c = 0; c < CLASSES; c++)
			CHECK(held[k][c] > 50 && held[k][c] < 130);
	}
}

TEST(partition_shards_gives_each_few_classes)
{
	struct err err;

	CHECK(!divide("shards:2", 10, 1, &err));
	for (int k = 0; k < 10; k++) {
		CHECK_INT(sizes[k], N / 10);
		CHECK(classes_of(k) <= 4);
	}
}

/* The variance of a share of Dirichlet(a) among K is (K-1) / (K^2 (K a + 1)).
 */
static double variance_of_shares(const char *text)
{
	double squares = 0;
	struct err err;

	for (uint64_t seed = 0; seed < 100; seed++) {
		CHECK(!divide(text, 4, seed, &err));
		for (int c = 0; c < CLASSES; c++) {
			double all = 0;

			for (int k = 0; k < 4; k++)
				all += (double)held[k][c];
			for (int k = 0; k < 4; k++)
				squares +=
					pow((double)held[k][c] / all - 0.25, 2);
		}
	}
	return squares / (100 * CLASSES * 4);
}

TEST(partition_dirichlet_varies_as_its_alpha_says)
{
	CHECK_NEAR(variance_of_shares("dirichlet:0.5"), 3 / (16 * 3.0), 0.003);
	CHECK_NEAR(variance_of_shares("dirichlet:5"), 3 / (16 * 21.0), 0.0005);
	CHECK_NEAR(variance_of_shares("dirichlet:100"), 3 / (16 * 401.0),
		   0.0001);
}

TEST(partition_dirichlet_leaves_nobody_without)
{
	struct err err;

	for (uint64_t seed = 0; seed < 20; seed++) {
		CHECK(!divide("dirichlet:0.1", 20, seed, &err));
		for (int k = 0; k < 20; k++)
			CHECK(sizes[k] >= 10);
	}
}

/* The deviation of the sizes' logarithms is what was asked for. */
TEST(partition_lognormal_skews_sizes_not_labels)
{
	double sum = 0, squares = 0;
	int n = 0;
	struct err err;

	for (uint64_t seed = 0; seed < 50; seed++) {
		double mean = 0;

		CHECK(!divide("lognormal:0.5", 20, seed, &err));
		for (int k = 0; k < 20; k++)
			mean += log((double)sizes[k]) / 20;
		for (int k = 0; k < 20; k++, n++) {
			sum += log((double)sizes[k]) - mean;
			squares += pow(log((double)sizes[k]) - mean, 2);
			CHECK(sizes[k] < 100 || classes_of(k) == CLASSES);
		}
	}
	CHECK_NEAR(sum, 0, 1e-6);
	CHECK_NEAR(sqrt(squares / (n - 50)), 0.5, 0.03);
	CHECK(!divide("lognormal:0", 7, 1, &err));
	for (int k = 0; k < 7; k++)
		CHECK_NEAR((double)sizes[k], N / 7.0, 2);
	CHECK(!divide("lognormal:10", 64, 1, &err));
	for (int k = 0; k < 64; k++)
		CHECK(sizes[k] >= 1);
}

TEST(partition_is_given_by_its_seed)
{
	static uint32_t first[N];
	struct err err;

	CHECK(!divide("dirichlet:0.5", 4, 5, &err));
	memcpy(first, part_of, sizeof(first));
	CHECK(!divide("dirichlet:0.5", 4, 5, &err));
	CHECK(!memcmp(first, part_of, sizeof(first)));
	CHECK(!divide("dirichlet:0.5", 4, 6, &err));
	CHECK(memcmp(first, part_of, sizeof(first)));
}

TEST(partition_that_cannot_be_is_refused)
{
	static const char *const bad[] = {"",
					  "iid:",
					  "dirichlet",
					  "dirichlet:",
					  "dirichlet:0",
					  "dirichlet:-1",
					  "dirichlet:nan",
					  "dirichlet:inf",
					  "dirichlet:1x",
					  "shards:0",
					  "shards:1.5",
					  "shards:1e9",
					  "lognormal:-1",
					  "lognormal:nan",
					  "lognormal:11",
					  "lots:3"};
	struct partition p;
	struct err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_INT(partition_parse(&p, bad[i], &err),
			  ERR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, "is no way to divide");
	}
	CHECK_INT(divide("iid", 0, 1, &err), ERR_INVALID_ARGUMENT);
	CHECK_INT(divide("iid", N + 1, 1, &err), ERR_INVALID_ARGUMENT);
	CHECK_INT(divide("shards:1000", 10, 1, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "10000 shards");
	CHECK_INT(divide("dirichlet:0.001", 60, 1, &err),
		  ERR_FAILED_PRECONDITION);
}

TEST(sampler_gives_each_example_once_an_epoch)
{
	const uint32_t index[] = {3, 5, 7, 11, 13};
	int seen[14] = {0}, n, batches = 0;
	struct sampler s;

	sampler_init(&s, index, 5, 9);
	while (s.epoch == 0) {
		const uint32_t *got = sampler_next(&s, 2, &n);

		CHECK(n == 2 || (n == 1 && s.at == 5) || s.epoch == 1);
		for (int i = 0; i < n; i++)
			seen[got[i]]++;
		batches++;
	}
	CHECK_INT(batches, 4); /* the fourth is the next epoch's */
	for (int i = 0; i < 5; i++)
		CHECK(seen[index[i]] >= 1 && seen[index[i]] <= 2);
	sampler_release(&s);
}

TEST(sampler_goes_on_where_it_was)
{
	struct sampler a, b;
	uint32_t index[100];
	int n, m;

	for (uint32_t i = 0; i < 100; i++)
		index[i] = i;
	sampler_init(&a, index, 100, 9);
	for (int i = 0; i < 33; i++)
		sampler_next(&a, 7, &n);
	sampler_init(&b, index, 100, 9);
	sampler_seek(&b, a.epoch, a.at);
	for (int i = 0; i < 50; i++) {
		const uint32_t *x = sampler_next(&a, 7, &n);
		const uint32_t *y = sampler_next(&b, 7, &m);

		CHECK_INT(n, m);
		CHECK(!memcmp(x, y, (size_t)n * sizeof(*x)));
	}
	sampler_release(&a);
	sampler_release(&b);
}

TEST(sampler_of_some_gives_those_again_each_epoch)
{
	uint32_t index[100];
	int n, given[200] = {0};
	struct sampler s;

	for (uint32_t i = 0; i < 100; i++)
		index[i] = 2 * i;
	sampler_init_some(&s, index, 100, 7, 9);
	for (int i = 0; i < 2 * 7; i++)
		given[*sampler_next(&s, 1, &n)]++;
	for (uint32_t i = 0; i < 200; i++)
		CHECK(!given[i] || (given[i] == 2 && i % 2 == 0));
	sampler_release(&s);
}

/* Each of 6 pairs out of 4 has about a sixth, and none of 4 is in a pair twice. */
TEST(sampler_of_some_draws_each_set_as_often)
{
	const uint32_t index[4] = {0, 1, 2, 3};
	int n, pairs[16] = {0};

	for (uint64_t seed = 0; seed < 6000; seed++) {
		const uint32_t *got;
		struct sampler s;

		sampler_init_some(&s, index, 4, 2, seed);
		got = sampler_next(&s, 2, &n);
		pairs[1 << got[0] | 1 << got[1]]++;
		sampler_release(&s);
	}
	for (int i = 0; i < 16; i++)
		if (__builtin_popcount((unsigned)i) == 2)
			CHECK(pairs[i] > 850 && pairs[i] < 1150);
		else
			CHECK(!pairs[i]);
}

/* An epoch that will be finished has the order that it has without a draw. */
TEST(sampler_of_all_is_that_of_an_epoch)
{
	uint32_t index[100];
	struct sampler some, all;
	int n;

	for (uint32_t i = 0; i < 100; i++)
		index[i] = 3 * i;
	sampler_init_some(&some, index, 100, 100, 1);
	sampler_init(&all, index, 100, 1);
	for (int i = 0; i < 100; i++)
		CHECK_INT(*sampler_next(&some, 1, &n),
			  *sampler_next(&all, 1, &n));
	sampler_release(&some);
	sampler_release(&all);
}

TEST(sampler_batch_larger_than_the_subset_is_the_subset)
{
	const uint32_t index[] = {1, 2};
	struct sampler s;
	int n;

	sampler_init(&s, index, 2, 1);
	for (int i = 0; i < 3; i++) {
		sampler_next(&s, 50, &n);
		CHECK_INT(n, 2);
	}
	CHECK_INT(s.epoch, 2);
	sampler_release(&s);
}
