/* What is read: at the start, to go on; and for those who ask. */
#include "task/queue.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/schema.h"
#include "wire/rpc.h"

static const char *const steps[] = {
	/* whose lines are which tasks: line first + i is task id + i */
	"CREATE TABLE submission (id INTEGER PRIMARY KEY,"
	" token TEXT NOT NULL UNIQUE, ended INTEGER NOT NULL,"
	" at_ms INTEGER NOT NULL) STRICT;"
	"CREATE TABLE line (submission INTEGER NOT NULL,"
	" first INTEGER NOT NULL, n INTEGER NOT NULL, id INTEGER NOT NULL,"
	" PRIMARY KEY (submission, first)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE task (id INTEGER PRIMARY KEY,"
	" submission INTEGER NOT NULL, line INTEGER NOT NULL,"
	" text TEXT NOT NULL, name TEXT NOT NULL, affinity TEXT NOT NULL,"
	" priority INTEGER NOT NULL, max_tries INTEGER NOT NULL,"
	" timeout_ms INTEGER NOT NULL, gpu INTEGER NOT NULL,"
	" submitted_ms INTEGER NOT NULL) STRICT;"
	"CREATE TABLE state (id INTEGER PRIMARY KEY, state INTEGER NOT NULL,"
	" tries INTEGER NOT NULL DEFAULT 0, worker TEXT,"
	" due_ms INTEGER NOT NULL DEFAULT 0,"
	" started_ms INTEGER NOT NULL DEFAULT 0,"
	" ended_ms INTEGER NOT NULL DEFAULT 0,"
	" duration_s REAL NOT NULL DEFAULT 0, error TEXT, metrics TEXT,"
	" output TEXT, ended INTEGER) STRICT;"
	"CREATE UNIQUE INDEX by_end ON state (ended) WHERE ended > 0;"
	"CREATE TABLE dep (task INTEGER NOT NULL, after INTEGER NOT NULL,"
	" PRIMARY KEY (task, after)) STRICT, WITHOUT ROWID;"
	/* tries that failed, or whose worker was lost */
	"CREATE TABLE lost (task INTEGER NOT NULL, try INTEGER NOT NULL,"
	" worker TEXT NOT NULL, started_ms INTEGER NOT NULL,"
	" why TEXT NOT NULL,"
	" PRIMARY KEY (task, try)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE worker (id TEXT PRIMARY KEY, url TEXT NOT NULL,"
	" instance TEXT NOT NULL, gfl INTEGER NOT NULL, push INTEGER NOT NULL,"
	" slots INTEGER NOT NULL, gpus BLOB, seen_ms INTEGER NOT NULL,"
	" gone INTEGER NOT NULL, mean_ms REAL NOT NULL, done INTEGER NOT NULL,"
	" failed INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE metric (worker TEXT NOT NULL, at_ms INTEGER NOT NULL,"
	" cpu REAL NOT NULL, memory REAL NOT NULL, gpu REAL NOT NULL,"
	" gpu_memory REAL NOT NULL, running INTEGER NOT NULL,"
	" PRIMARY KEY (worker, at_ms)) STRICT, WITHOUT ROWID;",
	"CREATE TABLE queue (id TEXT NOT NULL) STRICT;"
	"INSERT INTO queue VALUES (lower(hex(randomblob(16))));",
};

static const char *text(sqlite3_stmt *s, int column)
{
	const unsigned char *p = sqlite3_column_text(s, column);

	return p ? (const char *)p : "";
}

/* ---- to go on ---- */

static void load_worker(sqlite3_stmt *s, struct farm *f, struct instant now)
{
	struct crew *c = crew_new(text(s, 0));
	size_t len = (size_t)sqlite3_column_bytes(s, 6);

	free(c->url);
	c->url = mem_str(text(s, 1));
	str_copy(c->instance, sizeof(c->instance), text(s, 2));
	c->gfl = sqlite3_column_int(s, 3);
	c->push = sqlite3_column_int(s, 4);
	c->slots = sqlite3_column_int(s, 5);
	len = len < sizeof(c->gpus) ? len : sizeof(c->gpus);
	if (len)
		memcpy(c->gpus, sqlite3_column_blob(s, 6), len);
	c->n_gpus = (int)(len / sizeof(c->gpus[0]));
	c->seen_wall_ms = sqlite3_column_int64(s, 7);
	c->dead = sqlite3_column_int(s, 8) == QUEUE_DEAD;
	c->left = sqlite3_column_int(s, 8) == QUEUE_LEFT;
	c->mean_ms = sqlite3_column_double(s, 9);
	c->done = sqlite3_column_int64(s, 10);
	c->failed = sqlite3_column_int64(s, 11);
	farm_restore(f, c, now);
}

static int load_workers(struct db *db, struct farm *f, struct instant now,
			struct err *err)
{
	sqlite3_stmt *s;
	bool row;

	if (db_stmt(db, &s,
		    "SELECT id, url, instance, gfl, push, slots, gpus, seen_ms,"
		    " gone, mean_ms, done, failed FROM worker",
		    err))
		return (int)err->code;
	for (;;) {
		if (db_next(db, s, &row, err))
			return (int)err->code;
		if (!row)
			return 0;
		load_worker(s, f, now);
	}
}

/* Of those it comes after, which has not ended, and one that did not end
 * well. */
static int load_after(struct db *db, int64_t id, int64_t **after, size_t *n,
		      int64_t *doomed, struct err *err)
{
	size_t cap = 0;
	sqlite3_stmt *s;
	bool row;

	*after = NULL;
	*n = 0;
	*doomed = 0;
	if (db_stmt(db, &s,
		    "SELECT after, state FROM dep LEFT JOIN state"
		    " ON state.id = after WHERE task = ?",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, id);
	for (;;) {
		enum task_state state;

		if (db_next(db, s, &row, err)) {
			free(*after);
			return (int)err->code;
		}
		if (!row)
			return 0;
		state = sqlite3_column_type(s, 1) == SQLITE_NULL
				? TASK_DONE
				: (enum task_state)sqlite3_column_int(s, 1);
		if (task_ended(state) && state != TASK_DONE)
			*doomed = sqlite3_column_int64(s, 0);
		if (task_ended(state))
			continue;
		*after = mem_grow(*after, &cap, *n + 1, sizeof(**after));
		(*after)[(*n)++] = sqlite3_column_int64(s, 0);
	}
}

static int load_task(struct db *db, sqlite3_stmt *s, struct farm *f,
		     struct instant now, struct err *err)
{
	struct task *t = task_new(sqlite3_column_int64(s, 0), text(s, 3),
				  text(s, 4), text(s, 5));
	int64_t *after, doomed;
	size_t n;

	t->submission = sqlite3_column_int64(s, 1);
	t->line = sqlite3_column_int64(s, 2);
	t->priority = sqlite3_column_int(s, 6);
	t->max_tries = sqlite3_column_int(s, 7);
	t->timeout_ms = sqlite3_column_int64(s, 8);
	t->gpu = sqlite3_column_int(s, 9);
	t->state = (enum task_state)sqlite3_column_int(s, 10);
	t->tries = sqlite3_column_int(s, 11);
	t->worker = *text(s, 12) ? mem_str(text(s, 12)) : NULL;
	t->due_wall_ms = sqlite3_column_int64(s, 13);
	t->started_wall_ms = sqlite3_column_int64(s, 14);
	if (load_after(db, t->id, &after, &n, &doomed, err)) {
		task_free(t);
		return (int)err->code;
	}
	if (doomed)
		t->before = 1; /* it never begins */
	farm_add(f, t, after, n, now);
	if (doomed)
		farm_doom(f, t->id, doomed, now);
	free(after);
	return 0;
}

int queue_load(struct db *db, struct farm *f, struct instant now,
	       struct err *err)
{
	sqlite3_stmt *s;
	bool row;

	if (schema_apply(db, steps, sizeof(steps) / sizeof(*steps), err) ||
	    load_workers(db, f, now, err) ||
	    db_number(db, "SELECT coalesce(max(ended), 0) FROM state", 0,
		      &f->ended, err) ||
	    db_stmt(db, &s,
		    "SELECT id, submission, line, text, name, affinity,"
		    " priority, max_tries, timeout_ms, gpu, state, tries,"
		    " worker, due_ms, started_ms FROM task JOIN state USING "
		    "(id)"
		    " WHERE state < 4 ORDER BY id",
		    err))
		return (int)err->code;
	for (;;) {
		if (db_next(db, s, &row, err))
			return (int)err->code;
		if (!row)
			return 0;
		if (load_task(db, s, f, now, err)) {
			db_done(s);
			return (int)err->code;
		}
	}
}

/* ---- for those who ask ---- */

#define COLUMNS                                                             \
	"id, name, state, text, priority, tries, worker, submitted_ms,"     \
	" started_ms, ended_ms, duration_s, error, metrics, output, ended," \
	" max_tries, affinity, gpu, line"

void queue_rows_release(struct queue_rows *r)
{
	for (size_t i = 0; i < r->n; i++)
		rpc_free(&r->at[i]->base);
	free(r->at);
	*r = (struct queue_rows){0};
}

static void set_metrics(Gfl__V1__Task *t, const char *json)
{
	json_t *all = json_loads(json, 0, NULL), *v;
	const char *key;

	t->metrics = mem_zero(json_object_size(all), sizeof(*t->metrics));
	json_object_foreach(all, key, v)
	{
		Gfl__V1__Task__MetricsEntry *e = mem_zero(1, sizeof(*e));

		gfl__v1__task__metrics_entry__init(e);
		e->key = mem_str(key);
		e->value = json_number_value(v);
		t->metrics[t->n_metrics++] = e;
	}
	json_decref(all);
}

static void add_row(sqlite3_stmt *s, struct queue_rows *out)
{
	Gfl__V1__Task *t = mem_zero(1, sizeof(*t));

	gfl__v1__task__init(t);
	t->id = sqlite3_column_int64(s, 0);
	t->name = mem_str(text(s, 1));
	t->state = mem_str(
		task_state_name((enum task_state)sqlite3_column_int(s, 2)));
	t->task = mem_str(text(s, 3));
	t->priority = sqlite3_column_int(s, 4);
	t->tries = sqlite3_column_int(s, 5);
	t->worker = mem_str(text(s, 6));
	t->submitted_ms = sqlite3_column_int64(s, 7);
	t->started_ms = sqlite3_column_int64(s, 8);
	t->ended_ms = sqlite3_column_int64(s, 9);
	t->duration_s = sqlite3_column_double(s, 10);
	t->error = mem_str(text(s, 11));
	set_metrics(t, text(s, 12));
	t->output = mem_str(text(s, 13));
	t->ended = sqlite3_column_int64(s, 14);
	t->max_tries = sqlite3_column_int(s, 15);
	t->affinity = mem_str(text(s, 16));
	t->gpu = sqlite3_column_int(s, 17);
	t->line = sqlite3_column_int64(s, 18);
	out->at = mem_grow(out->at, &out->cap, out->n + 1, sizeof(*out->at));
	out->at[out->n++] = t;
	out->bytes += gfl__v1__task__get_packed_size(t);
}

static int add_rows(struct db *db, sqlite3_stmt *s, struct queue_rows *out,
		    struct err *err)
{
	bool row;

	for (;;) {
		if (db_next(db, s, &row, err))
			return (int)err->code;
		if (!row)
			return 0;
		add_row(s, out);
		if (out->bytes >= QUEUE_ROWS_BYTES)
			break;
	}
	out->more = true;
	db_done(s);
	return 0;
}

static int find_submission(struct db *db, const char *token, int64_t *id,
			   struct err *err)
{
	sqlite3_stmt *s;
	bool row;

	*id = 0;
	if (!*token)
		return 0;
	if (db_stmt(db, &s, "SELECT id FROM submission WHERE token = ?", err))
		return (int)err->code;
	sqlite3_bind_text(s, 1, token, -1, SQLITE_STATIC);
	if (db_next(db, s, &row, err))
		return (int)err->code;
	if (!row)
		return err_set(err, ERR_NOT_FOUND,
			       "nothing was submitted with token \"%.80s\"",
			       token);
	*id = sqlite3_column_int64(s, 0);
	db_done(s);
	return 0;
}

int queue_results(struct db *db, const char *token, int64_t after, int max,
		  struct queue_rows *out, int64_t *submission, struct err *err)
{
	sqlite3_stmt *s;

	if (find_submission(db, token, submission, err) ||
	    db_stmt(db, &s,
		    "SELECT " COLUMNS " FROM state JOIN task USING (id)"
		    " WHERE ended > 0 AND ended > ?1"
		    " AND (?2 = 0 OR submission = ?2)"
		    " ORDER BY ended LIMIT ?3",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, after);
	sqlite3_bind_int64(s, 2, *submission);
	sqlite3_bind_int(s, 3, max);
	return add_rows(db, s, out, err);
}

int queue_list(struct db *db, int64_t after, unsigned states, int max,
	       struct queue_rows *out, struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s,
		    "SELECT " COLUMNS " FROM task JOIN state USING (id)"
		    " WHERE id > ? AND (?2 = 0 OR (?2 >> state) & 1)"
		    " ORDER BY id LIMIT ?3",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, after);
	sqlite3_bind_int64(s, 2, states);
	sqlite3_bind_int(s, 3, max);
	return add_rows(db, s, out, err);
}

int queue_get(struct db *db, int64_t id, struct queue_rows *out,
	      struct err *err)
{
	sqlite3_stmt *s;
	size_t before = out->n;

	if (db_stmt(db, &s,
		    "SELECT " COLUMNS " FROM task JOIN state USING (id)"
		    " WHERE id = ?",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, id);
	if (add_rows(db, s, out, err))
		return (int)err->code;
	if (out->n == before)
		return err_set(err, ERR_NOT_FOUND, "there is no task %" PRId64,
			       id);
	return 0;
}

int queue_submitted(struct db *db, int64_t id, int64_t *ms, struct err *err)
{
	sqlite3_stmt *s;
	bool row;

	if (db_stmt(db, &s, "SELECT submitted_ms FROM task WHERE id = ?", err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, id);
	if (db_next(db, s, &row, err))
		return (int)err->code;
	if (!row)
		return err_set(err, ERR_NOT_FOUND, "there is no task %" PRId64,
			       id);
	*ms = sqlite3_column_int64(s, 0);
	db_done(s);
	return 0;
}
