#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "plan/hyper.h"

static void check_of(const char *name, const char *value, const char *want)
{
	char *text = hyper_of(name, value);

	CHECK_STR(text, want);
	free(text);
}

TEST(hyper_is_named_as_a_variable)
{
	check_of("tree-depth", "3", "TREE_DEPTH=3");
	check_of("LR2", "a=b-c", "LR2=a=b-c");
	check_of("", "", "=");
}

TEST(hyper_takes_what_an_environment_takes)
{
	CHECK(hyper_ok("A=1"));
	CHECK(hyper_ok("_9=")); /* a value may be empty */
	CHECK(hyper_ok("A=b=c d\xc3\xa9"));
	CHECK(!hyper_ok(""));
	CHECK(!hyper_ok("A"));
	CHECK(!hyper_ok("=1"));
	CHECK(!hyper_ok("a=1"));
	CHECK(!hyper_ok("A B=1"));
	CHECK(!hyper_ok("A=1\n"));
	CHECK(!hyper_ok("A=\x7f"));
}

TEST(hyper_is_bounded)
{
	char text[HYPER_NAME_MAX + HYPER_VALUE_MAX + 3];

	memset(text, 'A', sizeof(text));
	text[HYPER_NAME_MAX] = '=';
	text[sizeof(text) - 2] = '\0';
	CHECK(hyper_ok(text));
	text[sizeof(text) - 2] = 'A';
	text[sizeof(text) - 1] = '\0';
	CHECK(!hyper_ok(text));
	memset(text, 'A', HYPER_NAME_MAX + 1);
	strcpy(text + HYPER_NAME_MAX + 1, "=");
	CHECK(!hyper_ok(text));
}
