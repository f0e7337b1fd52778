#include "test.h"

#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "nn/average.h"
#include "nn/checkpoint.h"
#include "nn/convert.h"
#include "nn/prune.h"
#include "nn/stat.h"

/* A file's bytes: the length, the header, data_len bytes of data. */
static void file_of(struct buf *b, const char *header, size_t data_len)
{
	uint64_t len = htole64(strlen(header));

	buf_reset(b);
	buf_put(b, &len, sizeof(len));
	buf_puts(b, header);
	for (size_t i = 0; i < data_len; i++)
		buf_putc(b, (char)i);
}

static void check_refused(const char *header, size_t data_len, const char *why)
{
	struct buf b = BUF_INIT(0);
	struct tensors ts;
	struct err err;

	file_of(&b, header, data_len);
	CHECK_INT(tensors_decode(&ts, b.p, b.len, "f", &err),
		  ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, why);
	buf_release(&b);
}

#define T(name, shape, from, to)                           \
	"\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape \
	",\"data_offsets\":[" from "," to "]}"

TEST(tensors_have_the_bytes_that_the_format_says)
{
	const float values[] = {1, 2, 3, 4};
	const int64_t dim[] = {2, 2};
	struct buf b = BUF_INIT(0);
	struct tensors ts = {0};

	tensors_set(&ts, "k", "v");
	tensors_add(&ts, "a", 2, dim, values);
	tensors_encode(&ts, &b);
	CHECK_INT(b.len, 8 + 88 + 16);
	CHECK(!memcmp(b.p, "\x58\0\0\0\0\0\0\0", 8));
	CHECK(!memcmp(b.p + 8,
		      "{\"__metadata__\":{\"k\":\"v\"},"
		      "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],"
		      "\"data_offsets\":[0,16]}}",
		      82));
	CHECK(!memcmp(b.p + 8 + 88, values, 16));
	buf_release(&b);
	tensors_release(&ts);
}

TEST(tensors_come_back_in_the_order_of_their_data)
{
	struct buf b = BUF_INIT(0);
	struct tensors ts;
	struct err err;

	file_of(&b,
		"{" T("z", "[1]", "8", "12") "," T(
			"y", "[2,1]", "0",
			"8") ","
			     "\"n\":{\"dtype\":\"I64\",\"shape\":[],"
			     "\"data_offsets\":[12,20]}," T("e", "[0]", "0",
							    "0") "}",
		20);
	CHECK(!tensors_decode(&ts, b.p, b.len, "f", &err));
	CHECK_INT(ts.n, 4);
	CHECK_STR(ts.t[0].name, "e");
	CHECK_STR(ts.t[1].name, "y");
	CHECK_STR(ts.t[2].name, "z");
	CHECK(!memcmp(tensors_find(&ts, "z")->data, "\x08\x09\x0a\x0b", 4));
	CHECK(!tensor_f32(tensors_find(&ts, "n")));
	CHECK(!tensors_find(&ts, "x"));
	CHECK(!tensor_alike(&ts.t[1], &ts.t[2]));
	tensors_release(&ts);
	buf_release(&b);
}

TEST(tensors_with_a_bad_header_are_refused)
{
	check_refused("", 0, "expected the JSON header");
	check_refused("[]", 0, "no object");
	check_refused("{", 0, "expected the JSON header");
	check_refused("{} x", 0, "expected the JSON header");
	check_refused("{}", 4, "has 4 bytes of data, expected 0");
	check_refused("{\"a\":3}", 0, "tensor \"a\": expected \"dtype\"");
	check_refused(
		"{" T("a", "[1]", "0", "4") "," T("a", "[1]", "4", "8") "}", 8,
		"duplicate");
	check_refused("{\"__metadata__\":{\"a\":1}}", 0, "texts as values");
	check_refused("{\"__metadata__\":[]}", 0, "expected an object");
	check_refused("{\"a\":{\"dtype\":\"F31\",\"shape\":[1],"
		      "\"data_offsets\":[0,4]}}",
		      4, "of a known type");
	check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
		      "\"data_offsets\":[0,4],\"b\":1}}",
		      4, "only");
}

TEST(tensors_with_a_bad_shape_or_place_are_refused)
{
	check_refused("{" T("a", "3", "0", "4") "}", 4, "expected \"shape\"");
	check_refused("{" T("a", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4,
		      "at most 8");
	check_refused("{" T("a", "[-1]", "0", "4") "}", 4, "negative");
	check_refused("{" T("a", "[1.5]", "0", "4") "}", 4, "negative");
	check_refused("{" T("a", "[4294967296,4294967296]", "0", "4") "}", 4,
		      "too large");
	check_refused("{" T("a", "[0,4294967296,4294967296]", "0", "4") "}", 4,
		      "4 bytes by its offsets, expected 0");
	check_refused("{" T("a", "[1]", "0", "8") "}", 4, "ends at byte 8");
	check_refused("{" T("a", "[2]", "0", "4") "}", 4,
		      "4 bytes by its offsets, expected 8");
	check_refused("{" T("a", "[1]", "4", "0") "}", 4, "a begin and an end");
	check_refused("{" T("a", "[1]", "-4", "0") "}", 4, "a begin");
	check_refused(
		"{" T("a", "[1]", "0", "4") "," T("b", "[1]", "2", "6") "}", 6,
		"overlaps");
	check_refused(
		"{" T("a", "[1]", "0", "4") "," T("b", "[1]", "8", "12") "}",
		12, "a hole");
	check_refused("{" T("a", "[1]", "0", "4") "}", 8, "8 bytes of data");
}

TEST(tensors_of_a_file_cut_anywhere_are_refused)
{
	const float values[] = {1, 2, 3, 4};
	const int64_t dim[] = {4};
	struct buf b = BUF_INIT(0);
	struct tensors ts = {0};
	struct err err;

	tensors_add(&ts, "a", 1, dim, values);
	tensors_encode(&ts, &b);
	tensors_release(&ts);
	for (size_t len = 0; len < b.len; len++) {
		char *cut = mem_dup(b.p, len); /* so that reads beyond show */

		CHECK_INT(tensors_decode(&ts, cut, len, "f", &err),
			  ERR_INVALID_ARGUMENT);
		free(cut);
	}
	memset(b.p, 0xff, 8);
	CHECK(tensors_decode(&ts, b.p, b.len, "f", &err));
	CHECK_HAS(err.msg, "f at byte 0: a header of 18446744073709551615");
	buf_release(&b);
}

TEST(checkpoint_comes_back_as_saved)
{
	struct model *m;
	struct err err;
	float *a, *b;

	CHECK(!model_open(&m, "input 5; dense 3; relu; dense 2", &err));
	a = mem_zero(m->n, sizeof(float));
	b = mem_zero(m->n, sizeof(float));
	model_init(m, 1, a);
	CHECK(!checkpoint_save("m.safetensors", m, a, &err));
	CHECK(!convert_values("m.safetensors", m, b, &err));
	CHECK(!memcmp(a, b, m->n * sizeof(float)));
	a[0]++;
	CHECK(!checkpoint_save("m.safetensors", m, a, &err));
	CHECK(!convert_values("m.safetensors", m, b, &err));
	CHECK(a[0] == b[0]);
	model_free(m);
	free(a);
	free(b);
}

TEST(checkpoint_of_another_model_is_refused)
{
	struct model *m, *other;
	float values[8] = {0};
	struct err err;

	CHECK(!model_open(&m, "input 2; dense 2", &err));
	CHECK(!model_open(&other, "input 3; dense 2", &err));
	CHECK(!checkpoint_save("m", other, values, &err));
	CHECK_INT(convert_values("m", m, values, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "\"fc1.weight\": 2x3 of F32, expected 2x2 of F32");
	values[5] = NAN;
	CHECK(!checkpoint_save("m", m, values, &err));
	CHECK_INT(convert_values("m", m, values, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "\"fc1.bias\", value 1: nan");
	CHECK_INT(convert_values("none", m, values, &err), ERR_NOT_FOUND);
	model_free(m);
	model_free(other);
}

TEST(checkpoint_holds_a_model_and_its_momentum)
{
	const float a[] = {1, 2, 3, 4, 5, 6};
	struct tensors ts = {0};
	float b[6] = {0};
	struct model *m;
	struct err err;

	CHECK(!model_open(&m, "input 2; dense 2", &err));
	checkpoint_put(&ts, m, "momentum.", a);
	CHECK(!checkpoint_get(&ts, m, "momentum.", "f", b, &err));
	CHECK(!memcmp(a, b, sizeof(a)));
	CHECK_INT(checkpoint_get(&ts, m, "", "f", b, &err),
		  ERR_INVALID_ARGUMENT);
	CHECK_STR(err.msg, "f has no tensor \"fc1.weight\"");
	CHECK_STR(tensors_get(&ts, "model"), "input 2 1 1; dense 2");
	tensors_release(&ts);
	model_free(m);
}

static void one_tensor(struct tensors *ts, const char *name, float first,
		       float second)
{
	const float values[] = {first, second};
	const int64_t dim[] = {2};

	*ts = (struct tensors){0};
	tensors_add(ts, name, 1, dim, values);
	tensors_set(ts, "model", "m");
}

TEST(average_is_the_mean_and_says_of_how_many)
{
	struct tensors a, b, mean = {0};
	struct average *avg;
	struct err err;

	one_tensor(&a, "t", 1, -4);
	one_tensor(&b, "t", 2, 8);
	CHECK(!average_new(&avg, &a, "a", &err));
	CHECK(!average_add(avg, &b, "b", &err));
	tensors_release(&b);
	one_tensor(&b, "u", 2, 8);
	CHECK_INT(average_add(avg, &b, "b", &err), ERR_INVALID_ARGUMENT);
	CHECK_STR(err.msg, "b has no tensor \"t\" of the shape that a has");
	average_get(avg, &mean);
	CHECK_INT(mean.n, 1);
	CHECK(tensor_f32(mean.t)[0] == 1.5F && tensor_f32(mean.t)[1] == 2);
	CHECK_STR(tensors_get(&mean, "averaged"), "2");
	CHECK_STR(tensors_get(&mean, "model"), "m");
	average_free(avg);
	tensors_release(&a);
	tensors_release(&b);
	tensors_release(&mean);
}

TEST(average_keeps_counters_and_refuses_other_floats)
{
	struct tensors a, mean = {0};
	struct average *avg;
	struct err err;
	int64_t count = 7;
	struct tensor n = {.name = "n",
			   .type = "I64",
			   .len = 1,
			   .size = 8,
			   .data = &count};

	one_tensor(&a, "t", 1, -4);
	tensors_copy(&a, &n);
	CHECK(!average_new(&avg, &a, "a", &err));
	CHECK(!average_add(avg, &a, "a", &err));
	average_get(avg, &mean);
	CHECK_INT(mean.n, 2);
	CHECK(tensor_f32(mean.t)[1] == -4);
	CHECK(!memcmp(tensors_find(&mean, "n")->data, &count, 8));
	average_free(avg);
	tensors_release(&mean);
	memcpy(n.type, "F64", 4);
	n.name = "wide";
	tensors_copy(&a, &n);
	CHECK_INT(average_new(&avg, &a, "a", &err), ERR_INVALID_ARGUMENT);
	CHECK_STR(err.msg, "a, tensor \"wide\": type F64, expected F32");
	tensors_release(&a);
}

TEST(stat_tells_extremes_mean_and_distance)
{
	struct stat_distance d;
	struct stat_values v;
	struct tensors a, b;

	one_tensor(&a, "t", 3, -4);
	one_tensor(&b, "t", 3, 1);
	CHECK(stat_of(a.t, &v));
	CHECK(v.min == -4 && v.max == 3 && v.mean == -0.5 && v.l2 == 5);
	CHECK(stat_differ(a.t, b.t, &d));
	CHECK(d.max_abs == 5 && d.l2 == 5);
	CHECK(!stat_differ(a.t, a.t, &d));
	CHECK(d.max_abs == 0);
	tensors_release(&a);
	tensors_release(&b);
}

TEST(prune_keeps_the_largest_and_of_equals_the_first)
{
	const float values[] = {1, -3, 2, -2, 2, 0},
		    zeros[] = {2, 2, 2, 2, 2, 2};
	const float kept[] = {0, -3, 2, -2, 0, 0},
		    near[] = {2, -3, 2, -2, 2, 2};
	const int64_t dim[] = {6};
	struct tensors ts = {0}, base = {0};
	struct prune p;
	struct err err;

	tensors_add(&ts, "t", 1, dim, values);
	CHECK(!prune_tensors(&ts, NULL, 0.5, &p, &err));
	CHECK(p.values == 6 && p.kept == 3);
	CHECK_NEAR(p.l2, sqrt(22), 1e-6);
	CHECK_NEAR(p.l2_kept, sqrt(17), 1e-6);
	CHECK(!memcmp(ts.t[0].data, kept, sizeof(kept)));
	tensors_release(&ts);
	tensors_add(&ts, "t", 1, dim, values);
	tensors_add(&base, "t", 1, dim, zeros);
	CHECK(!prune_tensors(&ts, &base, 0.3, &p, &err));
	CHECK_INT(p.kept, 2);
	CHECK(!memcmp(ts.t[0].data, near, sizeof(near)));
	tensors_release(&ts);
	tensors_release(&base);
}

static void put(struct tensors *ts, const char *name, int64_t rows)
{
	static const float values[] = {1, 2, 3, 4, 5, 6};
	const int64_t dim[] = {rows, 2};

	tensors_add(ts, name, 2, dim, values);
}

TEST(checkpoint_bare_has_one_layout_whatever_the_order)
{
	struct tensors ab = {0}, ba = {0}, other = {0};
	struct model *m[3];
	float values[10];
	struct err err;

	put(&ab, "a", 2);
	put(&ab, "b", 3);
	put(&ba, "b", 3);
	put(&ba, "a", 2);
	put(&other, "a", 3);
	put(&other, "b", 2);
	CHECK(!checkpoint_bare(&m[0], &ab, "ab", &err));
	CHECK(!checkpoint_bare(&m[1], &ba, "ba", &err));
	CHECK(!checkpoint_bare(&m[2], &other, "other", &err));
	CHECK(m[0]->n == 10 && m[0]->len == 10 && !*m[0]->text);
	CHECK(m[0]->layout == m[1]->layout && m[0]->layout != m[2]->layout);
	CHECK(!checkpoint_get_all(&ba, m[0], "ba", values, &err));
	CHECK(values[3] == 4 && values[4] == 1);
	CHECK(checkpoint_get_all(&other, m[0], "other", values, &err));
	CHECK_STR(err.msg, "other, tensor \"a\": 3x2 of F32, expected 2x2 of "
			   "F32");
	for (int i = 0; i < 3; i++)
		model_free(m[i]);
	tensors_release(&ab);
	tensors_release(&ba);
	tensors_release(&other);
}

static void is_no_model(const struct tensors *ts, const char *why)
{
	struct model *m;
	struct err err;

	CHECK(checkpoint_bare(&m, ts, "t", &err) == ERR_INVALID_ARGUMENT);
	CHECK_STR(err.msg, why);
}

TEST(checkpoint_bare_takes_floats_of_any_count_but_none)
{
	struct tensor count = {.name = "n.num_batches_tracked",
			       .type = "I64",
			       .len = 1,
			       .size = 8,
			       .data = &(int64_t){3}};
	struct tensors ts = {0};
	char name[PARAM_NAME + 1];
	struct model *m;
	struct err err;

	tensors_copy(&ts, &count);
	is_no_model(&ts, "t: a model without values");
	put(&ts, "w", 3);
	CHECK(!checkpoint_bare(&m, &ts, "t", &err));
	CHECK(m->n_params == 1 && m->n == 6);
	model_free(m);
	count.name = "steps";
	tensors_copy(&ts, &count);
	is_no_model(&ts, "t, tensor \"steps\": I64, expected F32");
	tensors_release(&ts);
	ts = (struct tensors){0};
	memset(name, 'x', sizeof(name));
	name[PARAM_NAME] = '\0';
	put(&ts, name, 1);
	CHECK(checkpoint_bare(&m, &ts, "t", &err) == ERR_INVALID_ARGUMENT);
	tensors_release(&ts);
}
