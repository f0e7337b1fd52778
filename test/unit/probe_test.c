#include "test.h"

#include <jansson.h>

#include "registry/probe.h"

static struct probe nodes(double alive)
{
	struct probe p = {.name = "nodes", .whose = "gateways"};

	buf_puts(&p.urls, "http://a:1");
	probe_say(&p, probe_least(alive, 3, 2), "%g nodes alive", alive);
	probe_add(&p, &(struct probe_figure){.name = "nodes",
					     .help = "Members that answer.",
					     .value = alive,
					     .bounded = true,
					     .warn = 3,
					     .crit = 2});
	return p;
}

TEST(a_plugin_s_line_has_status_words_and_figures)
{
	struct probe p = nodes(4);
	struct buf b = BUF_INIT(0);

	probe_plugin(&p, &b);
	CHECK_STR(b.p, "OK - 4 nodes alive | nodes=4;3;2;0\n");
	probe_release(&p);
	buf_release(&b);
}

TEST(seconds_have_their_unit_and_what_has_no_bounds_has_none)
{
	struct probe p = {.name = "leader"};
	struct buf b = BUF_INIT(0);

	probe_say(&p, PROBE_OK, "fine");
	probe_add(&p, &(struct probe_figure){.name = "t",
					     .unit = PROBE_SECONDS,
					     .value = 0.25,
					     .bounded = true,
					     .warn = 1,
					     .crit = 5});
	probe_add(&p, &(struct probe_figure){.name = "term", .value = 7});
	probe_plugin(&p, &b);
	CHECK_STR(b.p, "OK - fine | t=0.25s;1;5;0 term=7;;;0\n");
	probe_release(&p);
	buf_release(&b);
}

TEST(bounds_are_of_what_is_less_or_more)
{
	CHECK_INT(probe_least(3, 3, 2), PROBE_OK);
	CHECK_INT(probe_least(2, 3, 2), PROBE_WARNING);
	CHECK_INT(probe_least(1, 3, 2), PROBE_CRITICAL);
	CHECK_INT(probe_most(1, 1, 5), PROBE_OK);
	CHECK_INT(probe_most(1.1, 1, 5), PROBE_WARNING);
	CHECK_INT(probe_most(5.1, 1, 5), PROBE_CRITICAL);
}

TEST(the_worst_status_counts_and_critical_is_worse_than_unknown)
{
	struct probe p = {.name = "cluster"};
	struct err err;

	probe_say(&p, PROBE_WARNING, "a");
	probe_say(&p, PROBE_OK, "b");
	CHECK_INT(p.status, PROBE_WARNING);
	err_set(&err, ERR_DATA_LOSS, "odd");
	probe_fail(&p, PROBE_CRITICAL, &err);
	CHECK_INT(p.status, PROBE_UNKNOWN);
	err_set(&err, ERR_UNAVAILABLE, "cannot reach x");
	probe_fail(&p, PROBE_CRITICAL, &err);
	CHECK_INT(p.status, PROBE_CRITICAL);
	probe_say(&p, PROBE_UNKNOWN, "c");
	CHECK_INT(p.status, PROBE_CRITICAL);
	CHECK_STR(p.text.p, "a, b, odd, cannot reach x, c");
	probe_release(&p);
}

TEST(what_others_said_stays_in_one_line_with_one_bar)
{
	struct probe p = {.name = "nodes", .whose = "gateways"};

	probe_say(&p, PROBE_OK, "%s", "a|b\nc");
	CHECK_STR(p.text.p, "a b c");
	probe_release(&p);
}

TEST(prometheus_gets_help_type_and_sample_of_each_figure)
{
	struct probe p = nodes(1);
	struct buf b = BUF_INIT(0);

	buf_puts(&p.urls, "\"\\");
	probe_prom(&p, 1500, &b);
	CHECK_HAS(b.p, "# HELP gfl_check_nodes Members that answer.\n"
		       "# TYPE gfl_check_nodes gauge\n"
		       "gfl_check_nodes{probe=\"nodes\","
		       "gateways=\"http://a:1\\\"\\\\\"} 1\n");
	CHECK_HAS(b.p, "gfl_check_status{probe=\"nodes\"");
	CHECK_HAS(b.p, "\"} 2\n");
	CHECK_HAS(b.p, "\"} 1.5\n");
	probe_release(&p);
	buf_release(&b);
}

TEST(json_is_one_object)
{
	struct probe p = nodes(4);
	struct buf b = BUF_INIT(0);
	json_t *all;

	probe_json(&p, 1500, &b);
	all = json_loads(b.p, 0, NULL);
	CHECK_STR(json_string_value(json_object_get(all, "status")), "OK");
	CHECK_NEAR(json_number_value(json_object_get(all, "nodes")), 4, 0);
	CHECK_INT(json_integer_value(json_object_get(all, "at_ms")), 1500);
	json_decref(all);
	probe_release(&p);
	buf_release(&b);
}
