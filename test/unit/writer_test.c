#include "test.h"

#include <signal.h>
#include <sys/resource.h>
#include <uv.h>

#include "store/writer.h"

struct bench {
	struct loop *loop;
	struct db *db;
	struct writer *writer;
	uv_sem_t gate;
	int left, well, failed;
	enum err_code code;
	char order[128];
};

static void open_bench(struct bench *b, int jobs)
{
	struct err err;

	*b = (struct bench){.left = jobs};
	uv_sem_init(&b->gate, 0);
	CHECK(!loop_open(&b->loop, &err));
	CHECK(!db_open(&b->db, "a.db", DB_NODE, &err));
	CHECK(!db_exec(b->db, "CREATE TABLE t (x UNIQUE)", &err));
	CHECK(!writer_open(&b->writer, b->loop, b->db, 64, &err));
}

static void close_bench(struct bench *b)
{
	writer_close(b->writer);
	db_close(b->db);
	loop_close(b->loop);
	uv_sem_destroy(&b->gate);
}

static int64_t rows(struct bench *b)
{
	int64_t n;

	CHECK(!db_number(b->db, "SELECT count(*) FROM t", 0, &n, NULL));
	return n;
}

static int insert(struct db *db, int64_t x, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s, "INSERT INTO t VALUES (?)", err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, x);
	return db_run(db, s, err);
}

static int add_row(struct db *db, void *arg, struct err *err)
{
	int64_t n;

	(void)arg;
	if (db_number(db, "SELECT count(*) FROM t", 0, &n, err))
		return (int)err->code;
	return insert(db, n, err);
}

static int wait_at_gate(struct db *db, void *arg, struct err *err)
{
	struct bench *b = arg;

	uv_sem_wait(&b->gate);
	return add_row(db, arg, err);
}

static int add_twice(struct db *db, void *arg, struct err *err)
{
	int rc = add_row(db, arg, err);

	return rc ? rc : insert(db, 0, err);
}

static int add_blob(struct db *db, void *arg, struct err *err)
{
	(void)arg;
	return db_exec(db, "INSERT INTO t VALUES (randomblob(1000000))", err);
}

static void count(const struct err *err, void *arg)
{
	struct bench *b = arg;

	strcat(b->order, err ? "f" : "w");
	if (err) {
		b->failed++;
		b->code = err->code;
	} else {
		b->well++;
	}
	if (--b->left == 0)
		loop_stop(b->loop);
}

static void post(struct bench *b, writer_fn *fn)
{
	CHECK(!writer_post(b->writer, fn, count, b, NULL));
}

TEST(writer_puts_what_waits_into_one_transaction)
{
	struct bench b;

	open_bench(&b, 21);
	post(&b, wait_at_gate);
	for (int i = 0; i < 20; i++)
		post(&b, add_row);
	uv_sem_post(&b.gate);
	loop_run(b.loop);
	CHECK_INT(b.well, 21);
	CHECK(writer_commits(b.writer) <= 2);
	CHECK_INT(rows(&b), 21);
	close_bench(&b);
}

TEST(writer_undoes_a_job_that_fails_and_keeps_the_others)
{
	struct bench b;

	open_bench(&b, 4);
	post(&b, wait_at_gate);
	post(&b, add_row);
	post(&b, add_twice);
	post(&b, add_row);
	uv_sem_post(&b.gate);
	loop_run(b.loop);
	CHECK_STR(b.order, "wwfw");
	CHECK_INT(b.code, ERR_ALREADY_EXISTS);
	CHECK(!writer_failed(b.writer));
	CHECK_INT(rows(&b), 3);
	close_bench(&b);
}

TEST(writer_bounds_what_waits)
{
	struct bench b;

	open_bench(&b, 64);
	for (int i = 0; i < 64; i++)
		post(&b, i ? add_row : wait_at_gate);
	CHECK(writer_post(b.writer, add_row, count, &b, NULL) ==
	      ERR_RESOURCE_EXHAUSTED);
	uv_sem_post(&b.gate);
	loop_run(b.loop);
	CHECK_INT(b.well, 64);
	close_bench(&b);
}

/* A file size limit stands for a full disk: SQLite gets EFBIG. */
TEST(writer_never_goes_on_after_a_failed_write)
{
	struct rlimit limit;
	struct bench b;

	signal(SIGXFSZ, SIG_IGN);
	open_bench(&b, 1);
	post(&b, add_row);
	loop_run(b.loop);
	CHECK(!getrlimit(RLIMIT_FSIZE, &limit));
	limit.rlim_cur = 600000;
	CHECK(!setrlimit(RLIMIT_FSIZE, &limit));
	b.left = 3;
	post(&b, wait_at_gate);
	post(&b, add_blob);
	post(&b, add_row);
	uv_sem_post(&b.gate);
	loop_run(b.loop);
	CHECK(writer_failed(b.writer));
	limit.rlim_cur = limit.rlim_max;
	CHECK(!setrlimit(RLIMIT_FSIZE, &limit));
	b.left = 1;
	post(&b, add_row);
	loop_run(b.loop);
	CHECK(!strchr(b.order + 2, 'w'));
	writer_close(b.writer);
	db_close(b.db);
	CHECK(!db_open(&b.db, "a.db", DB_NODE, NULL));
	CHECK(rows(&b) <= 2);
	db_close(b.db);
	loop_close(b.loop);
}
