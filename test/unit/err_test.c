#include "test.h"

#include <errno.h>

#include "base/err.h"

TEST(err_reads_outside_in_and_keeps_its_code)
{
	struct err err;

	errno = ENOENT;
	CHECK(err_sys(&err, "open r.db") == ERR_NOT_FOUND);
	CHECK(err_wrap(&err, "list %s", "nodes") == ERR_NOT_FOUND);
	CHECK_STR(err.msg, "list nodes: open r.db: No such file or directory");
	err_hint(&err, "first");
	err_hint(&err, "second");
	CHECK_STR(err.hint, "first");
}

TEST(err_cuts_a_sentence_that_is_too_long)
{
	struct err err;
	char s[2000];

	memset(s, 'x', sizeof(s) - 1);
	s[sizeof(s) - 1] = '\0';
	err_set(&err, ERR_INTERNAL, "%s", s);
	err_wrap(&err, "%s", s);
	CHECK_INT(strlen(err.msg), sizeof(err.msg) - 1);
}

TEST(err_codes_have_one_name_exit_status_and_http_status)
{
	CHECK_STR(err_name(ERR_UNAVAILABLE), "unavailable");
	CHECK_INT(err_exit(ERR_UNAVAILABLE), 3);
	CHECK_INT(err_http(ERR_NOT_FOUND), 404);
	CHECK_STR(err_name((enum err_code)99), "unknown");
	for (int i = 1; i <= 16; i++)
		CHECK(err_exit((enum err_code)i) > 0);
}
