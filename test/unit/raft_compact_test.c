/* A snapshot because somebody asks for one now. */
#define TEST_SECONDS 20
#include "raft_cluster.h"

#include <uv.h>

/* What the last compaction came to. */
static struct {
	int n;
	struct err err; /* code 0: well */
	int64_t index, first;
} told;

static void on_compacted(const struct err *err, int64_t index, int64_t first,
			 void *arg)
{
	told.n++;
	told.err.code = ERR_OK;
	if (err)
		told.err = *err;
	told.index = index;
	told.first = first;
	cluster_check(arg);
}

static bool is_told(struct cluster *c)
{
	(void)c;
	return told.n > 0;
}

static int ask(struct cluster *c, struct err *err)
{
	told.n = 0;
	return driver_compact(c->m[1].driver, on_compacted, c, err);
}

static void compact(struct cluster *c)
{
	struct err err;

	must(ask(c, &err), &err);
	cluster_run(c, is_told);
}

static struct raft_status status_of(const struct member *m)
{
	struct raft_status s;

	raft_status(driver_raft(m->driver), &s);
	return s;
}

static void write_some(struct cluster *c, int n)
{
	for (int i = 0; i < n; i++)
		CHECK_INT(propose(c, 0, 0, "ab").err.code, 0);
}

TEST(a_compaction_leaves_no_entry_and_the_member_starts_from_it)
{
	struct cluster c;
	struct err err;
	int64_t last;

	start_one(&c);
	write_some(&c, 10);
	last = status_of(&c.m[1]).last;
	for (int i = 0; i < 2; i++) { /* the second has nothing new */
		compact(&c);
		CHECK_INT(told.err.code, 0);
		CHECK_INT(told.index, last);
		CHECK_INT(told.first, last + 1);
		CHECK_INT(status_of(&c.m[1]).snapshot, last);
		CHECK_INT(status_of(&c.m[1]).first, last + 1);
	}
	write_some(&c, 1);
	member_stop(&c.m[1]);
	must(member_start(&c, 1, &err), &err);
	cluster_run(&c, has_leader);
	CHECK_INT(c.m[1].restored, 1);
	CHECK_INT(c.m[1].applied.len, 22);
	cluster_close(&c);
}

TEST(a_compaction_keeps_what_a_member_that_answers_lacks)
{
	struct cluster c;

	start_three(&c);
	write_some(&c, 10);
	catch_up(&c);
	compact(&c);
	CHECK_INT(told.err.code, 0);
	CHECK(told.first <= told.index + 1);
	write_some(&c, 3);
	cluster_run(&c, all_equal);
	CHECK_INT(c.m[2].restored + c.m[3].restored, 0);
	cluster_close(&c);
}

TEST(a_compaction_of_nothing_or_beside_another_is_refused)
{
	struct cluster c;
	struct err err;

	cluster_open(&c);
	must(member_start(&c, 1, &err), &err);
	CHECK_INT(ask(&c, &err), ERR_FAILED_PRECONDITION);
	CHECK_STR(err.msg, "node 1 has applied nothing yet");
	must(driver_bootstrap(c.m[1].driver, "", 0, &err), &err);
	cluster_run(&c, has_leader);
	must(ask(&c, &err), &err);
	CHECK_INT(ask(&c, &err), ERR_UNAVAILABLE);
	CHECK_STR(err.msg, "a snapshot is being stored, taken or sent");
	cluster_run(&c, is_told);
	CHECK_INT(told.n, 1);
	compact(&c);
	CHECK_INT(told.err.code, 0);
	cluster_close(&c);
}

static int wait_for_gate(struct db *db, void *arg, struct err *err)
{
	(void)db, (void)err;
	uv_sem_wait(arg);
	return 0;
}

static int nothing(struct db *db, void *arg, struct err *err)
{
	(void)db, (void)arg, (void)err;
	return 0;
}

TEST(a_compaction_for_which_there_is_no_room_is_refused_and_can_be_repeated)
{
	struct cluster c;
	struct err err;
	uv_sem_t gate;

	uv_sem_init(&gate, 0);
	start_one(&c);
	must(writer_post(c.m[1].writer, wait_for_gate, NULL, &gate, &err),
	     &err);
	while (!writer_post(c.m[1].writer, nothing, NULL, NULL, &err))
		;
	CHECK_INT(ask(&c, &err), ERR_RESOURCE_EXHAUSTED);
	uv_sem_post(&gate);
	while (writer_pending(c.m[1].writer))
		uv_run(loop_uv(c.loop), UV_RUN_ONCE);
	CHECK_INT(told.n, 0);
	compact(&c);
	CHECK_INT(told.err.code, 0);
	cluster_close(&c);
	uv_sem_destroy(&gate);
}

static int break_it(struct db *db, void *arg, struct err *err)
{
	(void)arg;
	return db_exec(db, "DROP TABLE snapshot", err);
}

TEST(a_compaction_that_the_disk_refuses_ends_the_member)
{
	struct cluster c;
	struct err err;

	start_one(&c);
	must(writer_post(c.m[1].writer, break_it, NULL, NULL, &err), &err);
	compact(&c);
	CHECK_HAS(told.err.msg, "no such table: snapshot");
	CHECK_HAS(c.m[1].failed.msg, "no such table: snapshot");
	CHECK_INT(status_of(&c.m[1]).snapshot, 0);
	CHECK_INT(ask(&c, &err), ERR_UNAVAILABLE);
	CHECK_STR(err.msg, "node 1 has a disk that failed");
	cluster_close(&c);
}

TEST(a_compaction_is_answered_even_if_the_member_is_closed_meanwhile)
{
	struct cluster c;
	struct err err;
	struct db *d;
	int64_t index;

	start_one(&c);
	write_some(&c, 10);
	must(ask(&c, &err), &err);
	member_stop(&c.m[1]);
	CHECK_INT(told.n, 1);
	CHECK_INT(told.err.code, 0);
	must(db_open_to_read(&d, "1.db", DB_NODE, &err), &err);
	must(db_number(d, "SELECT idx FROM snapshot", 0, &index, &err), &err);
	CHECK_INT(index, told.index);
	db_close(d);
	cluster_close(&c);
}
