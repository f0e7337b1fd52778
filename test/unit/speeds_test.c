#include "test.h"

#include "plan/speeds.h"

static double *make(size_t n, const char *text, uint64_t seed)
{
	struct err err;
	double *bps = NULL;

	if (speeds_make(&bps, n, text, seed, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return bps;
}

TEST(speeds_are_uniform_or_random)
{
	double *u = make(3, "uniform:2.5M", 1);
	double *r = make(4, "random:1k:1G", 1), *again;

	CHECK_NEAR(u[1], 2.5e6, 0);
	CHECK_NEAR(u[4], 0, 0);
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4; j++) {
			CHECK_NEAR(r[i * 4 + j], r[j * 4 + i], 0);
			CHECK(i == j ? r[i * 4 + j] == 0
				     : r[i * 4 + j] >= 1e3 &&
					       r[i * 4 + j] <= 1e9);
		}
	again = make(4, "random:1k:1G", 1);
	CHECK_NEAR(again[1], r[1], 0);
	free(again);
	again = make(4, "random:1k:1G", 2);
	CHECK(again[1] != r[1]);
	free(again);
	free(u);
	free(r);
}

TEST(speeds_that_make_no_sense_are_refused)
{
	static const char *const bad[] = {
		"uniform:",     "uniform:0",    "uniform:-1",  "uniform:1x",
		"uniform:1M:2", "uniform:nan",  "random:5",    "random:5:",
		"random:5:4",   "random:1:2:3", "random:1:inf"};
	struct err err;
	double *bps;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(speeds_make(&bps, 3, bad[i], 1, &err),
			  ERR_INVALID_ARGUMENT);
	CHECK_INT(speeds_make(&bps, 3, "sites.tsv", 1, &err), ERR_NOT_FOUND);
}

TEST(speeds_are_read_from_a_matrix)
{
	static const char text[] = "# cities\n# unit 1M\n\n"
				   "0 1.5\t2 # the first\n"
				   "3,0,4\r\n"
				   "5 6 0 7 8\n";
	struct err err;
	double *bps;

	CHECK(!speeds_parse(&bps, 3, text, "x", &err));
	CHECK_NEAR(bps[1], 1.5e6, 0);
	CHECK_NEAR(bps[2], 2e6, 0);
	CHECK_NEAR(bps[3], 3e6, 0);
	CHECK_NEAR(bps[7], 6e6, 0);
	CHECK_NEAR(bps[4], 0, 0);
	free(bps);
	CHECK(!speeds_parse(&bps, 2, text, "x", &err));
	CHECK_NEAR(bps[2], 3e6, 0);
	free(bps);
}

static void refused(size_t n, const char *text, const char *why)
{
	struct err err;
	double *bps;

	CHECK_INT(speeds_parse(&bps, n, text, "f", &err), ERR_INVALID_ARGUMENT);
	if (!strstr(err.msg, why))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
}

TEST(a_matrix_of_speeds_that_makes_no_sense_names_its_line)
{
	refused(2, "0 1\n1 x\n", "f line 2: not a number");
	refused(2, "0 1\n0 0\n", "f line 2: a speed must be above 0");
	refused(2, "0 inf\n1 0\n", "f line 1: a speed must be above 0");
	refused(2, "# unit 0\n0 1\n1 0\n", "f line 1: the unit");
	refused(3, "0 1 2\n1 0 2\n", "speeds of 2 places, not of 3");
	refused(3, "0 1\n1 0\n", "f line 1: 2 numbers, where 3 places");
	refused(1, "", "of 0 places");
}
