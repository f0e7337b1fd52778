#include "test.h"

#include "plan/bandwidth.h"

TEST(bandwidth_levels_are_half_octaves)
{
	CHECK_INT(bandwidth_level(1), 0);
	CHECK_INT(bandwidth_level(1024), 20);
	CHECK_INT(bandwidth_level(1448), 21);
	CHECK_NEAR(bandwidth_bps(21), 1448.15, 0.01);
	CHECK_INT(bandwidth_level(0.25), -4);
}

TEST(bandwidth_of_a_pair_is_the_slower_way_and_the_median_if_unknown)
{
	static const struct bandwidth_cell delta[] = {
		{1, 2, 20}, {2, 1, 10}, {3, 1, 30}, {2, 3, 12}};
	static const int64_t ids[] = {1, 2, 3, 4};
	struct bandwidth b = {0};
	double m[16];

	bandwidth_matrix(&b, ids, 4, m);
	CHECK_NEAR(m[1], 1, 0);
	bandwidth_apply(&b, delta, 4, 17);
	CHECK_INT(b.version, 17);
	bandwidth_matrix(&b, ids, 4, m);
	CHECK_NEAR(m[0 * 4 + 1], 32, 1e-9);
	CHECK_NEAR(m[1 * 4 + 0], 32, 1e-9);
	CHECK_NEAR(m[0 * 4 + 2], 32768, 1e-9);
	CHECK_NEAR(m[1 * 4 + 2], 64, 1e-9);
	CHECK_NEAR(m[0 * 4 + 3], 64, 1e-9); /* of 32, 64, 32768 */
	CHECK_NEAR(m[5], 0, 0);
	bandwidth_release(&b);
}

TEST(bandwidth_cells_stay_sorted_and_are_replaced)
{
	struct bandwidth b = {0};

	for (int64_t i = 40; i > 0; i--) {
		struct bandwidth_cell c = {i % 7 + 1, i, (int32_t)i};

		bandwidth_apply(&b, &c, 1, i);
		c.level++;
		bandwidth_apply(&b, &c, 1, i);
	}
	CHECK_INT(b.n, 40);
	for (int64_t i = 1; i <= 40; i++)
		CHECK_INT(bandwidth_find(&b, i % 7 + 1, i)->level, i + 1);
	CHECK(!bandwidth_find(&b, 1, 1));
	bandwidth_release(&b);
}
