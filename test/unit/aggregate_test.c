#include "test.h"

#include <float.h>

#include "base/mem.h"
#include "base/rand.h"
#include "fl/aggregate.h"

#include "../data/aggregate.h"

/* More than a tile, and not a multiple of anything. */
enum { MANY = 2500, REST = 77 };

static const char *const all_rules[] = {"fedavg",     "fedprox", "fedavgm",
					"fedadagrad", "fedyogi", "fedadam"};
enum { RULES = sizeof(all_rules) / sizeof(all_rules[0]) };

static void units(uint64_t seed, float *x, size_t n)
{
	struct rand r = {seed};

	for (size_t i = 0; i < n; i++)
		x[i] = (float)(2 * rand_unit(&r) - 1);
}

static struct aggregate *make(const char *rule, struct aggregate_opts opts,
			      size_t n, size_t trained)
{
	struct aggregate *a;
	struct err err;

	if (aggregate_open(&a, rule, &opts, n, trained, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return a;
}

static struct aggregate *make_plain(const char *rule, size_t n)
{
	return make(rule, (struct aggregate_opts)AGGREGATE_OPTS, n, n);
}

static void admit(struct aggregate *a, const struct aggregate_update *u)
{
	struct err err;

	if (aggregate_admit(a, u, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
}

static void finish(struct aggregate *a, float *x, struct aggregate_facts *f)
{
	struct err err;

	if (aggregate_finish(a, x, f, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
}

/* ---- beside numpy ---- */

static void golden_round(struct aggregate *a, float *x, int round, bool delta)
{
	float v[N];

	aggregate_begin(a, x);
	for (int c = 0; c < CLIENTS; c++) {
		units(1000 + (uint64_t)(round * 100 + c), v, N);
		for (int i = 0; i < N && !delta; i++)
			v[i] += x[i];
		admit(a, &(struct aggregate_update){.client = c,
						    .values = v,
						    .n = N,
						    .delta = delta,
						    .weight = 1 + c});
	}
	finish(a, x, NULL);
}

static void check_golden(const struct golden *g, bool delta)
{
	struct aggregate_opts opts = AGGREGATE_OPTS;
	struct aggregate *a;
	float x[N];

	opts.lr = 0.5;
	a = make(g->rule, opts, N, N);
	units(1, x, N);
	for (int round = 0; round < ROUNDS; round++)
		golden_round(a, x, round, delta);
	for (int i = 0; i < N; i++)
		if (!(fabsf(x[i] - g->x[i]) <= 2e-6F))
			test_fail(__FILE__, __LINE__,
				  "%s, value %d: %.9g, numpy has %.9g", g->rule,
				  i, (double)x[i], (double)g->x[i]);
	aggregate_free(a);
}

TEST(every_rule_computes_what_numpy_does)
{
	CHECK_INT(sizeof(golden) / sizeof(golden[0]), RULES);
	for (int k = 0; k < RULES; k++) {
		CHECK_STR(golden[k].rule, all_rules[k]);
		check_golden(&golden[k], true);
		check_golden(&golden[k], false);
	}
}

/* ---- properties ---- */

struct round {
	float global[MANY];
	float update[5][MANY];
	double weight[5];
};

static void fill(struct round *r, uint64_t seed)
{
	units(seed, r->global, MANY);
	for (int c = 0; c < 5; c++) {
		units(seed * 10 + (uint64_t)c, r->update[c], MANY);
		r->weight[c] = 1 + (double)(seed * 7 + (uint64_t)c) / 3;
	}
}

static struct aggregate_update update_of(const struct round *r, int c)
{
	return (struct aggregate_update){.client = c + 1,
					 .values = r->update[c],
					 .n = MANY,
					 .weight = r->weight[c]};
}

/* All five, from the first-th on, and what they come to. */
static void run_round(struct aggregate *a, const struct round *r, int first,
		      float *x)
{
	memcpy(x, r->global, sizeof(r->global));
	aggregate_begin(a, x);
	for (int k = 0; k < 5; k++) {
		struct aggregate_update u = update_of(r, (first + k * 2) % 5);

		admit(a, &u);
	}
	finish(a, x, NULL);
}

TEST(the_order_of_updates_is_of_no_meaning)
{
	static float one[MANY], other[MANY];
	static struct round r;

	fill(&r, 3);
	for (int k = 0; k < RULES; k++) {
		struct aggregate *a = make_plain(all_rules[k], MANY);
		struct aggregate *b = make_plain(all_rules[k], MANY);

		run_round(a, &r, 0, one);
		run_round(b, &r, 3, other);
		for (int i = 0; i < MANY; i++)
			CHECK_NEAR(one[i], other[i], 1e-6);
		aggregate_free(a);
		aggregate_free(b);
	}
}

TEST(fedavg_is_the_mean_by_weight)
{
	struct aggregate *a = make_plain("fedavg", MANY);
	static struct round r;
	static float x[MANY];

	for (uint64_t seed = 1; seed < 20; seed++) {
		fill(&r, seed);
		run_round(a, &r, 0, x);
		for (int i = 0; i < MANY; i++) {
			double sum = 0, weight = 0;

			for (int c = 0; c < 5; c++) {
				sum += r.weight[c] * (double)r.update[c][i];
				weight += r.weight[c];
			}
			CHECK_NEAR(x[i], sum / weight, 1e-7);
		}
	}
	aggregate_free(a);
}

TEST(updates_that_are_alike_are_what_they_are)
{
	struct aggregate *a = make_plain("fedavg", MANY);
	static struct round r;
	static float x[MANY];

	fill(&r, 1);
	for (int c = 1; c < 5; c++)
		memcpy(r.update[c], r.update[0], sizeof(r.update[0]));
	run_round(a, &r, 0, x);
	CHECK(!memcmp(x, r.update[0], sizeof(x)));
	aggregate_free(a);
}

TEST(a_weight_counts_as_so_many_alike)
{
	struct aggregate *a = make_plain("fedavg", MANY);
	static float one[MANY], other[MANY];
	static struct round r;

	fill(&r, 2);
	memcpy(one, r.global, sizeof(one));
	memcpy(other, r.global, sizeof(other));
	aggregate_begin(a, one);
	for (int k = 0; k < 4; k++) {
		struct aggregate_update u = update_of(&r, k / 3);

		u.weight = 1;
		admit(a, &u);
	}
	finish(a, one, NULL);
	aggregate_begin(a, other);
	for (int k = 0; k < 2; k++) {
		struct aggregate_update u = update_of(&r, k);

		u.weight = k ? 1 : 3;
		admit(a, &u);
	}
	finish(a, other, NULL);
	for (int i = 0; i < MANY; i++)
		CHECK_NEAR(one[i], other[i], 1e-7);
	aggregate_free(a);
}

TEST(values_behind_the_trained_ones_are_always_averaged)
{
	for (int k = 0; k < RULES; k++) {
		struct aggregate *a = make(
			all_rules[k],
			(struct aggregate_opts){
				.lr = 0.1, .beta2 = 0.5, .tau = 1, .clip = 0.5},
			MANY, MANY - REST);
		static struct round r;
		static float x[MANY];

		fill(&r, 5);
		run_round(a, &r, 0, x);
		for (int i = MANY - REST; i < MANY; i++) {
			double sum = 0, weight = 0;

			for (int c = 0; c < 5; c++) {
				sum += r.weight[c] * (double)r.update[c][i];
				weight += r.weight[c];
			}
			CHECK_NEAR(x[i], sum / weight, 1e-6);
		}
		aggregate_free(a);
	}
}

TEST(the_largest_numbers_do_not_overflow)
{
	struct aggregate *a = make_plain("fedavg", 3);
	float v[3] = {FLT_MAX, -FLT_MAX, FLT_MAX}, x[3] = {0};

	aggregate_begin(a, x);
	for (int k = 0; k < 100; k++)
		admit(a, &(struct aggregate_update){
				 .values = v, .n = 3, .weight = 1e18});
	finish(a, x, NULL);
	CHECK(!memcmp(x, v, sizeof(x)));
	aggregate_free(a);
}

/* ---- clipping ---- */

TEST(an_update_is_made_as_short_as_the_clip_and_counted)
{
	struct aggregate_opts opts = AGGREGATE_OPTS;
	float long_one[2] = {30, -40}, short_one[2] = {0.3F, 0.4F};
	struct aggregate_facts facts;
	struct aggregate *a;

	opts.clip = 5;
	a = make("fedavg", opts, 2, 2);
	for (int delta = 0; delta < 2; delta++) {
		float x[2] = {1, 1}, v[2] = {31, -39}, w[2] = {1.3F, 1.4F};

		aggregate_begin(a, x);
		admit(a,
		      &(struct aggregate_update){.values = delta ? long_one : v,
						 .n = 2,
						 .delta = delta,
						 .weight = 1});
		admit(a, &(struct aggregate_update){.values = delta ? short_one
								    : w,
						    .n = 2,
						    .delta = delta,
						    .weight = 1});
		finish(a, x, &facts);
		CHECK_NEAR(x[0], 1 + (3 + 0.3) / 2, 1e-6);
		CHECK_NEAR(x[1], 1 + (-4 + 0.4) / 2, 1e-6);
		CHECK_INT(facts.clipped, 1);
		CHECK_INT(facts.updates, 2);
		CHECK_NEAR(facts.moved, hypot(1.65, 1.8), 1e-6);
	}
	aggregate_free(a);
}

/* ---- refusals ---- */

static void check_refused(struct aggregate *a, struct aggregate_update u,
			  const char *why)
{
	size_t count = aggregate_count(a);
	struct err err;

	u.client = 77;
	CHECK(aggregate_admit(a, &u, &err) == ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "client 77");
	CHECK_HAS(err.msg, why);
	CHECK_INT(aggregate_count(a), count);
}

/* A bad one comes between good ones, with its bad value anywhere. */
static void check_untouched(double clip, size_t bad, float value, float size)
{
	struct aggregate_opts opts = AGGREGATE_OPTS;
	static float one[MANY], other[MANY], worse[MANY];
	static struct round r;
	struct aggregate_update u;
	struct aggregate *a;

	opts.clip = clip;
	a = make("fedavg", opts, MANY, MANY - REST);
	fill(&r, 9);
	run_round(a, &r, 0, one);
	memcpy(other, r.global, sizeof(other));
	for (int i = 0; i < MANY; i++)
		worse[i] = size * r.update[0][i];
	worse[bad] = value;
	aggregate_begin(a, other);
	for (int k = 0; k < 5; k++) {
		u = update_of(&r, k * 2 % 5);
		u.values = worse;
		check_refused(a, u, "not finite");
		u.values = r.update[k * 2 % 5];
		admit(a, &u);
	}
	finish(a, other, NULL);
	for (int i = 0; i < MANY; i++)
		CHECK_NEAR(one[i], other[i], 1e-7);
	aggregate_free(a);
}

TEST(an_update_that_is_not_finite_has_no_part)
{
	static const size_t at[] = {0,    1023, 1024,        1500,
				    2047, 2048, MANY - REST, MANY - 1};

	for (size_t k = 0; k < sizeof(at) / sizeof(at[0]); k++)
		for (int clip = 0; clip < 2; clip++) {
			check_untouched(clip * 1e9, at[k], NAN, 1);
			check_untouched(clip * 1e9, at[k], -INFINITY, 1000);
			check_untouched(clip * 1e9, at[k], INFINITY, 1e38F);
		}
}

TEST(what_does_not_fit_is_refused_with_the_reason)
{
	struct aggregate_opts opts = AGGREGATE_OPTS;
	float x[2] = {0}, v[2] = {3, 4};
	struct aggregate_update u = {.values = v, .n = 2, .weight = 1};
	struct aggregate *a;
	struct err err;

	opts.norm_max = 4.9;
	opts.weight_max = 100;
	a = make("fedavg", opts, 2, 2);
	CHECK(aggregate_admit(a, &u, &err) == ERR_FAILED_PRECONDITION);
	aggregate_begin(a, x);
	check_refused(a, u, "5 long, where at most 4.9");
	v[0] = 0;
	u.n = 1;
	check_refused(a, u, "1 values, where the model has 2");
	u.n = 2;
	u.weight = 0;
	check_refused(a, u, "weight 0");
	u.weight = NAN;
	check_refused(a, u, "weight nan");
	u.weight = 101;
	check_refused(a, u, "to 100");
	CHECK(aggregate_finish(a, x, NULL, &err) == ERR_FAILED_PRECONDITION);
	CHECK_HAS(err.msg, "0 updates, needs 1");
	aggregate_free(a);
}

TEST(options_and_rules_that_cannot_be_are_refused)
{
	struct aggregate_opts opts = AGGREGATE_OPTS;
	struct aggregate *a;
	struct err err;

	CHECK(aggregate_open(&a, "magic", &opts, 1, 1, &err) ==
	      ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "magic");
	opts.beta1 = 1;
	CHECK(aggregate_open(&a, "fedadam", &opts, 1, 1, &err) ==
	      ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "beta1 1");
	opts.beta1 = NAN;
	CHECK(aggregate_open(&a, "fedadam", &opts, 1, 1, &err) ==
	      ERR_INVALID_ARGUMENT);
}

TEST(a_round_that_would_overflow_changes_nothing)
{
	struct aggregate_opts opts = AGGREGATE_OPTS;
	float x[2] = {0}, v[2] = {1, FLT_MAX}, small[2] = {1, 1};
	struct aggregate_update u = {
		.values = v, .n = 2, .weight = 1, .delta = true};
	struct aggregate *a, *b;
	float y[2] = {0};
	struct err err;

	opts.lr = 10;
	a = make("fedavgm", opts, 2, 2);
	b = make("fedavgm", opts, 2, 2);
	aggregate_begin(a, x);
	admit(a, &u);
	CHECK(aggregate_finish(a, x, NULL, &err) == ERR_ABORTED);
	CHECK_HAS(err.msg, "not finite");
	CHECK_NEAR(x[0], 0, 0);
	CHECK_INT(aggregate_count(a), 1);
	u.values = small;
	for (int k = 0; k < 2; k++) {
		aggregate_begin(a, x);
		aggregate_begin(b, y);
		admit(a, &u);
		admit(b, &u);
		finish(a, x, NULL);
		finish(b, y, NULL);
	}
	CHECK(!memcmp(x, y, sizeof(x)));
	aggregate_free(a);
	aggregate_free(b);
}

/* ---- staleness ---- */

static double weight_at(const char *text, int64_t s)
{
	struct staleness how;
	struct err err;

	if (staleness_parse(&how, text, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return staleness_weight(&how, s);
}

TEST(staleness_weighs_as_the_paper_says)
{
	CHECK_NEAR(weight_at("constant", 100), 1, 0);
	CHECK_NEAR(weight_at("hinge", 4), 1, 0);
	CHECK_NEAR(weight_at("hinge", 5), 1 / (10.0 * 2), 1e-15);
	CHECK_NEAR(weight_at("hinge:2:1", 4), 1 / (2.0 * 4), 1e-15);
	CHECK_NEAR(weight_at("hinge:0.01:1", 2), 1, 0);
	CHECK_NEAR(weight_at("polynomial", 3), 0.5, 1e-15);
	CHECK_NEAR(weight_at("polynomial:2", 2), 1 / 9.0, 1e-15);
	CHECK_NEAR(weight_at("polynomial:10", 0), 1, 0);
}

TEST(staleness_that_cannot_be_is_refused)
{
	static const char *const bad[] = {
		"",           "hing",           "hinge:",
		"hinge:0",    "hinge:1:-1",     "hinge:1:2:3",
		"constant:1", "polynomial:nan", "polynomial:1:2"};
	struct staleness how;
	struct err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(staleness_parse(&how, bad[i], &err) ==
		      ERR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, "staleness");
	}
}
