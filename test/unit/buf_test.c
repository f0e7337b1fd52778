#include "test.h"

#include "base/buf.h"

TEST(buf_past_its_limit_fails_and_is_unchanged)
{
	struct buf b = BUF_INIT(4);
	struct err err;

	CHECK(!buf_add(&b, "abcd", 4, &err));
	CHECK(buf_add(&b, "e", 1, &err) == ERR_RESOURCE_EXHAUSTED);
	CHECK_STR(b.p, "abcd");
	CHECK(buf_add(&b, "e", (size_t)-1, &err) == ERR_RESOURCE_EXHAUSTED);
	buf_release(&b);
}

TEST(buf_formats_what_is_longer_than_its_first_guess)
{
	struct buf b = BUF_INIT(0);
	char *s;

	buf_putf(&b, "%0300d", 7);
	CHECK_INT(b.len, 300);
	buf_drop(&b, 299);
	CHECK_STR(b.p, "7");
	s = buf_take(&b);
	CHECK_STR(s, "7");
	CHECK(!b.p && !b.len);
	free(s);
}
