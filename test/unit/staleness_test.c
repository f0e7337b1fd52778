#include "fl/staleness.h"
#include "test.h"

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
