#include "test.h"

#include "base/str.h"

TEST(str_copies_what_fits_and_says_what_does_not)
{
	char to[4];

	CHECK(str_copy(to, sizeof(to), "abc"));
	CHECK_STR(to, "abc");
	CHECK(!str_copy(to, sizeof(to), "abcd"));
	CHECK_STR(to, "abc");
	CHECK(str_copy(to, sizeof(to), NULL));
	CHECK_STR(to, "");
}

TEST(str_knows_an_id)
{
	char id[STR_ID], other[STR_ID];

	str_new_id(id);
	str_new_id(other);
	CHECK(str_is_id(id) && str_is_id(other));
	CHECK(strcmp(id, other) != 0);
	CHECK(!str_is_id(""));
	CHECK(!str_is_id("0123456789abcdef0123456789abcde"));
	CHECK(!str_is_id("0123456789abcdef0123456789abcdef0"));
	CHECK(!str_is_id("0123456789ABCDEF0123456789abcdef"));
}

TEST(str_writes_bytes_as_hex)
{
	char to[7];

	str_hex(to, "\x00\xfe\x10", 3);
	CHECK_STR(to, "00fe10");
}

TEST(str_stem_ends_before_db)
{
	CHECK_INT(str_stem("a/node.db"), 6);
	CHECK_INT(str_stem("node.sqlite"), 11);
	CHECK_INT(str_stem("node.db.db"), 7);
	CHECK_INT(str_stem(".db"), 3);
	CHECK_INT(str_stem(""), 0);
}
