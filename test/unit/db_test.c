#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/db.h"

static void put(struct db *d, int64_t x)
{
	sqlite3_stmt *s;

	CHECK(!db_stmt(d, &s, "INSERT INTO t VALUES (?)", NULL));
	sqlite3_bind_int64(s, 1, x);
	CHECK(!db_run(d, s, NULL));
}

static struct db *open_with_table(const char *path)
{
	struct db *d;
	struct err err;

	if (db_open(&d, path, DB_NODE, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	CHECK(!db_exec(d, "CREATE TABLE IF NOT EXISTS t (x)", &err));
	return d;
}

static int64_t count(struct db *d)
{
	int64_t n;

	CHECK(!db_number(d, "SELECT count(*) FROM t", 0, &n, NULL));
	return n;
}

/* Run fn as somebody whom permissions stop, in a process of its own. */
static void as_nobody(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (!geteuid() && (setegid(65534) || seteuid(65534)))
			test_fail(__FILE__, __LINE__, "cannot become nobody");
		fn();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	CHECK_INT(status, 0);
}

TEST(db_is_wal_and_synced_at_every_commit)
{
	struct db *d = open_with_table("a.db");
	sqlite3_stmt *s;
	int64_t n;
	bool row;

	CHECK(!db_number(d, "PRAGMA synchronous", 0, &n, NULL));
	CHECK_INT(n, 2);
	CHECK(!db_number(d, "PRAGMA foreign_keys", 0, &n, NULL));
	CHECK_INT(n, 1);
	CHECK(!db_stmt(d, &s, "PRAGMA journal_mode", NULL));
	CHECK(!db_next(d, s, &row, NULL));
	CHECK_STR((const char *)sqlite3_column_text(s, 0), "wal");
	db_done(s);
	db_close(d);
}

TEST(db_of_a_second_process_is_refused_with_the_pid_of_the_first)
{
	struct db *d = open_with_table("a.db");
	char want[64];
	int status;
	pid_t pid;

	snprintf(want, sizeof(want), "in use by process %d", (int)getpid());
	pid = fork();
	if (!pid) {
		struct db *second;
		struct err err;

		CHECK(db_open(&second, "a.db", DB_NODE, &err) ==
		      ERR_RESOURCE_EXHAUSTED);
		CHECK_HAS(err.msg, want);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	CHECK_INT(status, 0);
	db_close(d);
	d = open_with_table("a.db");
	db_close(d);
}

TEST(db_survives_kill_9_of_its_writer)
{
	int pipes[2], status;
	struct db *d;
	pid_t pid;
	char c;

	CHECK(!pipe(pipes));
	pid = fork();
	if (!pid) {
		d = open_with_table("a.db");
		put(d, 1);
		CHECK(!db_exec(d, "BEGIN", NULL));
		put(d, 2);
		CHECK(write(pipes[1], "x", 1) == 1);
		pause();
	}
	CHECK(read(pipes[0], &c, 1) == 1);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	d = open_with_table("a.db");
	CHECK_INT(count(d), 1);
	db_close(d);
}

TEST(db_of_another_kind_or_program_is_refused)
{
	struct db *d = open_with_table("a.db");
	struct err err;
	sqlite3 *raw;

	db_close(d);
	CHECK(db_open(&d, "a.db", DB_TRAINER, &err) == ERR_FAILED_PRECONDITION);
	CHECK_HAS(err.msg, "not the database of a gfl trainer");
	CHECK(!sqlite3_open("b.db", &raw));
	CHECK(!sqlite3_exec(raw, "CREATE TABLE x (y)", NULL, NULL, NULL));
	sqlite3_close(raw);
	CHECK(db_open(&d, "b.db", DB_NODE, &err) == ERR_FAILED_PRECONDITION);
}

TEST(db_that_is_damaged_or_none_says_so)
{
	int fd = open("a.db", O_CREAT | O_WRONLY, 0600);
	struct db *d;
	struct err err;

	for (int i = 0; i < 512; i++)
		CHECK(write(fd, "no SQLite", 9) == 9);
	close(fd);
	CHECK(db_open(&d, "a.db", DB_NODE, &err) == ERR_DATA_LOSS);
	CHECK_HAS(err.msg, "a.db is no database");
	CHECK(access("a.db.lock", F_OK)); /* it is not ours */
	close(open("a.db.lock", O_CREAT | O_WRONLY, 0600));
	CHECK(db_open(&d, "a.db", DB_NODE, &err) == ERR_DATA_LOSS);
	CHECK_HAS(err.msg, "a.db is damaged: ");
	CHECK(db_open_to_read(&d, "a.db", DB_NODE, &err) == ERR_DATA_LOSS);
}

static void open_read_only(void)
{
	struct db *d;
	struct err err;

	CHECK(db_open(&d, "ro/a.db", DB_NODE, &err) == ERR_RESOURCE_EXHAUSTED);
	CHECK_STR(err.msg, "ro/a.db: the directory ro cannot be written");
}

TEST(db_in_a_missing_or_read_only_directory_is_one_sentence)
{
	struct db *d;
	struct err err;

	CHECK(db_open(&d, "no/a.db", DB_NODE, &err) == ERR_NOT_FOUND);
	CHECK_STR(err.msg, "no/a.db: the directory no does not exist");
	CHECK(!mkdir("ro", 0500) && !chmod(".", 0755));
	as_nobody(open_read_only);
	CHECK(db_open(&d, "ro", DB_NODE, &err) == ERR_RESOURCE_EXHAUSTED);
	CHECK_STR(err.msg, "open ro: Is a directory");
	CHECK(db_open(&d, "no/", DB_NODE, &err) == ERR_RESOURCE_EXHAUSTED);
	CHECK(access("ro.lock", F_OK));
}

TEST(db_and_what_lies_beside_it_are_for_us_alone)
{
	static const char *const names[] = {"a.db", "a.db-wal", "a.db-shm",
					    "a.db.lock"};
	struct db *d = open_with_table("a.db");
	struct stat st;

	for (int i = 0; i < 4; i++) {
		CHECK(!stat(names[i], &st));
		CHECK_INT(st.st_mode & 0777, 0600);
	}
	db_close(d);
}

TEST(db_reader_sees_what_was_committed_last)
{
	struct db *d = open_with_table("a.db"), *r;
	struct err err;

	CHECK(!db_open_to_read(&r, "a.db", DB_NODE, &err));
	CHECK_INT(count(r), 0);
	put(d, 1);
	CHECK_INT(count(r), 1);
	CHECK(db_exec(r, "DELETE FROM t", &err) == ERR_RESOURCE_EXHAUSTED);
	db_close(r);
	db_close(d);
	CHECK(db_open_to_read(&r, "none.db", DB_NODE, &err) == ERR_NOT_FOUND);
}

static void read_at_rest(void)
{
	struct db *d;
	struct err err;

	if (db_open_to_read(&d, "at?rest/a.db", DB_NODE, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	CHECK_INT(count(d), 1);
	db_close(d);
}

TEST(db_at_rest_can_be_read_where_nothing_can_be_written)
{
	struct db *d;

	CHECK(!mkdir("at?rest", 0755));
	d = open_with_table("at?rest/a.db");
	put(d, 1);
	db_close(d);
	CHECK(!chmod("at?rest/a.db", 0444) && !chmod("at?rest", 0555));
	CHECK(!chmod(".", 0755));
	as_nobody(read_at_rest);
	CHECK(!chmod("at?rest", 0755));
}

TEST(db_statement_is_prepared_once)
{
	struct db *d = open_with_table("a.db");
	sqlite3_stmt *a, *b;
	char text[] = "SELECT x FROM t";

	CHECK(!db_stmt(d, &a, "SELECT x FROM t", NULL));
	CHECK(!db_stmt(d, &b, text, NULL));
	CHECK(a == b);
	CHECK(db_stmt(d, &b, "SELECT nothing", NULL) == ERR_INTERNAL);
	db_close(d);
}

static off_t size_of(const char *path)
{
	struct stat st;

	CHECK(!stat(path, &st));
	return st.st_size;
}

/* The copies are what a crash would leave. */
TEST(db_with_a_long_log_file_has_all_after_a_crash)
{
	struct db *d = open_with_table("long.db"), *again;
	off_t len;

	put(d, 1);
	db_lengthen_wal(d);
	len = size_of("long.db-wal");
	CHECK(len > 4 << 20);
	put(d, 2);
	CHECK_INT(size_of("long.db-wal"), len);
	CHECK(!system("cp long.db copy.db && cp long.db-wal copy.db-wal"));
	again = open_with_table("copy.db");
	CHECK_INT(count(again), 2);
	db_close(again);
	db_close(d);
}

static int64_t wal_size(void)
{
	struct stat s;

	CHECK(!stat("a.db-wal", &s));
	return s.st_size;
}

/* A reader that stays at an old state keeps the log from being used again. */
TEST(db_gives_back_what_a_long_reader_made_its_log_grow_to)
{
	struct db *d = open_with_table("a.db"), *reader;
	struct err err;
	int64_t n;

	put(d, 1);
	CHECK(!db_open_to_read(&reader, "a.db", DB_NODE, &err));
	CHECK(!db_exec(reader, "BEGIN", &err));
	CHECK(!db_number(reader, "SELECT count(*) FROM t", 0, &n, &err));
	CHECK(!db_exec(d, "INSERT INTO t VALUES (zeroblob(40000000))", &err));
	CHECK(wal_size() > 40000000);
	CHECK(!db_exec(reader, "COMMIT", &err));
	CHECK(!db_exec(d, "PRAGMA wal_checkpoint", &err));
	put(d, 2);
	CHECK(wal_size() < 20000000);
	db_close(reader);
	db_close(d);
}
