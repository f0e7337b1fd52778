#include "test.h"

#include "store/schema.h"

static const char *const steps[] = {
	"CREATE TABLE a (x)", "CREATE TABLE b (x); INSERT INTO b VALUES (7)",
	"CREATE TABLE c (x); CREATE TABLE c (x)", /* fails half way */
};

static int64_t number(struct db *d, const char *sql)
{
	int64_t n;

	CHECK(!db_number(d, sql, -1, &n, NULL));
	return n;
}

TEST(schema_steps_run_once_each)
{
	struct db *d;

	CHECK(!db_open(&d, "a.db", DB_GATEWAY, NULL));
	CHECK(!schema_apply(d, steps, 1, NULL));
	CHECK_INT(number(d, "PRAGMA user_version"), 1);
	CHECK(schema_check(d, 2, NULL) == ERR_FAILED_PRECONDITION);
	CHECK(!schema_apply(d, steps, 2, NULL));
	CHECK(!schema_apply(d, steps, 2, NULL));
	CHECK_INT(number(d, "SELECT count(*) FROM b"), 1);
	CHECK(!schema_check(d, 2, NULL));
	db_close(d);
}

TEST(schema_newer_than_the_program_is_refused)
{
	struct db *d;
	struct err err;

	CHECK(!db_open(&d, "a.db", DB_GATEWAY, NULL));
	CHECK(!schema_apply(d, steps, 2, NULL));
	CHECK(schema_apply(d, steps, 1, &err) == ERR_FAILED_PRECONDITION);
	CHECK_HAS(err.msg, "a.db was made by a newer gfl");
	CHECK_INT(number(d, "PRAGMA user_version"), 2);
	db_close(d);
}

TEST(schema_step_that_fails_leaves_nothing)
{
	struct db *d;

	CHECK(!db_open(&d, "a.db", DB_GATEWAY, NULL));
	CHECK(schema_apply(d, steps, 3, NULL) != 0);
	CHECK_INT(number(d, "PRAGMA user_version"), 2);
	CHECK_INT(number(d, "SELECT count(*) FROM sqlite_schema"
			    " WHERE name = 'c'"),
		  0);
	db_close(d);
}
