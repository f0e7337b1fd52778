/* The core's writes on their way to the disk: told of once durable, in order,
 * and never after one that failed. */
#include "test.h"

#include <uv.h>

#include "raft/journal.h"
#include "raft/store.h"
#include "store/schema.h"

struct bench {
	struct loop *loop;
	struct db *db;
	struct writer *writer;
	struct journal *journal;
	uv_sem_t gate;
	int64_t until, written; /* the newest seq that was told of */
	int told, failed;
	struct err err;
};

/* What it speaks of is committed: another connection sees it. */
static void on_written(int64_t seq, void *arg)
{
	struct bench *b = arg;
	struct db *reader;
	int64_t rows;

	CHECK(seq > b->written && !b->failed);
	b->written = seq;
	b->told++;
	CHECK(!db_open_to_read(&reader, "a.db", DB_NODE, NULL));
	CHECK(!db_number(reader, "SELECT count(*) FROM log", 0, &rows, NULL));
	CHECK(rows >= seq);
	db_close(reader);
	if (seq >= b->until)
		loop_stop(b->loop);
}

static void on_failed(const struct err *err, void *arg)
{
	struct bench *b = arg;

	b->failed++;
	b->err = *err;
	loop_stop(b->loop);
}

static void open_bench(struct bench *b, size_t max_jobs)
{
	static const char *const steps[] = {
		raft_store_schema, raft_snapshot_schema, raft_tail_schema,
		raft_conf_schema};
	struct err err;

	*b = (struct bench){0};
	uv_sem_init(&b->gate, 0);
	if (loop_open(&b->loop, &err) ||
	    db_open(&b->db, "a.db", DB_NODE, &err) ||
	    schema_apply(b->db, steps, 4, &err) ||
	    writer_open(&b->writer, b->loop, b->db, max_jobs, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	b->journal = journal_new(&(struct journal_config){
		.writer = b->writer,
		.on_written = on_written,
		.on_failed = on_failed,
		.arg = b,
	});
}

static void close_bench(struct bench *b)
{
	journal_free(b->journal);
	writer_close(b->writer);
	db_close(b->db);
	loop_close(b->loop);
	uv_sem_destroy(&b->gate);
}

/* The entry whose index is seq. */
static void write_one(struct bench *b, int64_t seq)
{
	const struct raft_entry e = {.index = seq,
				     .term = 1,
				     .type = RAFT_NORMAL,
				     .data = "x",
				     .len = 1};
	const struct raft_write w = {
		.seq = seq, .term = 1, .entries = &e, .n = 1};

	journal_write(b->journal, &w);
}

static int wait_for_gate(struct db *db, void *arg, struct err *err)
{
	struct bench *b = arg;

	(void)db, (void)err;
	uv_sem_wait(&b->gate);
	return 0;
}

static int fail(struct db *db, void *arg, struct err *err)
{
	(void)arg;
	return db_exec(db,
		       "CREATE TRIGGER no BEFORE INSERT ON log"
		       " WHEN new.idx = 3 BEGIN SELECT RAISE(ABORT, 'no');"
		       " END",
		       err);
}

static void post(struct bench *b, writer_fn *fn)
{
	CHECK(!writer_post(b->writer, fn, NULL, b, NULL));
}

TEST(journal_tells_of_a_write_once_it_is_durable)
{
	struct bench b;

	open_bench(&b, 64);
	post(&b, wait_for_gate);
	write_one(&b, 1);
	write_one(&b, 2);
	for (int i = 0; i < 50; i++)
		uv_run(loop_uv(b.loop), UV_RUN_NOWAIT);
	CHECK_INT(b.told, 0);
	b.until = 2;
	uv_sem_post(&b.gate);
	loop_run(b.loop);
	CHECK_INT(b.written, 2);
	close_bench(&b);
}

TEST(journal_says_that_a_write_failed_once_and_nothing_after)
{
	struct bench b;
	int64_t rows;

	open_bench(&b, 64);
	post(&b, fail);
	post(&b, wait_for_gate);
	for (int64_t seq = 1; seq <= 5; seq++)
		write_one(&b, seq);
	uv_sem_post(&b.gate);
	b.until = INT64_MAX;
	loop_run(b.loop);
	CHECK_INT(b.failed, 1);
	CHECK_HAS(b.err.msg, "a.db");
	CHECK(b.written <= 2);
	write_one(&b, 6);
	while (writer_pending(b.writer))
		uv_run(loop_uv(b.loop), UV_RUN_ONCE);
	CHECK_INT(b.failed, 1);
	CHECK(b.written <= 2);
	/* None of those behind it was written either: no gap. */
	CHECK(!db_number(b.db, "SELECT max(idx) FROM log", 0, &rows, NULL));
	CHECK_INT(rows, 2);
	close_bench(&b);
}

TEST(journal_keeps_order_past_a_full_queue)
{
	struct bench b;
	int64_t seq = 0;

	open_bench(&b, 2);
	post(&b, wait_for_gate);
	while (journal_room(b.journal))
		write_one(&b, ++seq);
	CHECK(seq > 2); /* more than the queue takes */
	CHECK(!journal_retry(b.journal));
	uv_sem_post(&b.gate);
	b.until = INT64_MAX;
	while (!journal_retry(b.journal))
		uv_run(loop_uv(b.loop), UV_RUN_ONCE);
	while (b.written < seq)
		uv_run(loop_uv(b.loop), UV_RUN_ONCE);
	CHECK_INT(b.failed, 0);
	close_bench(&b);
}

TEST(journal_that_is_freed_writes_what_it_has_and_says_nothing)
{
	struct bench b;
	int64_t rows;

	open_bench(&b, 64);
	post(&b, wait_for_gate);
	write_one(&b, 1);
	write_one(&b, 2);
	journal_free(b.journal);
	b.journal = NULL;
	uv_sem_post(&b.gate);
	while (writer_pending(b.writer))
		uv_run(loop_uv(b.loop), UV_RUN_ONCE);
	CHECK_INT(b.told, 0);
	CHECK(!db_number(b.db, "SELECT count(*) FROM log", 0, &rows, NULL));
	CHECK_INT(rows, 2);
	close_bench(&b);
}

TEST(journal_that_is_freed_forgets_what_had_no_room_yet)
{
	struct bench b;
	int64_t rows, seq = 0;

	open_bench(&b, 2);
	post(&b, wait_for_gate);
	while (journal_room(b.journal))
		write_one(&b, ++seq);
	CHECK(!journal_retry(b.journal));
	journal_free(b.journal);
	b.journal = NULL;
	uv_sem_post(&b.gate);
	while (writer_pending(b.writer))
		uv_run(loop_uv(b.loop), UV_RUN_ONCE);
	CHECK_INT(b.told, 0);
	CHECK(!db_number(b.db, "SELECT count(*) FROM log", 0, &rows, NULL));
	CHECK(rows < seq);
	CHECK(!db_number(b.db, "SELECT max(idx) FROM log", 0, &seq, NULL));
	CHECK_INT(rows, seq); /* the first ones */
	close_bench(&b);
}
