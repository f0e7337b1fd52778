#include "aggregate_bed.h"
#include "nn/tensors.h"
#include "test.h"

/* Save what a is in the middle of a round, as a file's bytes, and take it back
 * into another. */
static void move_to(struct aggregate *b, const struct aggregate *a)
{
	struct tensors ts = {0}, back;
	struct buf bytes = {0};
	struct err err;

	aggregate_save(a, &ts);
	tensors_encode(&ts, &bytes);
	CHECK(!tensors_decode(&back, bytes.p, bytes.len, "saved", &err));
	if (aggregate_restore(b, &back, "saved", &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	tensors_release(&ts);
	tensors_release(&back);
	buf_release(&bytes);
}

static void check_restored(const char *rule, const struct round *r)
{
	struct aggregate *a = rule_for_five(rule), *b = rule_for_five(rule);
	static float x[MANY], y[MANY];

	if (!a)
		return;
	round_run(a, r, 0, x);
	memcpy(y, x, sizeof(y));
	aggregate_begin(a, x);
	aggregate_begin(b, y);
	for (int k = 0; k < 5; k++) {
		struct aggregate_update u = round_update(r, k);

		rule_admit(a, &u);
		if (k == 2)
			move_to(b, a);
		if (k > 2)
			rule_admit(b, &u);
	}
	CHECK_INT(aggregate_count(b), 5);
	rule_finish(a, x, NULL);
	rule_finish(b, y, NULL);
	CHECK(!memcmp(x, y, sizeof(x)));
	aggregate_free(a);
	aggregate_free(b);
}

TEST(a_rule_that_is_restored_goes_on_to_the_bit)
{
	static struct round r;

	round_fill(&r, 8);
	for (int k = 0; rule_name(k); k++)
		check_restored(rule_name(k), &r);
}

TEST(a_state_that_does_not_fit_is_refused)
{
	struct aggregate *adam = rule_plain("fedadam", 3);
	struct aggregate *yogi = rule_plain("fedyogi", 3);
	struct aggregate *wide = rule_plain("fedadam", 4);
	struct tensors ts = {0};
	float bad[3] = {1, NAN, 3};
	struct err err;

	CHECK(aggregate_restore(adam, &ts, "f", &err) == ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "f has the state of no aggregation");
	aggregate_save(adam, &ts);
	CHECK(!aggregate_restore(adam, &ts, "f", &err));
	CHECK(aggregate_restore(yogi, &ts, "f", &err) ==
	      ERR_FAILED_PRECONDITION);
	CHECK_HAS(err.msg, "by fedadam, not by fedyogi");
	CHECK(aggregate_restore(wide, &ts, "f", &err) == ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "\"aggregate.momentum\" of 4 values");
	memcpy(ts.t[1].data, bad, sizeof(bad));
	CHECK(aggregate_restore(adam, &ts, "f", &err) == ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "\"aggregate.variance\": a value is not finite");
	tensors_release(&ts);
	aggregate_free(adam);
	aggregate_free(yogi);
	aggregate_free(wide);
}

/* Each tensor of a round is missing in turn. */
static void check_incomplete(const char *rule)
{
	struct aggregate *a = rule_make(rule, rule_opts, 3, 3);
	struct aggregate *b = rule_make(rule, rule_opts, 3, 3);
	float v[3] = {1, 2, 3}, x[3] = {0}, y[3] = {0};
	struct tensors ts = {0};
	struct err err;

	aggregate_begin(a, x);
	aggregate_begin(b, y);
	rule_admit(a, &(struct aggregate_update){
			      .values = v, .n = 3, .weight = 1, .control = v});
	aggregate_save(a, &ts);
	for (size_t i = 0; i < ts.n; i++) {
		char was = ts.t[i].name[12];

		if (!strcmp(ts.t[i].name, "aggregate.tally"))
			continue; /* without it there is no round */
		ts.t[i].name[12] = '!';
		CHECK(aggregate_restore(b, &ts, "f", &err) ==
		      ERR_INVALID_ARGUMENT);
		CHECK_INT(aggregate_count(b), 0);
		ts.t[i].name[12] = was;
	}
	CHECK(!aggregate_restore(b, &ts, "f", &err));
	CHECK_INT(aggregate_count(b), 1);
	tensors_release(&ts);
	aggregate_free(a);
	aggregate_free(b);
}

TEST(a_round_of_which_something_is_missing_is_refused)
{
	check_incomplete("scaffold");
	check_incomplete("krum");
}

TEST(counts_of_a_round_that_cannot_be_are_refused)
{
	const double bad[] = {-1, 2, 1e300};
	struct aggregate *a = rule_plain("fedavg", 3);
	float v[3] = {1, 2, 3}, x[3] = {0};
	struct tensors ts = {0};
	struct tensor *tally;
	struct err err;
	double *t;

	aggregate_begin(a, x);
	rule_admit(a, &(struct aggregate_update){
			      .values = v, .n = 3, .weight = 1});
	aggregate_save(a, &ts);
	tally = (struct tensor *)tensors_find(&ts, "aggregate.tally");
	t = tally->data;
	for (size_t i = 0; i < 3; i++) {
		t[1] = bad[i];
		CHECK(aggregate_restore(a, &ts, "f", &err) ==
		      ERR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, "were made shorter");
	}
	t[1] = 0;
	for (size_t i = 0; i < 3; i++) {
		t[0] = i ? 0x1p64 * (double)i : 0; /* none, or no size_t */
		CHECK(aggregate_restore(a, &ts, "f", &err) ==
		      ERR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, "expected 1 to");
	}
	tensors_release(&ts);
	aggregate_free(a);
}
