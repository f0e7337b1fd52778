#include "test.h"

#include "node/phrase.h"

static void means(const char *line, const char *want)
{
	char got[256] = "";
	struct phrase p;
	struct words w;
	struct err err;

	CHECK_INT(words_split(&w, line, &err), 0);
	phrase_of(&p, &w, "7");
	for (size_t i = 0; i < p.n; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s[%s]",
			 i ? " " : "", p.at[i]);
	phrase_release(&p);
	words_release(&w);
	CHECK_STR(got, want);
}

TEST(words_and_their_short_forms_are_programs)
{
	means("list", "[gfl-list]");
	means("l -o json", "[gfl-list] [-o] [json]");
	means("s 2", "[gfl-status] [2]");
	means("leader", "[gfl-leader]");
	means("run start --rounds 3", "[gfl-run] [start] [--rounds] [3]");
	means("lis", "[gfl-lis]");
}

TEST(a_message_needs_no_quotes)
{
	means("send 2 hello", "[gfl-send] [--from] [7] [2] [hello]");
	means("send 2 hello there  you", "[gfl-send] [--from] [7] [2] [hello there you]");
	means("send 2 'a  b'", "[gfl-send] [--from] [7] [2] [a  b]");
	means("send 2", "[gfl-send] [--from] [7] [2]");
	means("send", "[gfl-send] [--from] [7]");
	means("send 2 a b --type 7", "[gfl-send] [--from] [7] [2] [a] [b] [--type] [7]");
	means("send --all a", "[gfl-send] [--from] [7] [--all] [a]");
	means("broadcast to all of you", "[gfl-send] [--from] [7] [--all] [to all of you]");
	means("broadcast", "[gfl-send] [--from] [7] [--all]");
	means("broadcast --type 3 x", "[gfl-send] [--from] [7] [--all] [--type] [3] [x]");
}

TEST(refresh_is_a_control_message_to_the_node_itself)
{
	means("refresh", "[gfl-send] [7] [refresh] [--type=2]");
}

TEST(a_word_is_one_of_several_as_a_whole)
{
	CHECK(phrase_is("q", "quit q exit"));
	CHECK(phrase_is("exit", "quit q exit"));
	CHECK(!phrase_is("qui", "quit q exit"));
	CHECK(!phrase_is("", "quit q exit"));
	CHECK(!phrase_is("quit q", "quit q exit"));
}
