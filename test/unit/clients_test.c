#include "test.h"

#include <stdlib.h>

#include "fl/clients.h"

static void is(const char *text, int i, int n, const char *want)
{
	struct err err;
	char *name;

	CHECK(!clients_name(&name, text, i, n, &err));
	CHECK_STR(name, want);
	free(name);
}

TEST(clients_are_named_by_number_or_in_a_list)
{
	is("parts/part-%d.idx", 1, 3, "parts/part-1.idx");
	is("parts/part-%d.idx", 12, 12, "parts/part-12.idx");
	is("a,b%s,c d", 1, 3, "a");
	is("a,b%s,c d", 2, 3, "b%s");
	is("a,b%s,c d", 3, 3, "c d");
	is("100%d, as it is", 1, 1, "100%d, as it is");
}

TEST(clients_without_a_name_each_are_refused)
{
	struct err err;
	char *name;

	CHECK(clients_name(&name, "a,b", 1, 3, &err) == ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "2 names for 3 clients");
	CHECK(clients_name(&name, "a", 1, 2, &err) == ERR_INVALID_ARGUMENT);
	CHECK(clients_name(&name, "", 1, 2, &err) == ERR_INVALID_ARGUMENT);
}
