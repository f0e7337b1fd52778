#include "test.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <unistd.h>

#include "base/out.h"
#include "capture.h"

static const struct prog prog = {.name = "gfl-try"};

static const struct out_col cols[] = {
	{"id", OUT_INT},      {"name", OUT_TEXT},   {"seen", OUT_TIME},
	{"rtt_s", OUT_REAL},  {"leader", OUT_BOOL}, {"payload", OUT_BYTES},
	{"detail", OUT_JSON},
};

struct call {
	struct out_opts opts;
	bool stream, full;
};

static int write_rows(void *arg)
{
	struct call *c = arg;
	struct out *o;
	struct err err;

	if (c->full && !freopen("/dev/full", "w", stdout))
		return 99;
	if (out_begin(&o, &c->opts, cols, 7, c->stream, &err))
		return err_report(&prog, &err);
	out_row(o, out_int(7), out_text("a\tb\nc\\"), out_time(1714557600123),
		out_real(0.1), out_bool(true), out_bytes("hi", 2),
		out_json("{\"a\":[1]}"));
	out_row(o, out_int(INT64_MAX), out_text(NULL), out_time(0),
		out_real(NAN), out_bool(false), out_bytes("\xff\0", 2),
		out_none());
	if (out_end(o, &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}

static struct capture run(const char *format, const char *fields)
{
	struct call c = {.opts = {.format = format, .fields = fields}};

	return capture_run(write_rows, &c);
}

TEST(a_pipe_gets_tab_separated_values_without_header)
{
	struct capture c = run(NULL, "id,name,seen,rtt_s,leader,detail");

	CHECK_STR(c.out,
		  "7\ta\\tb\\nc\\\\\t2024-05-01T10:00:00.123Z\t0.1\ttrue\t"
		  "{\"a\":[1]}\n9223372036854775807\t\t\t\tfalse\t\n");
}

TEST(json_is_one_document)
{
	struct capture c = run("json", NULL);
	json_t *doc = json_loads(c.out, 0, NULL), *row;

	CHECK(json_array_size(doc) == 2);
	row = json_array_get(doc, 0);
	CHECK_STR(json_string_value(json_object_get(row, "name")), "a\tb\nc\\");
	CHECK_STR(json_string_value(json_object_get(row, "payload")), "hi");
	CHECK(json_is_array(
		json_object_get(json_object_get(row, "detail"), "a")));
	row = json_array_get(doc, 1);
	CHECK(json_integer_value(json_object_get(row, "id")) == INT64_MAX);
	CHECK(json_is_null(json_object_get(row, "rtt_s")));
	CHECK(!json_object_get(row, "payload"));
	CHECK_STR(json_string_value(json_object_get(row, "payload_b64")),
		  "/wA=");
	json_decref(doc);
}

TEST(json_lines_are_one_object_each)
{
	CHECK_STR(run("jsonl", "leader,rtt_s").out,
		  "{\"leader\":true,\"rtt_s\":0.1}\n"
		  "{\"leader\":false,\"rtt_s\":null}\n");
}

TEST(a_stream_in_a_pipe_is_json_lines)
{
	struct call c = {.opts = {.fields = "id"}, .stream = true};

	CHECK_STR(capture_run(write_rows, &c).out,
		  "{\"id\":7}\n{\"id\":9223372036854775807}\n");
}

TEST(a_table_is_aligned_and_plain_in_a_pipe)
{
	struct capture c = run("table", "id,name,rtt_s");

	CHECK_STR(c.out, "                 ID NAME      RTT S\n"
			 "                  7 a\\tb\\nc\\\\   0.1\n"
			 "9223372036854775807 -             -\n");
}

TEST(a_table_of_a_stream_is_written_row_by_row)
{
	struct call c = {.opts = {.format = "table", .fields = "id,leader"},
			 .stream = true};

	CHECK_STR(
		capture_run(write_rows, &c).out,
		"      ID LEADER\n       7 true\n9223372036854775807 false\n");
}

TEST(color_only_when_asked_for_in_a_pipe)
{
	struct call c = {.opts = {.format = "table", .color = 1}};

	CHECK_HAS(capture_run(write_rows, &c).out, "\033[");
	c.opts.color = 0;
	CHECK(!strchr(capture_run(write_rows, &c).out, '\033'));
}

TEST(an_unknown_field_lists_the_columns)
{
	struct capture c = run(NULL, "id,nme");

	CHECK_INT(c.status, 2);
	CHECK_STR(c.out, "");
	CHECK_STR(c.err, "gfl-try: --fields: 'nme' is no column; there are id, "
			 "name, seen, rtt_s, leader, payload, detail\n");
}

/* One row whose object has a number, a text and a list. */
static int write_spread(void *arg)
{
	static const struct out_col some[] = {{"id", OUT_INT},
					      {"result", OUT_SPREAD}};
	struct call *c = arg;
	struct out *o;
	struct err err;

	if (out_begin(&o, &c->opts, some, 2, false, &err))
		return err_report(&prog, &err);
	out_row(o, out_int(1),
		out_spread("{\"f1\":0.5,\"n\":3,\"who\":\"a\\tb\",\"l\":[1]}"));
	out_row(o, out_int(2), out_spread("{\"n\":null}"));
	out_row(o, out_int(3), out_none());
	if (out_end(o, &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}

TEST(a_field_may_be_a_member_of_what_is_spread)
{
	struct call c = {.opts = {.fields = "n,id,f1,who,l"}};
	struct capture r = capture_run(write_spread, &c);

	CHECK_STR(r.out, "3\t1\t0.5\ta\\tb\t[1]\n\t2\t\t\t\n\t3\t\t\t\n");
	CHECK(r.status == 0);
	c.opts = (struct out_opts){.fields = "f1,n", .format = "jsonl"};
	r = capture_run(write_spread, &c);
	CHECK_STR(r.out, "{\"f1\":0.5,\"n\":3}\n{\"f1\":null,\"n\":null}\n"
			 "{\"f1\":null,\"n\":null}\n");
	c.opts = (struct out_opts){.fields = "id,f1", .format = "table"};
	r = capture_run(write_spread, &c);
	CHECK_STR(r.out, "ID  F1\n 1 0.5\n 2   -\n 3   -\n");
}

TEST(a_member_that_no_row_has_is_an_unknown_field)
{
	struct call c = {.opts = {.fields = "id,f2"}};
	struct capture r = capture_run(write_spread, &c);

	CHECK_STR(r.out, "1\t\n2\t\n3\t\n");
	CHECK_STR(r.err, "gfl-try: --fields: 'f2' is no column; there are id, "
			 "result\n");
	CHECK(r.status == 2);
}

TEST(a_full_disk_is_an_error)
{
	static const char *const formats[] = {"table", "tsv", "json", "jsonl"};

	for (int i = 0; i < 4; i++) {
		struct call c = {.opts = {.format = formats[i]}, .full = true};
		struct capture got = capture_run(write_rows, &c);

		CHECK_INT(got.status, 7);
		CHECK_STR(got.err, "gfl-try: write standard output: No space "
				   "left on device\n");
	}
}

/* As under a loop, which ignores the signal. */
static int write_to_nobody(void *arg)
{
	int fds[2];

	if (pipe(fds) || dup2(fds[1], STDOUT_FILENO) < 0)
		return 99;
	close(fds[0]);
	close(fds[1]);
	signal(SIGPIPE, SIG_IGN);
	return write_rows(arg);
}

TEST(a_reader_that_left_ends_the_process_silently)
{
	struct call c = {0};
	struct capture got = capture_run(write_to_nobody, &c);

	CHECK_INT(got.status, 141);
	CHECK_STR(got.err, "");
}

static int write_nothing(void *arg)
{
	struct out_opts opts = {.format = arg};
	struct out *o;
	struct err err;

	if (out_begin(&o, &opts, cols, 7, false, &err) || out_end(o, &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}

TEST(no_record_at_all_is_still_valid)
{
	CHECK_STR(capture_run(write_nothing, "json").out, "[]\n");
	CHECK_STR(capture_run(write_nothing, "tsv").out, "");
}
