#include "fl/history_impl.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/schema.h"

enum { JOBS = 64 };

static const char *const steps[] = {
	"CREATE TABLE me (one INTEGER PRIMARY KEY CHECK (one = 1),"
	" trainer_id INTEGER NOT NULL, instance_id TEXT NOT NULL,"
	" cluster_id TEXT NOT NULL) STRICT;"
	"CREATE TABLE node (url TEXT PRIMARY KEY, seen_ms INTEGER NOT NULL)"
	" STRICT, WITHOUT ROWID;"
	"CREATE TABLE round (run INTEGER, round INTEGER, loss REAL NOT NULL,"
	" accuracy REAL, bytes_sent INTEGER NOT NULL,"
	" bytes_received INTEGER NOT NULL, misses INTEGER NOT NULL,"
	" compute_s REAL NOT NULL, wait_s REAL NOT NULL,"
	" peer INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
	" PRIMARY KEY (run, round)) STRICT, WITHOUT ROWID;",
	/* 2: clients of a server */
	"ALTER TABLE me ADD COLUMN served INTEGER NOT NULL DEFAULT 0;",
};

void history_finished(const struct err *err, void *arg)
{
	if (err)
		log_err("history", err);
	free(arg);
}

void history_post(struct history *h, writer_fn *fn, void *job)
{
	struct err err;

	if (writer_post(h->writer, fn, history_finished, job, &err))
		history_finished(&err, job);
}

struct settled {
	loop_fn *fn;
	void *arg;
};

static int apply_nothing(struct db *db, void *arg, struct err *err)
{
	(void)db, (void)arg, (void)err;
	return 0;
}

static void settled(const struct err *err, void *arg)
{
	struct settled s = *(struct settled *)arg;

	history_finished(err, arg);
	s.fn(s.arg);
}

void history_settle(struct history *h, loop_fn *fn, void *arg)
{
	struct settled s = {fn, arg}, *job;
	struct err err;

	history_flush(h);
	if (!writer_pending(h->writer)) {
		fn(arg);
		return;
	}
	job = mem_dup(&s, sizeof(s));
	if (writer_post(h->writer, apply_nothing, settled, job, &err))
		settled(&err, job);
}

/* --- life ---------------------------------------------------------------- */

static int open_all(struct history *h, const char *path, struct err *err)
{
	int rc = db_open(&h->db, path, DB_TRAINER, err);

	if (!rc)
		rc = schema_apply(h->db, steps, sizeof(steps) / sizeof(*steps),
				  err);
	if (!rc)
		rc = history_load_me(h, err);
	if (!rc)
		rc = db_open_to_read(&h->reader, path, DB_TRAINER, err);
	if (!rc)
		rc = writer_open(&h->writer, h->loop, h->db, JOBS, err);
	return rc;
}

int history_open(struct history **out, struct loop *loop, const char *path,
		 struct err *err)
{
	struct history *h = mem_zero(1, sizeof(*h));

	h->loop = loop;
	if (open_all(h, path, err)) {
		history_close(h);
		return (int)err->code;
	}
	*out = h;
	return 0;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	if (h->writer) {
		history_flush(h);
		h->giving = false;
		history_give_nodes(h);
		h->closing = true;
	}
	writer_close(h->writer);
	db_close(h->reader);
	db_close(h->db);
	free(h);
}

const struct history_me *history_me(const struct history *h)
{
	return &h->me;
}
