#include "test.h"

#include "base/chart.h"

static struct chart_point rising[] = {{0, 0}, {1, 1}, {2, 2}, {3, 3}};

TEST(chart_draws_a_rising_line_from_corner_to_corner)
{
	struct chart_line line = {.at = rising, .n = 4};
	struct chart_opts o = {
		.width = 2, .height = 1, .x_name = "t", .y_name = "v"};
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
	struct chart_opts o = {
		.width = 4, .height = 2, .x_name = "t", .y_name = "v"};
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

TEST(chart_svg_has_a_line_for_each_series_and_names_that_are_safe)
{
	struct chart_line lines[] = {
		{.name = "a<b & \"c\"", .at = rising, .n = 4},
		{.name = "other", .at = rising, .n = 2},
	};
	struct chart_opts o = {
		.width = 400, .height = 300, .x_name = "t", .y_name = "v"};
	struct buf out = BUF_INIT(0);

	chart_svg(&out, lines, 2, &o);
	CHECK_HAS(out.p, "<svg xmlns=");
	CHECK_HAS(out.p, "points=\"70.0,250.0 113.3,173.3 ");
	CHECK_HAS(out.p, ">a&lt;b &amp; &quot;c&quot;</text>");
	CHECK_HAS(out.p, "</svg>\n");
	buf_reset(&out);
	chart_svg(&out, lines, 0, &o);
	CHECK_HAS(out.p, "</svg>\n");
	buf_release(&out);
}

TEST(chart_svg_has_its_title_above_and_dashes_where_colors_repeat)
{
	struct chart_line lines[10];
	struct chart_opts o = {
		.width = 400, .height = 300, .x_name = "t", .y_name = "v"};
	struct buf plain = BUF_INIT(0), titled = BUF_INIT(0);

	for (int i = 0; i < 10; i++)
		lines[i] = (struct chart_line){
			.name = "one", .at = rising, .n = 4};
	chart_svg(&plain, lines, 8, &o);
	CHECK(!strstr(plain.p, "stroke-dasharray"));
	o.title = "more & more";
	chart_svg(&titled, lines, 10, &o);
	CHECK_HAS(titled.p, ">more &amp; more</text>");
	CHECK_HAS(titled.p, "stroke-dasharray=\"6 3\" points=\"70.0,250.0 ");
	buf_release(&plain);
	buf_release(&titled);
}

TEST(chart_by_logarithm_leaves_out_what_has_none)
{
	struct chart_point at[] = {{0, 9}, {1, 0}, {10, 1}, {100, 2}};
	struct chart_line line = {.at = at, .n = 4};
	struct chart_opts o = {.width = 400,
			       .height = 300,
			       .x_name = "t",
			       .y_name = "v",
			       .log_x = true};
	struct buf out = BUF_INIT(0);

	chart_svg(&out, &line, 1, &o);
	CHECK_HAS(out.p, "points=\"70.0,250.0 225.0,135.0 380.0,20.0 \"");
	CHECK_HAS(out.p, ">100</text>");
	buf_reset(&out);
	o.width = o.height = 2;
	chart_braille(&out, &line, 1, &o);
	CHECK_HAS(out.p, "1 100\n");
	buf_release(&out);
}
