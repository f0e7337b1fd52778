#include "fl/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timer.h"
#include "store/db.h"
#include "store/schema.h"
#include "store/writer.h"

enum { FLUSH_MS = 500, FLUSH_ROWS = 256, JOBS = 64 };

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
};

struct history {
	struct loop *loop;
	struct db *db;     /* the writer's */
	struct db *reader; /* ours */
	struct writer *writer;
	struct history_me me;
	struct rows *rows;  /* not yet given to the writer, or NULL */
	struct node *nodes; /* likewise */
	bool giving, closing;
	struct timer timer;
};

/* Jobs for the writer. */
struct nodes {
	struct history *h;
	struct node *first;
};

struct rows {
	size_t n;
	struct history_row row[FLUSH_ROWS];
};

struct node {
	struct node *next;
	int64_t seen_ms;
	char url[];
};

/* --- who we are ---------------------------------------------------------- */

static int read_me(struct history *h, bool *known, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(h->db, &s,
			 "SELECT trainer_id, instance_id, cluster_id FROM me",
			 err);

	if (!rc)
		rc = db_next(h->db, s, known, err);
	if (rc || !*known)
		return rc;
	h->me.trainer_id = sqlite3_column_int64(s, 0);
	str_copy(h->me.instance_id, STR_ID,
		 (const char *)sqlite3_column_text(s, 1));
	str_copy(h->me.cluster_id, STR_ID,
		 (const char *)sqlite3_column_text(s, 2));
	db_done(s);
	return 0;
}

static int write_me(struct db *db, const struct history_me *me, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT INTO me VALUES (1, ?, ?, ?)"
			 " ON CONFLICT DO UPDATE SET"
			 " trainer_id = excluded.trainer_id,"
			 " cluster_id = excluded.cluster_id",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, me->trainer_id);
	sqlite3_bind_text(s, 2, me->instance_id, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 3, me->cluster_id, -1, SQLITE_STATIC);
	return db_run(db, s, err);
}

static int load_me(struct history *h, struct err *err)
{
	bool known = false;
	int rc = read_me(h, &known, err);

	if (rc || known)
		return rc;
	str_new_id(h->me.instance_id);
	return write_me(h->db, &h->me, err);
}

/* --- jobs ---------------------------------------------------------------- */

static void finished(const struct err *err, void *arg)
{
	if (err)
		log_err("history", err);
	free(arg);
}

/* Hand a job to the writer; what does not fit is dropped, and said. */
static void post(struct history *h, writer_fn *fn, void *job)
{
	struct err err;

	if (writer_post(h->writer, fn, finished, job, &err))
		finished(&err, job);
}

static int apply_me(struct db *db, void *arg, struct err *err)
{
	return write_me(db, arg, err);
}

void history_attached(struct history *h, int64_t trainer_id,
		      const char *cluster_id)
{
	if (h->me.trainer_id == trainer_id &&
	    !strcmp(h->me.cluster_id, cluster_id))
		return;
	h->me.trainer_id = trainer_id;
	str_copy(h->me.cluster_id, STR_ID, cluster_id);
	post(h, apply_me, mem_dup(&h->me, sizeof(h->me)));
}

static int apply_node(struct db *db, const struct node *n, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s, "REPLACE INTO node VALUES (?, ?)", err);

	if (rc)
		return rc;
	sqlite3_bind_text(s, 1, n->url, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, n->seen_ms);
	return db_run(db, s, err);
}

static int apply_nodes(struct db *db, void *arg, struct err *err)
{
	const struct node *n;
	int rc = 0;

	LL_FOREACH(((struct nodes *)arg)->first, n)
	{
		rc = rc ? rc : apply_node(db, n, err);
	}
	return rc;
}

static void give_nodes(struct history *h);

static void nodes_given(const struct err *err, void *arg)
{
	struct nodes *job = arg;
	struct history *h = job->h;
	struct node *n, *next;

	LL_FOREACH_SAFE(job->first, n, next)
	free(n);
	finished(err, job);
	h->giving = false;
	if (!err)
		give_nodes(h);
}

/* One job at a time: while it lasts, the next is gathered. */
static void give_nodes(struct history *h)
{
	struct nodes *job;
	struct err err;

	if (!h->nodes || h->giving || h->closing)
		return;
	h->giving = true;
	job = mem_zero(1, sizeof(*job));
	*job = (struct nodes){h, h->nodes};
	h->nodes = NULL;
	if (writer_post(h->writer, apply_nodes, nodes_given, job, &err))
		nodes_given(&err, job);
}

void history_node(struct history *h, const char *url)
{
	size_t size = strlen(url) + 1;
	struct node *n;

	LL_FOREACH(h->nodes, n)
	if (!strcmp(n->url, url))
		break;
	if (!n) {
		n = mem_zero(1, sizeof(*n) + size);
		memcpy(n->url, url, size);
		LL_PREPEND(h->nodes, n);
	}
	n->seen_ms = clock_wall_ms();
	give_nodes(h);
}

int history_nodes(struct history *h, history_node_fn *fn, void *arg,
		  struct err *err)
{
	bool row = true;
	sqlite3_stmt *s;
	int rc = db_stmt(h->reader, &s,
			 "SELECT url FROM node ORDER BY seen_ms DESC LIMIT 64",
			 err);

	while (!rc && row) {
		rc = db_next(h->reader, s, &row, err);
		if (!rc && row)
			fn((const char *)sqlite3_column_text(s, 0), arg);
	}
	return rc;
}

/* --- rounds -------------------------------------------------------------- */

static int apply_row(struct db *db, const struct history_row *r,
		     struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "REPLACE INTO round VALUES"
			 " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, r->run);
	sqlite3_bind_int64(s, 2, r->round);
	sqlite3_bind_double(s, 3, isfinite(r->loss) ? r->loss : -1);
	if (!isnan(r->accuracy))
		sqlite3_bind_double(s, 4, r->accuracy);
	sqlite3_bind_int64(s, 5, r->bytes_sent);
	sqlite3_bind_int64(s, 6, r->bytes_received);
	sqlite3_bind_int64(s, 7, r->misses);
	sqlite3_bind_double(s, 8, r->compute_s);
	sqlite3_bind_double(s, 9, r->wait_s);
	sqlite3_bind_int64(s, 10, r->peer);
	sqlite3_bind_int64(s, 11, r->at_ms);
	return db_run(db, s, err);
}

static int apply_rows(struct db *db, void *arg, struct err *err)
{
	struct rows *rows = arg;
	int rc = 0;

	for (size_t i = 0; !rc && i < rows->n; i++)
		rc = apply_row(db, &rows->row[i], err);
	return rc;
}

static void give_to_writer(struct history *h)
{
	struct rows *rows = h->rows;

	h->rows = NULL;
	timer_stop(&h->timer);
	if (rows)
		post(h, apply_rows, rows);
}

static void flush(void *arg)
{
	give_to_writer(arg);
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

	finished(err, arg);
	s.fn(s.arg);
}

void history_settle(struct history *h, loop_fn *fn, void *arg)
{
	struct settled s = {fn, arg}, *job;
	struct err err;

	give_to_writer(h);
	if (!writer_pending(h->writer)) {
		fn(arg);
		return;
	}
	job = mem_dup(&s, sizeof(s));
	if (writer_post(h->writer, apply_nothing, settled, job, &err))
		settled(&err, job);
}

void history_flush(struct history *h)
{
	give_to_writer(h);
}

void history_add(struct history *h, const struct history_row *row)
{
	if (!h->rows) {
		h->rows = mem_zero(1, sizeof(*h->rows));
		timer_set(&h->timer, h->loop, FLUSH_MS, flush, h);
	}
	h->rows->row[h->rows->n++] = *row;
	if (h->rows->n == FLUSH_ROWS)
		give_to_writer(h);
}

static struct history_row row_of(sqlite3_stmt *s)
{
	return (struct history_row){
		.run = sqlite3_column_int64(s, 0),
		.round = sqlite3_column_int64(s, 1),
		.loss = sqlite3_column_double(s, 2),
		.accuracy = sqlite3_column_type(s, 3) == SQLITE_NULL
				    ? (double)NAN
				    : sqlite3_column_double(s, 3),
		.bytes_sent = sqlite3_column_int64(s, 4),
		.bytes_received = sqlite3_column_int64(s, 5),
		.misses = sqlite3_column_int64(s, 6),
		.compute_s = sqlite3_column_double(s, 7),
		.wait_s = sqlite3_column_double(s, 8),
		.peer = sqlite3_column_int64(s, 9),
		.at_ms = sqlite3_column_int64(s, 10),
	};
}

int history_each(struct history *h, int64_t run, int64_t after,
		 history_row_fn *fn, void *arg, struct err *err)
{
	bool row = true;
	sqlite3_stmt *s;
	int rc = db_stmt(h->reader, &s,
			 "SELECT * FROM round WHERE round > ?2 AND run ="
			 " CASE ?1 WHEN 0 THEN (SELECT max(run) FROM round)"
			 " ELSE ?1 END ORDER BY round",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, run);
	sqlite3_bind_int64(s, 2, after);
	while (row) {
		struct history_row r;

		rc = db_next(h->reader, s, &row, err);
		if (rc || !row)
			break;
		r = row_of(s);
		if (fn(&r, arg)) {
			db_done(s);
			break;
		}
	}
	return rc;
}

/* --- life ---------------------------------------------------------------- */

static int open_all(struct history *h, const char *path, struct err *err)
{
	int rc = db_open(&h->db, path, DB_TRAINER, err);

	if (!rc)
		rc = schema_apply(h->db, steps, sizeof(steps) / sizeof(*steps),
				  err);
	if (!rc)
		rc = load_me(h, err);
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
		give_to_writer(h);
		h->giving = false;
		give_nodes(h);
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
