#include "store/writer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <uv.h>

#include "base/mem.h"
#include "base/timer.h"
#include "base/worker.h"

/* Without work for so long, the log of the last commits is moved into the
 * file, and the log's own file made long, where it costs nobody a wait. */
enum { IDLE_MS = 1000 };

struct job {
	struct writer *writer;
	writer_fn *apply; /* NULL: a checkpoint */
	writer_done_fn *done;
	void *arg;
	struct err *failed; /* NULL: all went well */
	bool fatal;         /* ... and nothing may be written any more */
	int64_t commits;    /* with the one of this job */
	STAILQ_ENTRY(job) next;
};

struct writer {
	struct db *db;
	struct worker *worker;

	/* Of the worker's thread. */
	STAILQ_HEAD(, job) batch; /* ran in the open transaction */
	bool open;                /* a transaction is */
	bool checkpoint;          /* asked for in this batch */
	struct err broken;        /* the first failed write; code 0: none */
	int64_t commits;

	/* Of the loop's thread. */
	struct timer idle;
	int64_t posted, posted_before; /* jobs; at the last look */
	bool checkpointed;
	struct err failed; /* broken, once a done has told */
	int64_t commits_done;
};

static int run_sql(struct writer *w, const char *sql, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(w->db, &s, sql, err);

	return rc ? rc : db_run(w->db, s, err);
}

/* Whatever fails here is fatal: never go on after a write that failed. */
static int must(struct writer *w, const char *sql, struct err *err)
{
	int rc = run_sql(w, sql, err);

	if (rc && !w->broken.code)
		w->broken = *err;
	return rc;
}

/* Run one job such that its failure leaves the others' work as it is. */
static int apply_apart(struct writer *w, struct job *j, struct err *err)
{
	struct err undo;
	int rc;

	if (!w->open && must(w, "BEGIN IMMEDIATE", err))
		return (int)err->code;
	w->open = true;
	if (must(w, "SAVEPOINT job", err))
		return (int)err->code;
	rc = j->apply(w->db, j->arg, err);
	if (db_broken(w->db)) {
		if (!rc)
			rc = db_fail(w->db, "write", err);
		w->broken = *err;
		return rc;
	}
	if (rc && must(w, "ROLLBACK TO job", &undo))
		return rc;
	return must(w, "RELEASE job", &undo) ? (int)w->broken.code : rc;
}

static void work(void *arg)
{
	struct job *j = arg;
	struct writer *w = j->writer;
	struct err err = {0};

	STAILQ_INSERT_TAIL(&w->batch, j, next);
	if (!j->apply)
		w->checkpoint = true;
	else if (!w->broken.code && apply_apart(w, j, &err))
		j->failed = mem_dup(&err, sizeof(err));
}

/* A reader that is in the way of a checkpoint is no failure: later, then. */
static void checkpoint(struct writer *w)
{
	sqlite3_wal_checkpoint_v2(db_handle(w->db), NULL,
				  SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	db_lengthen_wal(w->db);
}

static void on_batch(void *arg)
{
	struct writer *w = arg;

	STAILQ_INIT(&w->batch);
	w->checkpoint = false;
	w->open = false;
}

/* The end of a batch: what commits is durable; what does not is unknown, for
 * every job in it. */
static void on_batch_end(void *arg)
{
	struct writer *w = arg;
	struct err err;
	struct job *j;

	if (w->open && !w->broken.code && !must(w, "COMMIT", &err))
		w->commits++;
	if (!sqlite3_get_autocommit(db_handle(w->db)))
		sqlite3_exec(db_handle(w->db), "ROLLBACK", NULL, NULL, NULL);
	STAILQ_FOREACH (j, &w->batch, next) {
		j->commits = w->commits;
		if (!w->broken.code)
			continue;
		j->fatal = true;
		free(j->failed);
		j->failed = mem_dup(&w->broken, sizeof(w->broken));
	}
	if (w->checkpoint && !w->broken.code)
		checkpoint(w);
}

static void on_done(void *arg)
{
	struct job *j = arg;
	struct writer *w = j->writer;

	w->commits_done = j->commits;
	if (j->fatal && !w->failed.code)
		w->failed = *j->failed;
	if (j->done)
		j->done(j->failed, j->arg);
	free(j->failed);
	free(j);
}

static int submit(struct writer *w, const struct job *job, struct err *err)
{
	struct job *j = mem_dup(job, sizeof(*job));
	int rc = worker_submit(w->worker, work, on_done, j, err);

	if (rc)
		free(j);
	return rc;
}

/* A whole period without a job, after one with jobs. */
static void on_idle(void *arg)
{
	struct writer *w = arg;
	struct job job = {.writer = w};

	if (w->posted != w->posted_before)
		w->checkpointed = false;
	else if (!w->checkpointed)
		w->checkpointed = !submit(w, &job, NULL);
	w->posted_before = w->posted;
}

int writer_open(struct writer **out, struct loop *loop, struct db *db,
		size_t max_jobs, struct err *err)
{
	struct writer *w = mem_zero(1, sizeof(*w));
	int rc = worker_open(&w->worker, loop, "writer", max_jobs, err);

	if (rc) {
		free(w);
		return rc;
	}
	w->db = db;
	w->checkpointed = true;
	worker_batch(w->worker, on_batch, on_batch_end, w);
	timer_every(&w->idle, loop, IDLE_MS, on_idle, w);
	uv_unref((uv_handle_t *)w->idle.h);
	*out = w;
	return 0;
}

int writer_post(struct writer *w, writer_fn *apply, writer_done_fn *done,
		void *arg, struct err *err)
{
	struct job job = {
		.writer = w,
		.apply = apply,
		.done = done,
		.arg = arg,
	};
	int rc = submit(w, &job, err);

	if (!rc)
		w->posted++;
	return rc;
}

const struct err *writer_failed(const struct writer *w)
{
	return w->failed.code ? &w->failed : NULL;
}

size_t writer_pending(const struct writer *w)
{
	return worker_pending(w->worker);
}

int64_t writer_commits(const struct writer *w)
{
	return w->commits_done;
}

void writer_close(struct writer *w)
{
	if (!w)
		return;
	timer_stop(&w->idle);
	worker_close(w->worker);
	free(w);
}
