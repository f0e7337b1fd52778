#include "aggregate_bed.h"
#include "test.h"

#include "../data/aggregate.h"

/* ---- beside numpy ---- */

static void golden_update(struct aggregate *a, const float *x, int round, int c,
			  bool delta)
{
	const uint64_t seed = (uint64_t)(round * 100 + c);
	float v[N], control[N];

	rule_units(1000 + seed, v, N);
	rule_units(5000 + seed, control, N);
	for (int i = 0; i < N && !delta; i++)
		v[i] += x[i];
	rule_admit(a,
		   &(struct aggregate_update){
			   .client = c,
			   .values = v,
			   .n = N,
			   .delta = delta,
			   .weight = 1 + c,
			   .steps = 1 + c * 3 % 5,
			   .loss = 0.5 + c,
			   .control = control,
			   .staleness = aggregate_needs(a) & AGGREGATE_STALENESS
						? c % 3
						: 0,
		   });
}

static void golden_round(struct aggregate *a, float *x, int round, bool delta)
{
	aggregate_begin(a, x);
	for (int c = 0; c < CLIENTS; c++) {
		if (aggregate_count(a) == aggregate_most(a)) {
			rule_finish(a, x, NULL);
			aggregate_begin(a, x);
		}
		golden_update(a, x, round, c, delta);
	}
	rule_finish(a, x, NULL);
}

static void check_golden(const struct golden *g, bool delta)
{
	struct aggregate *a = rule_make(g->rule, rule_opts, N, N);
	float x[N];

	rule_units(1, x, N);
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
	char names[512] = "";

	for (size_t k = 0; k < sizeof(golden) / sizeof(golden[0]); k++) {
		strcat(names, k ? "|" : "");
		strcat(names, golden[k].rule);
		check_golden(&golden[k], true);
		if (strcmp(golden[k].rule, "fedbuff")) /* stale: differences */
			check_golden(&golden[k], false);
	}
	CHECK_STR(names, AGGREGATE_RULES);
}

/* ---- properties ---- */

TEST(the_order_of_updates_is_of_no_meaning)
{
	static float one[MANY], other[MANY];
	static struct round r;
	int seen = 0;

	round_fill(&r, 3);
	for (int k = 0; rule_name(k); k++) {
		struct aggregate *a = rule_for_five(rule_name(k)),
				 *b = rule_for_five(rule_name(k));

		if (!a)
			continue;
		round_run(a, &r, 0, one);
		round_run(b, &r, 3, other);
		for (int i = 0; i < MANY; i++)
			CHECK_NEAR(one[i], other[i], 1e-6);
		aggregate_free(a);
		aggregate_free(b);
		seen++;
	}
	CHECK_INT(seen, 15); /* all but fedasync */
}

/* Running one round more must not depend on the one before. */
TEST(a_round_that_is_begun_anew_forgets_what_it_had)
{
	static float one[MANY], other[MANY];
	static struct round r, junk;

	round_fill(&r, 3);
	round_fill(&junk, 4);
	for (int k = 0; rule_name(k); k++) {
		struct aggregate *a = rule_for_five(rule_name(k)),
				 *b = rule_for_five(rule_name(k));
		struct aggregate_update u = round_update(&junk, 1);

		if (!a)
			continue;
		round_run(a, &r, 0, one);
		aggregate_begin(b, junk.global);
		rule_admit(b, &u);
		round_run(b, &r, 0, other);
		CHECK(!memcmp(one, other, sizeof(one)));
		aggregate_free(a);
		aggregate_free(b);
	}
}

static void check_alike(const char *rule, const struct aggregate_opts *opts,
			const char *other, const struct aggregate_opts *others)
{
	struct aggregate *a = rule_make(rule, *opts, MANY, MANY);
	struct aggregate *b = rule_make(other, *others, MANY, MANY);
	static float one[MANY], two[MANY];
	static struct round r;
	double most = 0;

	round_fill(&r, 6);
	for (int c = 0; c < 5; c++)
		r.weight[c] = 1;
	round_run(a, &r, 0, one);
	round_run(b, &r, 0, two);
	for (int i = 0; i < MANY; i++)
		most = fmax(most, fabs((double)one[i] - (double)two[i]));
	if (!(most <= 1e-6))
		test_fail(__FILE__, __LINE__, "%s and %s differ by %g", rule,
			  other, most);
	aggregate_free(a);
	aggregate_free(b);
}

/* Where a rule has nothing to correct it is the plain mean. */
TEST(rules_are_fedavg_where_they_should_be)
{
	const struct aggregate_opts mean = AGGREGATE_OPTS;
	struct aggregate_opts o = mean;

	check_alike("scaffold", &mean, "fedavg", &mean);
	o.q = 0;
	check_alike("qfedavg", &o, "fedavg", &mean);
	o.beta1 = 0;
	check_alike("fedavgm", &o, "fedavg", &mean);
	o.staleness.kind = STALENESS_CONSTANT;
	o.buffer = 5;
	check_alike("fedbuff", &o, "fedavg", &mean);
	o.trim = 0.19;
	check_alike("trimmed", &o, "fedavg", &mean);
	check_alike("multikrum", &mean, "fedavg", &mean);
	o.keep = 1;
	check_alike("multikrum", &o, "krum", &mean);
	o.trim = 0.4;
	check_alike("trimmed", &o, "median", &mean);
}

TEST(fednova_of_as_many_steps_each_is_fedavg)
{
	struct aggregate_opts o = AGGREGATE_OPTS;
	struct aggregate *a, *b;
	float x[2] = {0}, y[2] = {0}, v[2] = {1, 3}, w[2] = {-2, 5};
	struct aggregate_update u = {
		.values = v, .n = 2, .weight = 3, .steps = 7};

	o.local_momentum = 0.9;
	a = rule_make("fednova", o, 2, 2);
	b = rule_make("fedavg", o, 2, 2);
	aggregate_begin(a, x);
	aggregate_begin(b, y);
	rule_admit(a, &u);
	rule_admit(b, &u);
	u.values = w;
	u.weight = 1;
	rule_admit(a, &u);
	rule_admit(b, &u);
	rule_finish(a, x, NULL);
	rule_finish(b, y, NULL);
	for (int i = 0; i < 2; i++)
		CHECK_NEAR(x[i], y[i], 1e-6);
	aggregate_free(a);
	aggregate_free(b);
}

TEST(fedavg_is_the_mean_by_weight)
{
	struct aggregate *a = rule_plain("fedavg", MANY);
	static struct round r;
	static float x[MANY];

	for (uint64_t seed = 1; seed < 20; seed++) {
		round_fill(&r, seed);
		round_run(a, &r, 0, x);
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
	struct aggregate *a = rule_plain("fedavg", MANY);
	static struct round r;
	static float x[MANY];

	round_fill(&r, 1);
	for (int c = 1; c < 5; c++)
		memcpy(r.update[c], r.update[0], sizeof(r.update[0]));
	round_run(a, &r, 0, x);
	CHECK(!memcmp(x, r.update[0], sizeof(x)));
	aggregate_free(a);
}

TEST(a_weight_counts_as_so_many_alike)
{
	struct aggregate *a = rule_plain("fedavg", MANY);
	static float one[MANY], other[MANY];
	static struct round r;

	round_fill(&r, 2);
	memcpy(one, r.global, sizeof(one));
	memcpy(other, r.global, sizeof(other));
	aggregate_begin(a, one);
	for (int k = 0; k < 4; k++) {
		struct aggregate_update u = round_update(&r, k / 3);

		u.weight = 1;
		rule_admit(a, &u);
	}
	rule_finish(a, one, NULL);
	aggregate_begin(a, other);
	for (int k = 0; k < 2; k++) {
		struct aggregate_update u = round_update(&r, k);

		u.weight = k ? 1 : 3;
		rule_admit(a, &u);
	}
	rule_finish(a, other, NULL);
	for (int i = 0; i < MANY; i++)
		CHECK_NEAR(one[i], other[i], 1e-7);
	aggregate_free(a);
}

TEST(values_behind_the_trained_ones_are_averaged_by_weight)
{
	static struct round r;
	static float x[MANY];
	int seen = 0;

	round_fill(&r, 5);
	for (int k = 0; rule_name(k); k++) {
		struct aggregate *a = rule_for_five(rule_name(k));

		if (!a || aggregate_most(a) < SIZE_MAX) { /* held */
			aggregate_free(a);
			continue;
		}
		round_run(a, &r, 0, x);
		for (int i = MANY - REST; i < MANY; i++) {
			double sum = 0, weight = 0;

			for (int c = 0; c < 5; c++) {
				sum += r.weight[c] * (double)r.update[c][i];
				weight += r.weight[c];
			}
			CHECK_NEAR(x[i], sum / weight, 1e-6);
		}
		aggregate_free(a);
		seen++;
	}
	CHECK_INT(seen, 10);
}

TEST(the_largest_numbers_do_not_overflow)
{
	struct aggregate *a = rule_plain("fedavg", 3);
	const float most = AGGREGATE_VALUE_MAX;
	float v[3] = {most, -most, most}, x[3] = {0};

	aggregate_begin(a, x);
	for (int k = 0; k < 100; k++)
		rule_admit(a, &(struct aggregate_update){
				      .values = v, .n = 3, .weight = 1e18});
	rule_finish(a, x, NULL);
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
	a = rule_make("fedavg", opts, 2, 2);
	for (int delta = 0; delta < 2; delta++) {
		float x[2] = {1, 1}, v[2] = {31, -39}, w[2] = {1.3F, 1.4F};

		aggregate_begin(a, x);
		rule_admit(a, &(struct aggregate_update){
				      .values = delta ? long_one : v,
				      .n = 2,
				      .delta = delta,
				      .weight = 1});
		rule_admit(a, &(struct aggregate_update){
				      .values = delta ? short_one : w,
				      .n = 2,
				      .delta = delta,
				      .weight = 1});
		rule_finish(a, x, &facts);
		CHECK_NEAR(x[0], 1 + (3 + 0.3) / 2, 1e-6);
		CHECK_NEAR(x[1], 1 + (-4 + 0.4) / 2, 1e-6);
		CHECK_INT(facts.clipped, 1);
		CHECK_INT(facts.updates, 2);
		CHECK_NEAR(facts.moved, hypot(1.65, 1.8), 1e-6);
	}
	aggregate_free(a);
}

/* ---- SCAFFOLD's control variate ---- */

TEST(scaffold_keeps_the_sum_of_changes_over_all_clients)
{
	struct aggregate_opts o = AGGREGATE_OPTS;
	float x[3] = {0}, v[3] = {1, 2, 3}, change[2] = {8, -4};
	struct aggregate *a;

	o.clients = 4;
	a = rule_make("scaffold", o, 3, 2);
	for (int round = 1; round <= 2; round++) {
		aggregate_begin(a, x);
		for (int k = 0; k < 2; k++)
			rule_admit(a, &(struct aggregate_update){
					      .values = v,
					      .n = 3,
					      .weight = 1,
					      .control = change});
		rule_finish(a, x, NULL);
		CHECK_NEAR(aggregate_control(a)[0], 4 * round, 0);
		CHECK_NEAR(aggregate_control(a)[1], -2 * round, 0);
	}
	aggregate_free(a);
	o.clients = 1; /* of a round there are more */
	a = rule_make("scaffold", o, 3, 2);
	aggregate_begin(a, x);
	for (int k = 0; k < 2; k++)
		rule_admit(a, &(struct aggregate_update){.values = v,
							 .n = 3,
							 .weight = 1,
							 .control = change});
	rule_finish(a, x, NULL);
	CHECK_NEAR(aggregate_control(a)[0], 8, 0);
	aggregate_free(a);
	a = rule_plain("fedavg", 3);
	CHECK(!aggregate_control(a));
	aggregate_free(a);
}
