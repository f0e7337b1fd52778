#include "test.h"

#include "base/words.h"

static void split(const char *text, const char *want)
{
	struct words w;
	struct err err;
	char got[256] = "";

	CHECK_INT(words_split(&w, text, &err), 0);
	for (size_t i = 0; i < w.n; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "[%s]",
			 w.at[i]);
	CHECK(!w.at[w.n]);
	words_release(&w);
	CHECK_STR(got, want);
}

TEST(blanks_part_words)
{
	split("", "");
	split(" \t\r\n", "");
	split("a", "[a]");
	split(" a\tbc  d\n", "[a][bc][d]");
}

TEST(quotes_keep_words_together)
{
	split("send 2 'a  b'", "[send][2][a  b]");
	split("'a'\"b\"c", "[abc]");
	split("'' \"\"", "[][]");
	split("'\"\\' \"'\"", "[\"\\][']");
	split("\"a\\\"b\\\\c\\d\"", "[a\"b\\c\\d]");
	split("a\\ b \\'c \\\\", "[a b]['c][\\]");
	split("$HOME `x` *", "[$HOME][`x`][*]");
}

TEST(what_is_not_closed_is_refused)
{
	struct words w;
	struct err err;

	CHECK_INT(words_split(&w, "a 'b", &err), ERR_INVALID_ARGUMENT);
	CHECK_STR(err.msg, "a ' that is not closed");
	CHECK_INT(words_split(&w, "\"", &err), ERR_INVALID_ARGUMENT);
	CHECK_INT(words_split(&w, "a\\", &err), ERR_INVALID_ARGUMENT);
	CHECK_INT(words_split(&w, "\"a\\", &err), ERR_INVALID_ARGUMENT);
}
