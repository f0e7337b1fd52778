#include "test.h"

#include "base/chart.h"

static struct chart_point rising[] = {{0, 0}, {1, 1}, {2, 2}, {3, 3}};

TEST(chart_draws_a_rising_line_from_corner_to_corner)
{
	struct chart_line line = {.at = rising, .n = 4};
	struct chart_opts o = {.width = 2, .height = 1, .x_name = "t",
			       .y_name = "v"};
	struct buf out = BUF_INIT(0);

	chart_braille(&out, &line, 1, &o);
	CHECK_HAS(out.p, "│⡠⠊\n");
	CHECK_HAS(out.p, "v over t");
	buf_release(&out);
}

TEST(chart_passes_over_what_is_not_finite)
{
	struct chart_point at[] = {{0, NAN}, {1, 5}, {2, INFINITY}};
	struct chart_line line = {.at = at, .n = 3};
	struct chart_opts o = {.width = 4, .height = 2, .x_name = "t",
			       .y_name = "v"};
	struct buf out = BUF_INIT(0);

	chart_braille(&out, &line, 1, &o);
	CHECK_HAS(out.p, "5");
	buf_reset(&out);
	line.n = 1;
	chart_braille(&out, &line, 1, &o);
	CHECK_STR(out.p, "nothing to draw\n");
	buf_release(&out);
}

TEST(chart_spark_uses_all_eight_heights)
{
	struct chart_point at[8];
	struct chart_line line = {.at = at, .n = 8};
	struct chart_opts o = {.width = 8};
	struct buf out = BUF_INIT(0);

	for (int i = 0; i < 8; i++)
		at[i] = (struct chart_point){i, i};
	chart_spark(&out, &line, 1, &o);
	CHECK_STR(out.p, "▁▂▃▄▅▆▇█ 7\n");
	buf_release(&out);
}
