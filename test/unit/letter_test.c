#include "test.h"

#include "registry/letter.h"

static int parse(struct letter *l, const char *text, struct err *err)
{
	return letter_parse(l, text, strlen(text), err);
}

TEST(a_letter_has_what_its_line_says)
{
	struct letter l;
	struct err err;

	CHECK(!parse(
		&l,
		"{\"to\":2,\"type\":7,\"id\":\"a\",\"payload\":\"\\u00e9\"}",
		&err));
	CHECK_STR(l.to, "2");
	CHECK_STR(l.id, "a");
	CHECK_INT(l.type, 7);
	CHECK(l.len == 2 && !memcmp(l.payload, "\xc3\xa9", 2));
	letter_release(&l);
}

TEST(what_a_line_does_not_say_is_left_open)
{
	struct letter l;
	struct err err;

	CHECK(!parse(&l, " {\"payload\":\"\",\"cursor\":1,\"from\":null}\r",
		     &err));
	CHECK(!l.to && !l.id && l.type == -1 && l.len == 0);
	letter_release(&l);
	CHECK(!parse(&l, "{\"to\":\"http://a:1\",\"payload\":\"a\\u0000\"}",
		     &err));
	CHECK_STR(l.to, "http://a:1");
	CHECK(l.len == 2 && !memcmp(l.payload, "a", 2));
	letter_release(&l);
}

TEST(bytes_that_are_no_text_come_as_base64)
{
	struct letter l;
	struct err err;

	CHECK(!parse(&l, "{\"payload_b64\":\"/wA=\"}", &err));
	CHECK(l.len == 2 && !memcmp(l.payload, "\xff", 2));
	letter_release(&l);
	CHECK(!parse(&l, "{\"payload_b64\":\"\"}", &err));
	CHECK_INT(l.len, 0);
	letter_release(&l);
}

TEST(what_is_no_letter_is_refused)
{
	static const char *const bad[] = {
		"",
		"x",
		"[]",
		"1",
		"{}",
		"{\"payload\":1}",
		"{\"payload\":\"a\",\"payload_b64\":\"\"}",
		"{\"payload\":\"a\",\"payload\":\"b\"}",
		"{\"payload_b64\":\"!\"}",
		"{\"payload_b64\":[]}",
		"{\"to\":1.5,\"payload\":\"\"}",
		"{\"to\":\"a\\u0000b\",\"payload\":\"\"}",
		"{\"type\":-1,\"payload\":\"\"}",
		"{\"type\":2147483648,\"payload\":\"\"}",
		"{\"type\":\"1\",\"payload\":\"\"}",
		"{\"id\":\"\",\"payload\":\"\"}",
		"{\"payload\":\"a\"} x",
		"{\"id\":7,\"payload\":\"\"}",
		"{\"payload\":\"\xff\"}",
	};
	struct letter l;
	struct err err;
	char id[200];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK_INT(parse(&l, bad[i], &err), ERR_INVALID_ARGUMENT);
	snprintf(id, sizeof(id), "{\"id\":\"%0129d\",\"payload\":\"\"}", 0);
	CHECK_INT(parse(&l, id, &err), ERR_INVALID_ARGUMENT);
}
