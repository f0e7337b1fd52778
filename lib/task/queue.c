/* What is written. */
#include "task/queue.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/rpc.h"

/* ---- what is submitted ---- */

struct queue_batch *queue_batch_new(Gfl__V1__SubmitTasksRequest *in,
				    int64_t now_wall_ms, void *arg)
{
	struct queue_batch *b = mem_zero(1, sizeof(*b));

	b->in = in;
	b->arg = arg;
	b->now_wall_ms = now_wall_ms;
	b->items = mem_zero(in->n_tasks, sizeof(*b->items));
	return b;
}

static void forget_items(struct queue_batch *b)
{
	for (size_t i = 0; i < b->in->n_tasks; i++) {
		free(b->items[i].after);
		b->items[i] = (struct queue_item){0};
	}
}

void queue_batch_free(struct queue_batch *b)
{
	forget_items(b);
	free(b->items);
	rpc_free(&b->in->base);
	free(b);
}

static int first_row(struct db *db, sqlite3_stmt *s, bool *row, int64_t *a,
		     int64_t *b, struct err *err)
{
	int rc = db_next(db, s, row, err);

	if (rc || !*row)
		return rc;
	*a = sqlite3_column_int64(s, 0);
	*b = sqlite3_column_int64(s, 1);
	db_done(s);
	return 0;
}

/* Which submission the token is of; a new one begins after what has ended. */
static int open_submission(struct db *db, struct queue_batch *b,
			   struct err *err)
{
	sqlite3_stmt *s;
	bool row;

	if (!*b->in->token)
		return 0;
	if (db_stmt(db, &s, "SELECT id, ended FROM submission WHERE token = ?",
		    err))
		return (int)err->code;
	sqlite3_bind_text(s, 1, b->in->token, -1, SQLITE_STATIC);
	if (first_row(db, s, &row, &b->submission, &b->ended, err) || row)
		return (int)err->code;
	if (db_stmt(db, &s,
		    "INSERT INTO submission (token, ended, at_ms)"
		    " SELECT ?, coalesce(max(ended), 0), ? FROM state"
		    " RETURNING id, ended",
		    err))
		return (int)err->code;
	sqlite3_bind_text(s, 1, b->in->token, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, b->now_wall_ms);
	return first_row(db, s, &row, &b->submission, &b->ended, err);
}

/* The task that this line of the token is already. */
static int find_line(struct db *db, const struct queue_batch *b,
		     const Gfl__V1__TaskSpec *spec, struct queue_item *item,
		     struct err *err)
{
	sqlite3_stmt *s;
	int64_t same = 0;

	if (!b->submission || spec->line < 1)
		return 0;
	if (db_stmt(db, &s,
		    "SELECT task.id, text = ?3 FROM line JOIN task"
		    " ON task.id = line.id + ?2 - first"
		    " WHERE line.submission = ?1 AND first ="
		    "  (SELECT max(first) FROM line"
		    "   WHERE submission = ?1 AND first <= ?2)"
		    " AND ?2 < first + n",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, b->submission);
	sqlite3_bind_int64(s, 2, spec->line);
	sqlite3_bind_text(s, 3, spec->task, -1, SQLITE_STATIC);
	if (first_row(db, s, &item->known, &item->id, &same, err))
		return (int)err->code;
	if (item->known && !same)
		return err_set(err, ERR_ALREADY_EXISTS,
			       "line %" PRId64
			       " of token \"%.80s\" was another "
			       "task when it was submitted, %" PRId64,
			       spec->line, b->in->token, item->id);
	return 0;
}

static int put_task(struct db *db, const struct queue_batch *b,
		    const Gfl__V1__TaskSpec *spec, struct queue_item *item,
		    struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s,
		    "INSERT INTO task (submission, line, text, name, affinity,"
		    " priority, max_tries, timeout_ms, gpu, submitted_ms)"
		    " VALUES (?,?,?,?,?,?,?,?,?,?)",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, b->submission);
	sqlite3_bind_int64(s, 2, spec->line);
	sqlite3_bind_text(s, 3, spec->task, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 4, spec->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 5, spec->affinity, -1, SQLITE_STATIC);
	sqlite3_bind_int(s, 6, spec->priority);
	sqlite3_bind_int(s, 7, spec->tries);
	sqlite3_bind_int64(s, 8, spec->timeout_ms);
	sqlite3_bind_int(s, 9, spec->gpu);
	sqlite3_bind_int64(s, 10, b->now_wall_ms);
	if (db_run(db, s, err))
		return (int)err->code;
	item->id = sqlite3_last_insert_rowid(db_handle(db));
	return 0;
}

static int put_state(struct db *db, const struct queue_item *item,
		     struct err *err)
{
	sqlite3_stmt *s;
	enum task_state state =
		item->n_after || item->doomed ? TASK_WAITING : TASK_READY;

	if (db_stmt(db, &s, "INSERT INTO state (id, state) VALUES (?,?)", err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, item->id);
	sqlite3_bind_int(s, 2, (int)state);
	return db_run(db, s, err);
}

/* It comes after that one: is that over? */
static int put_after(struct db *db, struct queue_item *item, int64_t after,
		     struct err *err)
{
	sqlite3_stmt *s;
	int64_t state = 0, id;
	bool row;

	if (db_stmt(db, &s, "SELECT state, id FROM state WHERE id = ?", err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, after);
	if (first_row(db, s, &row, &state, &id, err))
		return (int)err->code;
	if (!row)
		return err_set(err, ERR_NOT_FOUND,
			       "there is no task %" PRId64 " to come after",
			       after);
	if (state == TASK_DONE)
		return 0;
	if (task_ended((enum task_state)state))
		item->doomed = after;
	else
		item->after[item->n_after++] = after;
	if (db_stmt(db, &s, "INSERT OR IGNORE INTO dep VALUES (?,?)", err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, item->id);
	sqlite3_bind_int64(s, 2, after);
	return db_run(db, s, err);
}

static int put_all_after(struct db *db, const struct queue_batch *b,
			 const Gfl__V1__TaskSpec *spec, struct queue_item *item,
			 struct err *err)
{
	int rc = 0;

	item->after = mem_zero(spec->n_after + spec->n_after_items + 1,
			       sizeof(*item->after));
	for (size_t i = 0; !rc && i < spec->n_after; i++)
		rc = put_after(db, item, spec->after[i], err);
	for (size_t i = 0; !rc && i < spec->n_after_items; i++)
		rc = put_after(db, item, b->items[spec->after_items[i]].id,
			       err);
	return rc;
}

/* Lines that follow each other, and so do their tasks. */
struct run {
	int64_t first, n, id;
};

static int put_run(struct db *db, const struct queue_batch *b,
		   const struct run *r, struct err *err)
{
	sqlite3_stmt *s;

	if (!r->n)
		return 0;
	if (db_stmt(db, &s, "INSERT INTO line VALUES (?,?,?,?)", err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, b->submission);
	sqlite3_bind_int64(s, 2, r->first);
	sqlite3_bind_int64(s, 3, r->n);
	sqlite3_bind_int64(s, 4, r->id);
	return db_run(db, s, err);
}

static int add_to_run(struct db *db, const struct queue_batch *b, struct run *r,
		      int64_t line, int64_t id, struct err *err)
{
	if (!b->submission || line < 1)
		return 0;
	if (r->n && line == r->first + r->n && id == r->id + r->n) {
		r->n++;
		return 0;
	}
	if (put_run(db, b, r, err))
		return (int)err->code;
	*r = (struct run){line, 1, id};
	return 0;
}

int queue_submit(struct db *db, void *arg, struct err *err)
{
	struct queue_batch *b = arg;
	struct run run = {0};

	err->code = ERR_OK;
	forget_items(b);
	if (open_submission(db, b, err))
		return (int)err->code;
	for (size_t i = 0; i < b->in->n_tasks; i++) {
		const Gfl__V1__TaskSpec *spec = b->in->tasks[i];
		struct queue_item *item = &b->items[i];

		if (find_line(db, b, spec, item, err))
			return (int)err->code;
		if (item->known)
			continue;
		if (put_task(db, b, spec, item, err) ||
		    put_all_after(db, b, spec, item, err) ||
		    put_state(db, item, err) ||
		    add_to_run(db, b, &run, spec->line, item->id, err))
			return (int)err->code;
	}
	return put_run(db, b, &run, err);
}

/* ---- what changes ---- */

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
	sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC); /* NULL stays */
}

static int put_change(struct db *db, const struct farm_change *c,
		      struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s,
		    "UPDATE state SET state = ?, tries = ?, worker = ?,"
		    " due_ms = ?, started_ms = ?, ended_ms = ?, duration_s = ?,"
		    " error = ?, metrics = ?, output = ?, ended = ?"
		    " WHERE id = ?",
		    err))
		return (int)err->code;
	sqlite3_bind_int(s, 1, (int)c->state);
	sqlite3_bind_int(s, 2, c->tries);
	bind_text(s, 3, c->worker);
	sqlite3_bind_int64(s, 4, c->due_wall_ms);
	sqlite3_bind_int64(s, 5, c->started_wall_ms);
	sqlite3_bind_int64(s, 6, c->ended_wall_ms);
	sqlite3_bind_double(s, 7, c->duration_s);
	bind_text(s, 8, c->error ? c->error : c->lost);
	bind_text(s, 9, c->metrics);
	bind_text(s, 10, c->output);
	if (c->ended)
		sqlite3_bind_int64(s, 11, c->ended);
	sqlite3_bind_int64(s, 12, c->id);
	return db_run(db, s, err);
}

static int put_lost(struct db *db, const struct farm_change *c, struct err *err)
{
	sqlite3_stmt *s;

	if (!c->lost)
		return 0;
	if (db_stmt(db, &s, "REPLACE INTO lost VALUES (?,?,?,?,?)", err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, c->id);
	sqlite3_bind_int(s, 2, c->tries);
	bind_text(s, 3, c->worker ? c->worker : "");
	sqlite3_bind_int64(s, 4, c->started_wall_ms);
	bind_text(s, 5, c->lost);
	return db_run(db, s, err);
}

int queue_store(struct db *db, const struct farm_changes *all, struct err *err)
{
	for (size_t i = 0; i < all->n; i++)
		if (put_change(db, &all->at[i], err) ||
		    put_lost(db, &all->at[i], err))
			return (int)err->code;
	return 0;
}

/* ---- workers ---- */

struct queue_worker *queue_worker_new(const struct crew *c, bool metrics)
{
	struct queue_worker *w = mem_zero(1, sizeof(*w));

	w->crew = *c;
	w->crew.id = mem_str(c->id);
	w->crew.url = mem_str(c->url);
	w->metrics = metrics;
	return w;
}

void queue_worker_free(struct queue_worker *w)
{
	free(w->crew.id);
	free(w->crew.url);
	free(w);
}

static int put_worker(struct db *db, const struct crew *c, struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s,
		    "REPLACE INTO worker VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
		    err))
		return (int)err->code;
	bind_text(s, 1, c->id);
	bind_text(s, 2, c->url);
	bind_text(s, 3, c->instance);
	sqlite3_bind_int(s, 4, c->gfl);
	sqlite3_bind_int(s, 5, c->push);
	sqlite3_bind_int(s, 6, c->slots);
	sqlite3_bind_blob(s, 7, c->gpus, c->n_gpus * (int)sizeof(c->gpus[0]),
			  SQLITE_STATIC);
	sqlite3_bind_int64(s, 8, c->seen_wall_ms);
	sqlite3_bind_int(s, 9, c->left ? QUEUE_LEFT : c->dead ? QUEUE_DEAD : 0);
	sqlite3_bind_double(s, 10, c->mean_ms);
	sqlite3_bind_int64(s, 11, c->done);
	sqlite3_bind_int64(s, 12, c->failed);
	return db_run(db, s, err);
}

static int put_metrics(struct db *db, const struct crew *c, struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s, "REPLACE INTO metric VALUES (?,?,?,?,?,?,?)", err))
		return (int)err->code;
	bind_text(s, 1, c->id);
	sqlite3_bind_int64(s, 2, c->seen_wall_ms);
	sqlite3_bind_double(s, 3, c->metrics.cpu);
	sqlite3_bind_double(s, 4, c->metrics.memory);
	sqlite3_bind_double(s, 5, c->metrics.gpu);
	sqlite3_bind_double(s, 6, c->metrics.gpu_memory);
	sqlite3_bind_int(s, 7, c->running);
	return db_run(db, s, err);
}

int queue_store_worker(struct db *db, void *arg, struct err *err)
{
	const struct queue_worker *w = arg;
	int rc = put_worker(db, &w->crew, err);

	if (!rc && w->metrics)
		rc = put_metrics(db, &w->crew, err);
	return rc;
}
