#include "test.h"

#include "fl/scores.h"

#include <math.h>

#include "base/rand.h"
static const double none = (double)NAN;

TEST(scores_weigh_clients_by_their_examples)
{
	struct scores t = {0};

	scores_add(&t, &(struct score){10, 2, 0.5});
	scores_add(&t, &(struct score){30, 1, 0.9});
	CHECK_INT(t.n, 2);
	CHECK_INT(t.examples, 40);
	CHECK_NEAR(scores_loss(&t), 1.25, 1e-12);
	CHECK_NEAR(scores_accuracy(&t), 0.8, 1e-12);
}

/* Who tells an accuracy alone weighs nothing in the loss. */
TEST(scores_are_means_of_those_who_say)
{
	struct scores t = {0};

	CHECK(isnan(scores_loss(&t)) && isnan(scores_accuracy(&t)));
	scores_add(&t, &(struct score){100, none, 0.25});
	CHECK(isnan(scores_loss(&t)));
	scores_add(&t, &(struct score){100, 3, 0.75});
	CHECK_NEAR(scores_loss(&t), 3, 1e-12);
	CHECK_NEAR(scores_accuracy(&t), 0.5, 1e-12);
}

TEST(scores_that_cannot_be_are_refused)
{
	const double inf = (double)INFINITY;
	const struct score bad[] = {
		{0, 1, 0.5},    {-1, 1, 0.5},     {11, 1, 0.5},
		{10, inf, 0.5}, {10, -inf, 0.5},  {10, 1e300, 0.5},
		{10, 1, -0.01}, {10, 1, 1.01},    {10, 1, inf},
		{10, none, 2},  {10, none, none},
	};
	struct err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(scores_check(&bad[i], 10, &err) == ERR_INVALID_ARGUMENT);
	CHECK(!scores_check(&(struct score){10, 1, 0}, 10, &err));
	CHECK(!scores_check(&(struct score){10, none, 1}, 10, &err));
	CHECK(!scores_check(&(struct score){10, 0, none}, 10, &err));
}

/* Whatever passes: the means are finite, and lie between what was said. */
TEST(scores_of_any_clients_are_finite_means)
{
	struct rand r = {.state = 7};

	for (int turn = 0; turn < 1000; turn++) {
		struct scores t = {0};
		double low = 1, high = 0;
		struct err err;

		for (int i = 0; i < 100; i++) {
			struct score s = {(int64_t)(rand_unit(&r) * 0x1p40) + 1,
					  (rand_unit(&r) - 0.5) * 2e200,
					  rand_unit(&r)};

			CHECK(!scores_check(&s, (int64_t)1 << 40, &err));
			scores_add(&t, &s);
			low = fmin(low, s.accuracy);
			high = fmax(high, s.accuracy);
		}
		CHECK(isfinite(scores_loss(&t)));
		CHECK(scores_accuracy(&t) >= low &&
		      scores_accuracy(&t) <= high);
	}
}
