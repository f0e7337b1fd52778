#include "test.h"

#include "base/mem.h"
#include "test/unit/all.pb-c.h"
#include "wire/json.h"
#include "wire/json_scan.h"

static char *print(const ProtobufCMessage *msg, int flags)
{
	struct buf b = BUF_INIT(0);

	CHECK(!json_print(&b, msg, flags, NULL));
	return buf_take(&b);
}

static Test__All *parse(const char *text, int flags)
{
	ProtobufCMessage *msg;
	struct err err;

	if (json_parse(&msg, &test__all__descriptor, text, strlen(text), flags,
		       &err))
		test_fail(__FILE__, __LINE__, "%s: %s", text, err.msg);
	return (Test__All *)msg;
}

/* in reads as a message that prints as out. */
static void check_becomes(const char *in, const char *out)
{
	Test__All *m = parse(in, JSON_STRICT);
	char *text = print(&m->base, 0);

	CHECK_STR(text, out);
	free(text);
	rpc_free(&m->base);
}

static void check_same(const char *text)
{
	check_becomes(text, text);
}

static void check_refused(const char *text, const char *why)
{
	ProtobufCMessage *msg = NULL;
	struct err err;
	int rc = json_parse(&msg, &test__all__descriptor, text, strlen(text),
			    JSON_STRICT, &err);

	if (!rc)
		test_fail(__FILE__, __LINE__, "%s is taken", text);
	CHECK_INT(rc, err.code);
	CHECK_HAS(err.msg, why);
	CHECK(!msg);
}

TEST(integers_keep_every_bit)
{
	check_same("{\"anInt32\":-2147483648,\"aUint32\":4294967295}");
	check_same("{\"anInt64\":\"-9223372036854775808\","
		   "\"aUint64\":\"18446744073709551615\"}");
	check_becomes("{\"anInt64\":-9223372036854775808,"
		      "\"aUint64\":18446744073709551615}",
		      "{\"anInt64\":\"-9223372036854775808\","
		      "\"aUint64\":\"18446744073709551615\"}");
	check_becomes("{\"anInt32\":1e3,\"aSint32\":-5.0,\"aFixed32\":\"7\"}",
		      "{\"anInt32\":1000,\"aSint32\":-5,\"aFixed32\":7}");
	check_becomes("{\"an_int64\": 12, \"aSfixed64\": \"-12\"}",
		      "{\"anInt64\":\"12\",\"aSfixed64\":\"-12\"}");
	check_becomes("{\"anInt32\":-0,\"anInt64\":\"0\"}", "{}");
}

TEST(integers_out_of_range_or_not_whole_are_refused)
{
	check_refused("{\"anInt32\":2147483648}",
		      "All: an_int32: 2147483648 is not an int32");
	check_refused("{\"anInt32\":-2147483649}", "not an int32");
	check_refused("{\"aUint32\":4294967296}", "not a uint32");
	check_refused("{\"aUint32\":-1}", "a_uint32: -1 is not a uint32");
	check_refused("{\"aUint64\":\"18446744073709551616\"}", "a uint64");
	check_refused("{\"aUint64\":18446744073709551616}",
		      "18446744073709551616 is not a uint64");
	check_refused("{\"anInt64\":9223372036854775808}", "not an int64");
	check_refused("{\"anInt64\":1e19}", "not an int64");
	check_refused("{\"anInt32\":1.5}", "not an int32");
	check_refused("{\"anInt32\":\"\"}", "\"\" is not an int32");
	check_refused("{\"anInt32\":\"0x7\"}", "not an int32");
	check_refused("{\"anInt32\":\" 7\"}", "not an int32");
	check_refused("{\"anInt32\":\"7\\u0000\"}", "not an int32");
	check_refused("{\"anInt32\":true}", "true is not an int32");
	check_refused("{\"anInt32\":[1]}", "an array is not an int32");
}

TEST(reals_take_the_shortest_form_that_reads_back)
{
	check_same("{\"aFloat\":0.1,\"aDouble\":0.1}");
	check_same("{\"aFloat\":3.4028235e+38,\"aDouble\":5e-324}");
	check_same("{\"aDouble\":1.7976931348623157e+308}");
	check_same("{\"aDouble\":0.30000000000000004}");
	check_same("{\"aFloat\":\"NaN\",\"aDouble\":\"-Infinity\"}");
	check_same("{\"aFloat\":\"Infinity\",\"aDouble\":-0.0}");
	check_becomes("{\"aDouble\":-0}", "{\"aDouble\":-0.0}");
	check_becomes("{\"aDouble\":\"2.5e1\",\"aFloat\":\"-0.0\"}",
		      "{\"aFloat\":-0.0,\"aDouble\":25}");
	check_becomes("{\"aDouble\":10000000000000000000000}",
		      "{\"aDouble\":1e+22}");
}

TEST(reals_of_another_spelling_are_refused)
{
	check_refused("{\"aDouble\":1e999}", "real number overflow");
	check_refused("{\"aDouble\":\"1e999\"}", "not a double");
	check_refused("{\"aFloat\":3.5e38}", "3.5e38 is not a float");
	check_refused("{\"aDouble\":\"nan\"}", "not a double");
	check_refused("{\"aDouble\":\"+1\"}", "not a double");
	check_refused("{\"aDouble\":\"1,5\"}", "not a double");
	check_refused("{\"aDouble\":\" 1\"}", "not a double");
	check_refused("{\"aDouble\":\"\"}", "not a double");
	check_refused("{\"aDouble\":NaN}", "line 1");
}

TEST(enums_go_by_name_and_take_numbers)
{
	check_same(
		"{\"colour\":\"RED\",\"colours\":[\"BELOW\",\"NO_COLOUR\"]}");
	check_becomes("{\"colour\":-3}", "{\"colour\":\"BELOW\"}");
	check_same("{\"colour\":77}");
	check_refused("{\"colour\":\"BLUE\"}",
		      "colour: \"BLUE\" is not a name of Colour");
	check_refused("{\"colour\":2147483648}", "Colour");
}

TEST(text_is_escaped_and_never_cut)
{
	check_same("{\"text\":\"a\\\"\\\\\\n\\t\\u0001\\u007f\xc3\xa9"
		   "\xf0\x9f\x98\x80\"}");
	check_becomes("{\"text\":\"\\ud83d\\ude00\\/\"}",
		      "{\"text\":\"\xf0\x9f\x98\x80/\"}");
	check_refused("{\"text\":\"a\\u0000b\"}", "string without NUL");
	check_refused("{\"text\":\"\\ud83d\"}", "line 1");
	check_refused("{\"text\":\"\xff\"}", "unable to decode");
	check_refused("{\"text\":5}", "5 is not a string");
	check_refused("{\"text\":9223372036854775808}",
		      "9223372036854775808 is not a string");
}

TEST(what_is_no_text_prints_as_replacement_characters)
{
	Test__All m = TEST__ALL__INIT;
	char *text;

	m.text = (char *)"a\xc3\"\xff";
	text = print(&m.base, 0);
	CHECK_STR(text, "{\"text\":\"a\xef\xbf\xbd\\\"\xef\xbf\xbd\"}");
	free(text);
}

TEST(bytes_take_either_base64)
{
	check_same("{\"data\":\"+/+/\",\"datas\":[\"\",\"AA==\",\"AAE=\"]}");
	check_becomes("{\"data\":\"-_-_\",\"datas\":[\"AA\",\"AAE\"]}",
		      "{\"data\":\"+/+/\",\"datas\":[\"AA==\",\"AAE=\"]}");
	check_refused("{\"data\":\"A\"}", "data: \"A\" is not base64");
	check_refused("{\"data\":\"A===\"}", "base64");
	check_refused("{\"data\":\"AA=A\"}", "base64");
	check_refused("{\"data\":\"AA AA\"}", "base64");
	check_refused("{\"data\":1}", "base64");
}

TEST(maps_are_objects_sorted_by_key)
{
	check_becomes("{\"stringMap\":{\"b\":\"2\",\"a\":\"\"}}",
		      "{\"stringMap\":{\"a\":\"\",\"b\":\"2\"}}");
	check_same("{\"longMap\":{\"7\":{},\"8\":{\"text\":\"x\"}}}");
	check_same("{\"boolMap\":{\"false\":\"NO_COLOUR\",\"true\":\"RED\"}}");
	check_same("{\"uintMap\":{\"4294967295\":0.5}}");
	check_same("{\"pairs\":[{\"key\":\"k\",\"value\":\"v\"}]}");
	check_refused("{\"uintMap\":{\"-1\":0}}", "key \"-1\" is not a uint32");
	check_refused("{\"boolMap\":{\"yes\":0}}", "not true or false");
	check_refused("{\"stringMap\":{\"a\":null}}",
		      "string_map: [\"a\"]: null is not a string");
	check_refused("{\"stringMap\":[]}", "string_map: not an object");
}

TEST(of_equal_keys_in_the_binary_form_the_last_prints)
{
	Test__All__StringMapEntry a = TEST__ALL__STRING_MAP_ENTRY__INIT, b = a;
	Test__All__StringMapEntry *entries[] = {&a, &b};
	Test__All m = TEST__ALL__INIT;
	char *text;

	a.key = b.key = (char *)"k";
	a.value = (char *)"old";
	b.value = (char *)"new";
	m.n_string_map = 2;
	m.string_map = entries;
	text = print(&m.base, 0);
	CHECK_STR(text, "{\"stringMap\":{\"k\":\"new\"}}");
	free(text);
}

TEST(a_oneof_has_one_and_keeps_its_default)
{
	check_same("{\"oneText\":\"\"}");
	check_same("{\"oneSub\":{}}");
	check_same("{\"oneData\":\"\"}");
	check_same("{\"oneInt32\":0,\"ratio\":0}");
	check_becomes("{\"oneInt32\":null,\"oneText\":\"x\"}",
		      "{\"oneText\":\"x\"}");
	check_refused("{\"oneInt32\":1,\"oneText\":\"x\"}", "oneof");
	check_refused("{\"oneSub\":{\"text\":1}}",
		      "All: one_sub: text: 1 is not a string");
	check_refused("{\"oneData\":\"?\"}", "base64");
}

TEST(names_are_camel_out_and_either_in)
{
	check_becomes("{\"_odd__name_9x\":\"a\"}", "{\"OddName9x\":\"a\"}");
	check_refused("{\"anInt32\":1,\"an_int32\":1}", "the same field");
	check_refused("{\"anInt32\":1,\"anInt32\":1}", "duplicate");
	check_refused("{\"x\":1}", "All has no field \"x\"");
}

TEST(null_is_unset_and_not_an_item)
{
	check_becomes("{\"text\":null,\"sub\":null,\"longs\":null,"
		      "\"stringMap\":null,\"colour\":null}",
		      "{}");
	check_refused("{\"longs\":[1,null]}", "longs: [1]: null is not");
	check_refused("{\"subs\":[null]}", "subs: [0]: not an object");
}

TEST(the_unknown_is_ignored_unless_strict)
{
	Test__All *m = parse("{\"x\":{\"y\":[1]},\"colour\":\"BLUE\","
			     "\"colours\":[\"BLUE\",\"RED\"],\"boolMap\":"
			     "{\"true\":\"BLUE\",\"false\":\"RED\"}}",
			     0);
	char *text = print(&m->base, 0);

	CHECK_STR(text,
		  "{\"colours\":[\"RED\"],\"boolMap\":{\"false\":\"RED\"}}");
	free(text);
	rpc_free(&m->base);
}

TEST(flags_change_the_spelling)
{
	Test__All *m = parse("{\"anInt64\":5,\"longs\":[6]}", 0);
	char *text = print(&m->base, JSON_NUMBERS | JSON_SNAKE);

	CHECK_STR(text, "{\"an_int64\":5,\"longs\":[6]}");
	free(text);
	text = print(&m->base, JSON_DEFAULTS);
	CHECK_HAS(text, "{\"anInt32\":0,");
	CHECK_HAS(text, "\"aBool\":false,\"colour\":\"NO_COLOUR\",\"text\":"
			"\"\",\"data\":\"\",\"longs\":[\"6\"],\"texts\":[],");
	CHECK_HAS(text, "\"stringMap\":{},");
	CHECK(!strstr(text, "sub\"") && !strstr(text, "one"));
	CHECK(!strstr(text, "ratio"));
	free(text);
	rpc_free(&m->base);
}

TEST(printing_past_the_limit_leaves_the_buffer_as_it_was)
{
	Test__All *m = parse("{\"text\":\"long enough\",\"data\":\"AAAA\"}", 0);

	for (size_t max = 1; max < 37; max++) {
		struct buf b = BUF_INIT(max);
		struct err err;

		CHECK(!buf_add(&b, "x", 1, &err));
		CHECK_INT(json_print(&b, &m->base, 0, &err),
			  ERR_RESOURCE_EXHAUSTED);
		CHECK_STR(b.p, "x");
		buf_release(&b);
	}
	rpc_free(&m->base);
}

static char *repeat(const char *open, const char *s, int n, const char *close)
{
	struct buf b = BUF_INIT(0);

	buf_puts(&b, open);
	for (int i = 0; i < n; i++)
		buf_puts(&b, s);
	buf_puts(&b, close);
	return buf_take(&b);
}

static void check_text(char *text, int code, const char *why)
{
	struct err err = {0};
	json_t *v = NULL;

	size_t len = strlen(text);
	struct buf exact = BUF_INIT(0);
	int rc = json_scan(text, len, &exact, &err);

	if (!rc)
		rc = json_load(&v, text, len, 0, &err);
	CHECK_INT(rc, code);
	CHECK_HAS(err.msg, why);
	json_decref(v);
	buf_release(&exact);
	free(text);
}

TEST(json_is_bounded_before_it_is_built)
{
	check_text(repeat("", "[", 33, ""), ERR_RESOURCE_EXHAUSTED,
		   "nested deeper than 32");
	check_text(repeat("[0", ",0", 65534, "]"), 0, "");
	check_text(repeat("[0", ",0", 65535, "]"), ERR_RESOURCE_EXHAUSTED,
		   "more than 65536 of the characters");
	check_text(repeat("[\"", "[,]", 70000, "\\\"[\"]"), 0, "");
	check_text(repeat("[1", "0", 256, "]"), ERR_RESOURCE_EXHAUSTED,
		   "a number of more than 256 characters");
	check_text(repeat("[\"", "0123456789", 420000, "\"]"),
		   ERR_RESOURCE_EXHAUSTED, "JSON of 4200004 bytes");
	check_text(repeat("", "[", 3, ""), ERR_INVALID_ARGUMENT, "line 1");
	check_text(repeat("", "", 0, ""), ERR_INVALID_ARGUMENT, "line 1");
	check_text(repeat("[\"", "\\", 1, ""), ERR_INVALID_ARGUMENT, "line 1");
}

TEST(a_text_that_ends_anywhere_is_refused)
{
	const char *text = "{\"anInt64\":-9223372036854775808,\"text\":\"a\\\""
			   "\",\"subs\":[{\"aDouble\":1.5e3}]}";

	for (size_t len = 0; len < strlen(text); len++) {
		char *cut = mem_dup(text, len), *exact = malloc(len + !len);
		ProtobufCMessage *msg = NULL;

		memcpy(exact, cut, len); /* so that ASan sees an overread */
		CHECK_INT(json_parse(&msg, &test__all__descriptor, exact, len,
				     0, NULL),
			  ERR_INVALID_ARGUMENT);
		free(cut);
		free(exact);
	}
}
