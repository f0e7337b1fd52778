#include "test.h"

#include <stdio.h>
#include <string.h>

#include "fl/reached.h"

TEST(reached_is_what_was_written_last)
{
	struct err err;
	int64_t n;

	CHECK(!reached_read("none", &n, &err));
	CHECK_INT(n, 0);
	CHECK(!reached_write("some", INT64_MAX, &err));
	CHECK(!reached_read("some", &n, &err));
	CHECK(n == INT64_MAX);
	CHECK(!reached_write("some", 7, &err));
	CHECK(!reached_read("some", &n, &err));
	CHECK_INT(n, 7);
}

TEST(reached_of_a_damaged_file_is_an_error_that_names_it)
{
	static const char *const bad[] = {"x\n", "7", "7x\n", "-1\n"};
	struct err err;
	int64_t n;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		FILE *f = fopen("bad", "w");

		CHECK(f && fputs(bad[i], f) >= 0 && !fclose(f));
		CHECK(reached_read("bad", &n, &err) == ERR_DATA_LOSS);
		CHECK(strstr(err.msg, "bad"));
	}
}
