#include <float.h>
#include <math.h>

#include "aggregate_bed.h"
#include "test.h"

/* A bad one comes between good ones, with its bad value anywhere. */
static void check_untouched(double clip, size_t bad, float value, float size)
{
	struct aggregate_opts opts = AGGREGATE_OPTS;
	static float one[MANY], other[MANY], worse[MANY];
	static struct round r;
	struct aggregate_update u;
	struct aggregate *a;

	opts.clip = clip;
	a = rule_make("fedavg", opts, MANY, MANY - REST);
	round_fill(&r, 9);
	round_run(a, &r, 0, one);
	memcpy(other, r.global, sizeof(other));
	for (int i = 0; i < MANY; i++)
		worse[i] = size * r.update[0][i];
	worse[bad] = value;
	aggregate_begin(a, other);
	for (int k = 0; k < 5; k++) {
		u = round_update(&r, k * 2 % 5);
		u.values = worse;
		rule_refuses(a, u, "not finite");
		u.values = r.update[k * 2 % 5];
		rule_admit(a, &u);
	}
	rule_finish(a, other, NULL);
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
	a = rule_make("fedavg", opts, 2, 2);
	CHECK(aggregate_admit(a, &u, &err) == ERR_FAILED_PRECONDITION);
	aggregate_begin(a, x);
	rule_refuses(a, u, "5 long, where at most 4.9");
	v[0] = 0;
	u.n = 1;
	rule_refuses(a, u, "1 values, where the model has 2");
	u.n = 2;
	u.weight = 0;
	rule_refuses(a, u, "weight 0");
	u.weight = NAN;
	rule_refuses(a, u, "weight nan");
	u.weight = 101;
	rule_refuses(a, u, "to 100");
	CHECK(aggregate_finish(a, x, NULL, &err) == ERR_FAILED_PRECONDITION);
	CHECK_HAS(err.msg, "0 updates, needs 1");
	aggregate_free(a);
}

TEST(a_rule_refuses_an_update_without_what_it_needs)
{
	struct aggregate_opts o = AGGREGATE_OPTS;
	float x[1] = {0}, v[1] = {1}, bad[1] = {NAN};
	const struct aggregate_update fine = {
		.values = v, .n = 1, .weight = 1, .steps = 1, .control = v};
	struct aggregate_update u = fine;
	struct aggregate *a = rule_make("fednova", o, 1, 1);

	aggregate_begin(a, x);
	u.steps = 0;
	rule_refuses(a, u, "0 local steps");
	u.steps = INT64_MAX;
	rule_refuses(a, u, "local steps");
	aggregate_free(a);
	a = rule_make("qfedavg", o, 1, 1);
	aggregate_begin(a, x);
	u.loss = -1;
	rule_refuses(a, u, "loss -1");
	u.loss = NAN;
	rule_refuses(a, u, "loss nan");
	u.loss = 1e200;
	rule_refuses(a, u, "loss 1e+200");
	aggregate_free(a);
	u = fine;
	a = rule_make("scaffold", o, 1, 1);
	aggregate_begin(a, x);
	u.control = NULL;
	rule_refuses(a, u, "no control variate");
	u.control = bad;
	rule_refuses(a, u, "control variate is not finite");
	u = fine;
	u.staleness = 2;
	rule_refuses(a, u, "2 versions ago");
	aggregate_free(a);
	a = rule_make("fedbuff", o, 1, 1);
	aggregate_begin(a, x);
	rule_refuses(a, u, "not a difference");
	u.staleness = -1;
	rule_refuses(a, u, "-1 versions ago");
	aggregate_free(a);
}

static void check_full(struct aggregate *a, size_t most)
{
	float x[2] = {0}, v[2] = {1, 2};
	struct aggregate_update u = {.values = v, .n = 2, .weight = 1};
	struct err err;

	CHECK_INT(aggregate_most(a), most);
	aggregate_begin(a, x);
	for (size_t k = 0; k < most; k++)
		rule_admit(a, &u);
	CHECK(aggregate_admit(a, &u, &err) == ERR_RESOURCE_EXHAUSTED);
	CHECK_HAS(err.msg, "at most");
	rule_finish(a, x, NULL);
	aggregate_free(a);
}

TEST(a_round_has_no_more_updates_than_its_rule_can_hold)
{
	struct aggregate_opts o = AGGREGATE_OPTS;
	struct aggregate *a;
	struct err err;

	o.buffer = 4;
	o.bytes_max = 5 * 3 * sizeof(float);
	check_full(rule_make("fedasync", o, 2, 2), 1);
	check_full(rule_make("fedbuff", o, 2, 2), 4);
	check_full(rule_make("median", o, 2, 2), 5);
	o.byzantine = 1;
	o.bytes_max = 5 * 5 * sizeof(double); /* of their distances */
	check_full(rule_make("krum", o, 2, 2), 5);
	o.byzantine = 2;
	CHECK(aggregate_open(&a, "krum", &o, 2, 2, &err) ==
	      ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "at least 7 updates");
}

TEST(an_asynchronous_round_waits_for_its_updates)
{
	struct aggregate_opts o = AGGREGATE_OPTS;
	float x[1] = {0}, v[1] = {1};
	struct aggregate *a;
	struct err err;

	o.buffer = 2;
	a = rule_make("fedbuff", o, 1, 1);
	aggregate_begin(a, x);
	rule_admit(a, &(struct aggregate_update){
			      .values = v, .n = 1, .weight = 1, .delta = true});
	CHECK(aggregate_finish(a, x, NULL, &err) == ERR_FAILED_PRECONDITION);
	CHECK_HAS(err.msg, "1 updates, needs 2");
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
	float far[2] = {0, 1e38F}, x[2] = {0}, y[2] = {0}, v[2] = {1, 1};
	struct aggregate_update u = {.values = v, .n = 2, .weight = 1};
	struct aggregate *a, *b;
	struct err err;

	opts.lr = 1e6;
	a = rule_make("fedavgm", opts, 2, 2);
	b = rule_make("fedavgm", opts, 2, 2);
	aggregate_begin(a, far);
	rule_admit(a, &u);
	CHECK(aggregate_finish(a, far, NULL, &err) == ERR_ABORTED);
	CHECK_HAS(err.msg, "not finite");
	CHECK_NEAR(far[0], 0, 0);
	CHECK_INT(aggregate_count(a), 1);
	for (int k = 0; k < 2; k++) {
		aggregate_begin(a, x);
		aggregate_begin(b, y);
		rule_admit(a, &u);
		rule_admit(b, &u);
		rule_finish(a, x, NULL);
		rule_finish(b, y, NULL);
	}
	CHECK(!memcmp(x, y, sizeof(x)));
	aggregate_free(a);
	aggregate_free(b);
}

/* One round after the other of the largest updates there may be, which all say
 * the same, or each time the contrary. */
static void check_bounded(const char *rule, bool turns)
{
	static const float most = AGGREGATE_VALUE_MAX;
	struct aggregate *a = rule_make(rule, rule_opts, 2, 1);
	float x[2] = {0}, v[2], control[1];
	const struct aggregate_update u = {
		.values = v,
		.n = 2,
		.weight = 1e18,
		.steps = 1,
		.loss = 1,
		.control = control,
		.delta = aggregate_needs(a) & AGGREGATE_DELTA,
	};

	for (int round = 0; round < 300; round++) {
		v[0] = v[1] = control[0] = turns && round % 2 ? -most : most;
		aggregate_begin(a, x);
		for (size_t k = 0; k < aggregate_least(a); k++)
			rule_admit(a, &u);
		rule_finish(a, x, NULL);
	}
	aggregate_free(a);
}

TEST(no_round_overflows_by_updates_within_the_bound)
{
	for (int k = 0; rule_name(k); k++) {
		check_bounded(rule_name(k), false);
		check_bounded(rule_name(k), true);
	}
}

TEST(a_value_beyond_the_bound_is_refused_anywhere_under_every_rule)
{
	const float beyond = nextafterf(AGGREGATE_VALUE_MAX, INFINITY);
	static float v[MANY], x[MANY], control[MANY];
	struct aggregate_update u = {.values = v,
				     .n = MANY,
				     .weight = 1,
				     .steps = 1,
				     .control = control};

	for (int k = 0; rule_name(k); k++) {
		struct aggregate *a =
			rule_make(rule_name(k), rule_opts, MANY, MANY - REST);

		u.delta = aggregate_needs(a) & AGGREGATE_DELTA;
		aggregate_begin(a, x);
		for (size_t at = 0; at < MANY; at += MANY / 9) {
			v[at] = at % 2 ? beyond : -FLT_MAX;
			rule_refuses(a, u, "a value is beyond +-2.8");
			v[at] = 0;
		}
		if (aggregate_needs(a) & AGGREGATE_CONTROL) {
			control[7] = beyond;
			rule_refuses(a, u, "control variate");
			control[7] = 0;
		}
		aggregate_free(a);
	}
}
