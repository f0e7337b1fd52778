#include "test.h"

#include "base/rand.h"
#include "plan/meter.h"

/* --- cusum.h --------------------------------------------------------------- */

/* Add them all; how many were added when it jumped, or 0. */
static int jumps_at(struct cusum *c, const double *x, int n)
{
	for (int i = 0; i < n; i++)
		if (cusum_add(c, x[i]))
			return i + 1;
	return 0;
}

TEST(cusum_follows_what_is_near_as_an_average)
{
	struct cusum c;

	cusum_begin(&c, 50);
	CHECK(!cusum_add(&c, 51));
	CHECK_NEAR(c.level, 50.3, 1e-9);
	CHECK(!cusum_add(&c, 48.3));
	CHECK_NEAR(c.level, 49.7, 1e-9);
	CHECK_NEAR(c.deviation, 1.1, 1e-9);
}

TEST(cusum_passes_over_one_that_is_far_off_and_jumps_at_the_second)
{
	static const double once[] = {20, 50, 50, 20, 50, 50, 20, 50, 50};
	static const double twice[] = {20, 22};
	static const double most[] = {20, 50, 20, 50, 20};
	struct cusum c;

	cusum_begin(&c, 50);
	CHECK_INT(jumps_at(&c, once, 9), 0);
	CHECK_NEAR(c.level, 50, 1e-9);
	CHECK_INT(jumps_at(&c, twice, 2), 2);
	CHECK_NEAR(c.level, 21, 1e-9);
	CHECK_INT(jumps_at(&c, (const double[]){50, 50}, 2), 2);
	CHECK_NEAR(c.level, 50, 1e-9);
	cusum_begin(&c, 50);
	CHECK_INT(jumps_at(&c, most, 5), 5);
	CHECK_NEAR(c.level, 32, 1e-9); /* the mean of those five */
}

/* Far off is what is so beside the usual noise. */
TEST(cusum_knows_how_much_it_wavers)
{
	struct cusum calm, wild;
	struct rand r = {7};
	int jumps = 0;

	cusum_begin(&calm, 50);
	cusum_begin(&wild, 50);
	for (int i = 0; i < 1000; i++) {
		double x = 8 * rand_unit(&r) - 4;

		CHECK(!cusum_add(&calm, 50 + x / 8));
		jumps += cusum_add(&wild, 50 + x);
	}
	CHECK(jumps <= 10);
	CHECK(calm.deviation < 1.01);
	CHECK(wild.deviation > 1.5 && wild.deviation < 3);
	CHECK(fabs(wild.level - 50) < 3);
	cusum_add(&calm, 44);
	CHECK(cusum_add(&calm, 44));
	CHECK(!cusum_add(&wild, 44) && !cusum_add(&wild, 44));
}

/* --- meter.h --------------------------------------------------------------- */

TEST(meter_averages_and_ignores_nonsense)
{
	struct meter m = {0};

	meter_measured(&m, 1, 2, NAN);
	meter_measured(&m, 1, 2, -1);
	meter_measured(&m, 1, 2, 0);
	CHECK_INT(m.n, 0);
	meter_measured(&m, 1, 2, 1024);
	meter_measured(&m, 1, 2, 2048);
	CHECK_INT(m.n, 1);
	CHECK_NEAR(m.estimates[0].speed.level, 20.6, 1e-9);
	meter_release(&m);
}

TEST(a_pair_was_measured_as_often_as_its_slow_directions_were)
{
	struct meter m = {0};

	CHECK_INT(meter_times(&m, 1, 2), 0);
	meter_measured(&m, 2, 1, 1000);
	CHECK_INT(meter_times(&m, 1, 2), 1);
	meter_measured(&m, 1, 2, 1900);
	CHECK_INT(meter_times(&m, 1, 2), 2);
	meter_measured(&m, 1, 2, 1900);
	CHECK_INT(meter_times(&m, 2, 1), 3);
	meter_measured(&m, 1, 2, 20000);
	CHECK_INT(meter_times(&m, 2, 1), 4);
	meter_measured(&m, 1, 2, 20000); /* yes, it jumped */
	CHECK_INT(meter_times(&m, 2, 1), 1);
	meter_measured(&m, 2, 1, 90000);
	meter_measured(&m, 2, 1, 90000);
	CHECK_INT(meter_times(&m, 2, 1), 4);
	meter_release(&m);
}

TEST(meter_delta_has_hysteresis)
{
	struct meter m = {0};
	struct bandwidth b = {0};
	struct bandwidth_cell *delta;

	meter_measured(&m, 1, 2, 1024);
	CHECK_INT(meter_delta(&m, &b, &delta), 1);
	CHECK_INT(delta[0].level, 20);
	bandwidth_apply(&b, delta, 1, 1);
	free(delta);
	m.estimates[0].speed.level = 20.6; /* rounds to 21 */
	CHECK_INT(meter_delta(&m, &b, &delta), 0);
	free(delta);
	m.estimates[0].speed.level = 20.8;
	CHECK_INT(meter_delta(&m, &b, &delta), 1);
	free(delta);
	bandwidth_release(&b);
	meter_release(&m);
}
