#include "test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "test/unit/all.pb-c.h"
#include "wire/binary.h"
#include "wire/rpc.h"

/* Unpack these bytes; what they are must be freed. */
static int unpack(const void *p, size_t len, Test__All **out, struct err *err)
{
	ProtobufCMessage *msg = NULL;
	int rc = rpc_unpack(&msg, &test__all__descriptor, p, len, err);

	*out = (Test__All *)msg;
	return rc;
}

static void check_refused(const char *bytes, size_t len, int code,
			  const char *why)
{
	struct err err;
	Test__All *m;

	CHECK_INT(unpack(bytes, len, &m, &err), code);
	CHECK_HAS(err.msg, why);
	CHECK(!m);
}

#define REFUSED(bytes, why) \
	check_refused(bytes, sizeof(bytes) - 1, ERR_INVALID_ARGUMENT, why)

static void check_text(const char *bytes, size_t len, const char *text)
{
	struct err err;
	Test__All *m;

	CHECK_INT(unpack(bytes, len, &m, &err), 0);
	CHECK_STR(m->text, text);
	rpc_free(&m->base);
}

TEST(every_method_has_a_path_of_its_own_and_both_types)
{
	for (int i = 0; i < RPC_COUNT; i++) {
		CHECK(rpc_methods[i].path[0] == '/');
		CHECK(rpc_methods[i].in && rpc_methods[i].out);
		for (int k = 0; k < i; k++)
			CHECK(strcmp(rpc_methods[i].path, rpc_methods[k].path));
	}
}

TEST(what_is_sound_is_unpacked)
{
	check_text("", 0, "");
	check_text("\x7a\2hi", 4, "hi");
	check_text("\x7a\3\xe2\x82\xac", 5, "\xe2\x82\xac");
	check_text("\xfa\0\2hi", 5, "hi"); /* a tag longer than it need be */
	check_text("\x82\x7d\3a\0b\x7a\1x", 9, "x"); /* an unknown field */
}

TEST(strings_that_are_no_text_are_refused_wherever_they_are)
{
	REFUSED("\x7a\2\xc3\x28", "test.All: text is not UTF-8 without NUL");
	REFUSED("\x7a\3a\0b", "test.All: text is not UTF-8 without NUL");
	REFUSED("\x7a\1\0", "text");
	REFUSED("\xfa\0\1\0", "text");
	REFUSED("\x7a\1\0\x7a\1x", "text"); /* though the second counts */
	REFUSED("\x9a\1\1\xff", "texts");
	REFUSED("\x8a\1\3\x7a\1\0", "text");
	REFUSED("\xaa\1\3\x7a\1\0", "text");
	REFUSED("\xca\1\3\x0a\1\0", "StringMapEntry: key");
	REFUSED("\xca\1\3\x12\1\xff", "StringMapEntry: value");
	REFUSED("\xea\1\1\0", "one_text");
}

TEST(bytes_may_be_anything)
{
	struct err err;
	Test__All *m;

	CHECK_INT(unpack("\x82\1\3\0\xff\0", 6, &m, &err), 0);
	CHECK_INT(m->data.len, 3);
	rpc_free(&m->base);
}

TEST(malformed_messages_are_refused)
{
	REFUSED("\x7a", "malformed test.All");
	REFUSED("\x7a\5hi", "malformed");
	REFUSED("\x08", "malformed");
	REFUSED("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1", "malformed");
	REFUSED("\x59\1\2\3", "malformed");
	REFUSED("\x5d\1\2", "malformed");
	REFUSED("\x0b\x0c", "malformed"); /* a group */
	REFUSED("\0\0", "malformed");     /* field 0 */
	REFUSED("\x80\0\0", "malformed"); /* in two bytes */
	REFUSED("\x7a\xff\xff\xff\xff\xff\1", "malformed");
	REFUSED("\x78\1", "malformed"); /* a string that is a number */
	REFUSED("\xff\xff\xff\xff\x7f\1", "malformed");
}

TEST(a_single_message_comes_once)
{
	struct err err;
	Test__All *m;

	REFUSED("\x8a\1\0\x8a\1\0", "test.All: sub is given twice");
	CHECK_INT(unpack("\xaa\1\0\xaa\1\0", 6, &m, &err), 0);
	CHECK_INT(m->n_subs, 2);
	rpc_free(&m->base);
}

/* A message in a message, n levels of `sub`. */
static struct buf nested(int n)
{
	struct buf inner = BUF_INIT(0);

	while (--n > 0) {
		struct buf outer = BUF_INIT(0);

		buf_puts(&outer, "\x8a\1");
		if (inner.len >= 128)
			buf_putc(&outer, (char)(inner.len | 0x80));
		buf_putc(&outer,
			 (char)(inner.len >= 128 ? inner.len >> 7 : inner.len));
		buf_put(&outer, inner.p, inner.len);
		buf_release(&inner);
		inner = outer;
	}
	return inner;
}

TEST(depth_is_bounded)
{
	struct buf b = nested(BINARY_MAX_DEPTH);
	struct err err;
	Test__All *m;

	CHECK_INT(unpack(b.p, b.len, &m, &err), 0);
	rpc_free(&m->base);
	buf_release(&b);
	b = nested(BINARY_MAX_DEPTH + 1);
	check_refused(b.p, b.len, ERR_RESOURCE_EXHAUSTED, "deeper than 64");
	buf_release(&b);
}

TEST(the_number_of_fields_is_bounded)
{
	struct buf b = BUF_INIT(0);

	for (int i = 0; i <= BINARY_MAX_FIELDS; i++)
		buf_put(&b, "\xaa\1", 3);
	check_refused(b.p, b.len, ERR_RESOURCE_EXHAUSTED,
		      "more than 1048576 fields");
	buf_release(&b);
}

/* Sanitisers look on: sound messages, cut and with bytes changed. */
TEST(damaged_messages_are_survived)
{
	static const char sound[] =
		"\x08\1\x7a\2hi\x8a\1\4\x7a\2yo\x92\1\2\1\2\xca\1\6\x0a\1k\x12"
		"\1v\xea\1\1x\x89\2\0\0\0\0\0\0\xf0\x3f";
	struct rand r = {1};

	for (int i = 0; i < 20000; i++) {
		size_t len = rand_below(&r, sizeof(sound));
		char *bytes = malloc(len + !len);
		struct err err;
		Test__All *m;

		memcpy(bytes, sound, len);
		for (uint64_t n = len ? rand_below(&r, 4) : 0; n; n--)
			bytes[rand_below(&r, len)] = (char)rand_next(&r);
		if (!unpack(bytes, len, &m, &err))
			rpc_free(&m->base);
		free(bytes);
	}
}

TEST(a_copy_is_deep)
{
	Test__All m = TEST__ALL__INIT, sub = TEST__ALL__INIT, *copy;

	m.text = (char *)"outer";
	m.sub = &sub;
	sub.text = (char *)"inner";
	copy = (Test__All *)rpc_copy(&m.base);
	CHECK(copy->text != m.text && copy->sub != &sub);
	CHECK_STR(copy->text, "outer");
	CHECK_STR(copy->sub->text, "inner");
	rpc_free(&copy->base);
	rpc_free(NULL);
}
