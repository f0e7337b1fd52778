/* A member whose disk fails at its n-th operation, or whose SQLite gets no
 * memory at its n-th request, once or from then on, for every n: it says why,
 * and a member that starts from that file has all that was acknowledged, at
 * most one entry more, and nothing else.
 *
 * GFL_TORTURE=1 takes every n for memory too; without it they get sparser. */
#define TEST_SECONDS 120
#include "test.h"

#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "faulty.h"
#include "raft/driver.h"
#include "raft/store.h"
#include "store/schema.h"

enum { ENTRIES = 16, SNAPSHOT_BYTES = 700 };

struct life {
	struct loop *loop;
	struct db *db, *reader;
	struct writer *writer;
	struct client *client;
	struct server *server;
	struct driver *driver;
	struct buf applied;
	size_t acked, begun; /* begun: of which the file had so many */
	struct err failed;   /* code 0: it has not */
};

/* ---- what the member does ---- */

static void on_apply(const struct raft_entry *e, bool skip,
		     struct driver_result *result, void *arg)
{
	struct life *l = arg;

	(void)skip, (void)result;
	if (e->type == RAFT_NORMAL)
		buf_put(&l->applied, e->data, e->len);
}

static void on_save(struct buf *b, void *arg)
{
	const struct life *l = arg;

	buf_put(b, l->applied.p, l->applied.len);
}

static int on_restore(const void *p, size_t len, void *arg, struct err *err)
{
	struct life *l = arg;

	(void)err;
	buf_reset(&l->applied);
	buf_put(&l->applied, p, len);
	return 0;
}

static void on_failed(const struct err *err, void *arg)
{
	struct life *l = arg;

	l->failed = *err;
	loop_stop(l->loop);
}

static const char *url_of(int64_t id, void *arg)
{
	(void)id, (void)arg;
	return NULL;
}

static void propose(struct life *l);

static void on_done(const struct err *err, const struct driver_result *result,
		    void *arg)
{
	struct life *l = arg;

	(void)result;
	if (err)
		return;
	l->acked++;
	propose(l);
}

/* The next letter; the file has those before it. */
static void propose(struct life *l)
{
	char letter = (char)('a' + l->acked % 26);
	struct driver_proposal p = {.data = &letter, .len = 1};
	struct err err;

	if (l->acked >= ENTRIES)
		loop_stop(l->loop);
	else if (driver_propose(l->driver, &p, on_done, l, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
}

static void on_leader(int64_t leader, int64_t term, bool we_lead, void *arg)
{
	struct life *l = arg;

	(void)leader, (void)term;
	if (!we_lead)
		return;
	l->acked = l->begun = l->applied.len;
	propose(l);
}

/* ---- its life ---- */

static int open_db(struct life *l, struct err *err)
{
	static const char *const steps[] = {
		raft_store_schema, raft_snapshot_schema, raft_tail_schema,
		raft_conf_schema};
	struct raft_mended m;

	if (db_open(&l->db, "a.db", DB_NODE, err) ||
	    schema_apply(l->db, steps, 4, err) ||
	    raft_store_mend(l->db, 1, false, &m, err))
		return (int)err->code;
	if (m.why.code)
		test_fail(__FILE__, __LINE__, "%s", m.why.msg);
	return db_open_to_read(&l->reader, "a.db", DB_NODE, err);
}

static int open_driver(struct life *l, struct err *err)
{
	struct server_opts opts = {.listen = "127.0.0.1:0"};
	struct raft_status s;
	struct driver_config cfg = {
		.loop = l->loop,
		.reader = l->reader,
		.node_id = 1,
		.cluster_id = "0123456789abcdef0123456789abcdef",
		.snapshot_bytes = SNAPSHOT_BYTES,
		.on_apply = on_apply,
		.on_save = on_save,
		.on_restore = on_restore,
		.on_leader = on_leader,
		.on_failed = on_failed,
		.url_of = url_of,
		.arg = l,
	};

	CHECK(!writer_open(&l->writer, l->loop, l->db, 64, err));
	CHECK(!client_open(&l->client, l->loop, NULL, err));
	CHECK(!server_open(&l->server, l->loop, &opts, err));
	cfg.writer = l->writer;
	cfg.client = l->client;
	cfg.server = l->server;
	if (driver_open(&l->driver, &cfg, err))
		return (int)err->code;
	raft_status(driver_raft(l->driver), &s);
	return s.last ? 0 : driver_bootstrap(l->driver, "", 0, err);
}

static void close_life(struct life *l)
{
	if (l->server)
		server_close(l->server, 0);
	driver_close(l->driver);
	client_close(l->client);
	writer_close(l->writer);
	db_close(l->reader);
	db_close(l->db);
	loop_close(l->loop);
}

/* Until all letters are there or it fails, which err then says. What it has
 * applied is in l->applied, how much of it was acknowledged in l->acked. */
static int live(struct life *l, struct err *err)
{
	int rc;

	*l = (struct life){0};
	CHECK(!loop_open(&l->loop, err));
	rc = open_db(l, err);
	if (!rc)
		rc = open_driver(l, err);
	if (!rc) {
		loop_run(l->loop);
		*err = l->failed;
		rc = (int)err->code;
	}
	close_life(l);
	return rc;
}

/* ---- what must hold ---- */

static void check_letters(const struct buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		CHECK(b->p[i] == (char)('a' + i % 26));
}

static void check_named(const struct err *err)
{
	CHECK(err->code == ERR_RESOURCE_EXHAUSTED ||
	      err->code == ERR_INTERNAL || err->code == ERR_DATA_LOSS);
	CHECK_HAS(err->msg, "a.db");
}

/* What the first life was told is there, and the file is whole. */
static void check_file(size_t acked)
{
	struct life l = {0};
	sqlite3_stmt *s;
	int64_t last;
	bool row;
	struct err err;

	if (open_db(&l, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	CHECK(!raft_store_check(l.db, &last, &err));
	CHECK(last >= (int64_t)acked);
	CHECK(!db_stmt(l.db, &s, "PRAGMA integrity_check", &err));
	CHECK(!db_next(l.db, s, &row, &err) && row);
	CHECK_STR((const char *)sqlite3_column_text(s, 0), "ok");
	db_done(s);
	db_close(l.reader);
	db_close(l.db);
}

static void check_second_life(size_t acked)
{
	struct life l;
	struct err err;

	if (live(&l, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	CHECK(l.begun >= acked && l.begun <= acked + 1);
	CHECK_INT(l.acked, ENTRIES);
	CHECK_INT(l.applied.len, ENTRIES);
	check_letters(&l.applied);
	buf_release(&l.applied);
}

static int64_t ended, full; /* lives, of these for lack of room */

/* One failure. False: there was no n-th of these any more. */
static bool strike(enum faulty_what what, int64_t n, bool sticky)
{
	struct life l;
	struct err err;
	bool hit;
	int rc;

	faulty_set(what, n, sticky, sticky);
	rc = live(&l, &err);
	hit = faulty_hit();
	faulty_set(what, 0, false, false);
	if (rc) {
		CHECK(hit);
		check_named(&err);
		ended++;
		full += err.code == ERR_RESOURCE_EXHAUSTED;
	}
	check_letters(&l.applied);
	check_file(l.acked);
	check_second_life(l.acked);
	buf_release(&l.applied);
	CHECK(!system("rm -f a.db*"));
	return hit;
}

static int64_t after(int64_t n, bool all)
{
	return all || n < 40 ? n + 1 : n + 1 + n / 24;
}

static void strike_all(enum faulty_what what, bool sticky, bool all)
{
	int64_t n = 1, runs = 0;

	log_setup("torture", LEVEL_ERROR, false);
	faulty_install();
	while (strike(what, n, sticky)) {
		n = after(n, all);
		runs++;
	}
	printf("# %lld runs, one for each of the first, %lld in all: %lld "
	       "ended, %lld of these for lack of room\n",
	       (long long)runs, (long long)n, (long long)ended,
	       (long long)full);
	CHECK(ended > 100);
	CHECK(what != FAULTY_IO || full > 0);
}

TEST(a_disk_that_fails_once_loses_nothing)
{
	strike_all(FAULTY_IO, false, true);
}

TEST(a_disk_that_is_full_or_gone_loses_nothing)
{
	strike_all(FAULTY_IO, true, true);
}

TEST(memory_that_is_short_once_loses_nothing)
{
	strike_all(FAULTY_MALLOC, false, getenv("GFL_TORTURE") != NULL);
}

TEST(memory_that_runs_out_loses_nothing)
{
	strike_all(FAULTY_MALLOC, true, getenv("GFL_TORTURE") != NULL);
}
