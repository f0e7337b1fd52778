/* The state as rows, for whoever looks into the file with SQL. The log is what
 * counts: at every start the state is built from it, and the rows follow. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/node_impl.h"
#include "wire/rpc.h"

enum { DELAY_MS = 100 };

const char tables_schema[] =
	"CREATE TABLE applied ("
	" one INTEGER PRIMARY KEY CHECK (one = 1),"
	" idx INTEGER NOT NULL, term INTEGER NOT NULL,"
	" epoch INTEGER NOT NULL) STRICT;"
	"INSERT INTO applied VALUES (1, 0, 0, 0);"
	"CREATE TABLE member ("
	" id INTEGER PRIMARY KEY, url TEXT NOT NULL, instance TEXT NOT NULL,"
	" role INTEGER NOT NULL, down INTEGER NOT NULL) STRICT;"
	"CREATE TABLE trainer ("
	" id INTEGER PRIMARY KEY, url TEXT NOT NULL, instance TEXT NOT NULL,"
	" node INTEGER NOT NULL, examples INTEGER NOT NULL,"
	" down INTEGER NOT NULL) STRICT;"
	"CREATE TABLE run ("
	" id INTEGER PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL,"
	" model TEXT NOT NULL, rounds INTEGER NOT NULL,"
	" started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL) STRICT;"
	"CREATE TABLE report ("
	" run INTEGER NOT NULL, trainer INTEGER NOT NULL,"
	" round INTEGER NOT NULL, loss REAL, accuracy REAL,"
	" bytes_sent INTEGER NOT NULL, bytes_received INTEGER NOT NULL,"
	" misses INTEGER NOT NULL, state TEXT NOT NULL,"
	" PRIMARY KEY (run, trainer)) STRICT;"
	"CREATE TABLE plan ("
	" run INTEGER NOT NULL, epoch INTEGER NOT NULL, t0 INTEGER NOT NULL,"
	" rounds INTEGER NOT NULL, PRIMARY KEY (run, epoch, t0)) STRICT;"
	"CREATE TABLE bandwidth ("
	" sender INTEGER NOT NULL, receiver INTEGER NOT NULL,"
	" half_octaves INTEGER NOT NULL,"
	" PRIMARY KEY (sender, receiver)) STRICT;";

const char graph_schema[] = "CREATE TABLE topology ("
			    " a INTEGER NOT NULL, b INTEGER NOT NULL,"
			    " weight REAL NOT NULL,"
			    " PRIMARY KEY (a, b)) STRICT;";

struct tables {
	struct node *n;
	struct timer timer;
	unsigned dirty; /* STATE_… */
	bool waits, writing;
};

/* The state as it was, on the writer's thread. */
struct job {
	struct tables *t;
	Gfl__V1__State *s;
	unsigned dirty;
};

/* A value of a row: text if it is there, else the number. */
struct value {
	const char *text;
	int64_t number;
};

#define NUMBER(x)             \
	{                     \
		.number = (x) \
	}
#define TEXT(x)             \
	{                   \
		.text = (x) \
	}

static int put(struct db *db, const char *sql, const struct value *v, int n,
	       struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s, sql, err))
		return (int)err->code;
	for (int i = 0; i < n; i++)
		if (v[i].text)
			sqlite3_bind_text(s, i + 1, v[i].text, -1,
					  SQLITE_STATIC);
		else
			sqlite3_bind_int64(s, i + 1, v[i].number);
	return db_run(db, s, err);
}

static int write_members(struct db *db, const Gfl__V1__State *s,
			 struct err *err)
{
	int rc = db_exec(db, "DELETE FROM member", err);

	for (size_t i = 0; !rc && i < s->n_members; i++) {
		const Gfl__V1__Member *m = s->members[i];
		const struct value v[] = {NUMBER(m->id), TEXT(m->url),
					  TEXT(m->instance_id), NUMBER(m->role),
					  NUMBER(m->liveness)};

		rc = put(db, "INSERT INTO member VALUES (?, ?, ?, ?, ?)", v, 5,
			 err);
	}
	return rc;
}

static int write_trainers(struct db *db, const Gfl__V1__State *s,
			  struct err *err)
{
	int rc = db_exec(db, "DELETE FROM trainer", err);

	for (size_t i = 0; !rc && i < s->n_trainers; i++) {
		const Gfl__V1__Trainer *t = s->trainers[i];
		const struct value v[] = {
			NUMBER(t->id),        TEXT(t->url),
			TEXT(t->instance_id), NUMBER(t->node_id),
			NUMBER(t->examples),  NUMBER(t->liveness)};

		rc = put(db, "INSERT INTO trainer VALUES (?, ?, ?, ?, ?, ?)", v,
			 6, err);
	}
	return rc;
}

static int write_report(struct db *db, const Gfl__V1__TrainerReport *r,
			struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s,
		    "INSERT INTO report VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, r->run);
	sqlite3_bind_int64(s, 2, r->trainer_id);
	sqlite3_bind_int64(s, 3, r->round);
	sqlite3_bind_double(s, 4, r->loss);
	if (r->_accuracy_case)
		sqlite3_bind_double(s, 5, r->accuracy);
	sqlite3_bind_int64(s, 6, r->bytes_sent);
	sqlite3_bind_int64(s, 7, r->bytes_received);
	sqlite3_bind_int64(s, 8, r->misses);
	sqlite3_bind_text(s, 9, r->state, -1, SQLITE_STATIC);
	return db_run(db, s, err);
}

static int write_runs(struct db *db, const Gfl__V1__State *s, struct err *err)
{
	int rc = db_exec(db, "DELETE FROM run; DELETE FROM report", err);

	for (size_t i = 0; !rc && i < s->n_runs; i++) {
		const Gfl__V1__Run *r = s->runs[i];
		const struct value v[] = {
			NUMBER(r->id),           TEXT(r->state),
			TEXT(r->reason),         TEXT(r->spec->model),
			NUMBER(r->spec->rounds), NUMBER(r->started_ms),
			NUMBER(r->ended_ms)};

		rc = put(db, "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?)", v,
			 7, err);
		for (size_t j = 0; !rc && j < r->n_reports; j++)
			rc = write_report(db, r->reports[j], err);
	}
	return rc;
}

static int write_plans(struct db *db, const Gfl__V1__State *s, struct err *err)
{
	int rc = db_exec(db, "DELETE FROM plan", err);

	for (size_t i = 0; !rc && i < s->n_plans; i++) {
		const struct value v[] = {
			NUMBER(s->plans[i]->run), NUMBER(s->plans[i]->epoch),
			NUMBER(s->plans[i]->t0),
			NUMBER((int64_t)s->plans[i]->n_rounds)};

		rc = put(db, "INSERT INTO plan VALUES (?, ?, ?, ?)", v, 4, err);
	}
	return rc;
}

static int write_links(struct db *db, const Gfl__V1__State *s, struct err *err)
{
	int rc = db_exec(db, "DELETE FROM bandwidth", err);

	for (size_t i = 0; !rc && i < s->n_links; i++) {
		const struct value v[] = {NUMBER(s->links[i]->from),
					  NUMBER(s->links[i]->to),
					  NUMBER(s->links[i]->half_octaves)};

		rc = put(db, "INSERT INTO bandwidth VALUES (?, ?, ?)", v, 3,
			 err);
	}
	return rc;
}

static int write_edge(struct db *db, const Gfl__V1__Edge *e, struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s, "INSERT INTO topology VALUES (?, ?, ?)", err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, e->a);
	sqlite3_bind_int64(s, 2, e->b);
	sqlite3_bind_double(s, 3, e->weight);
	return db_run(db, s, err);
}

static int write_edges(struct db *db, const Gfl__V1__State *s, struct err *err)
{
	int rc = db_exec(db, "DELETE FROM topology", err);

	for (size_t i = 0; !rc && i < s->n_edges; i++)
		rc = write_edge(db, s->edges[i], err);
	return rc;
}

static int write_job(struct db *db, void *arg, struct err *err)
{
	const struct job *j = arg;
	const struct value v[] = {NUMBER(j->s->applied), NUMBER(j->s->term),
				  NUMBER(j->s->epoch)};

	if (((j->dirty & STATE_MEMBER) && write_members(db, j->s, err)) ||
	    ((j->dirty & STATE_TRAINER) && write_trainers(db, j->s, err)) ||
	    ((j->dirty & STATE_RUN) && write_runs(db, j->s, err)) ||
	    ((j->dirty & STATE_PLAN) && write_plans(db, j->s, err)) ||
	    ((j->dirty & STATE_BANDWIDTH) && write_links(db, j->s, err)) ||
	    ((j->dirty & STATE_GRAPH) && write_edges(db, j->s, err)))
		return (int)err->code;
	return put(db, "UPDATE applied SET idx = ?, term = ?, epoch = ?", v, 3,
		   err);
}

static void flush(void *arg);

static void written(const struct err *err, void *arg)
{
	struct job *j = arg;
	struct tables *t = j->t;

	if (err)
		log_err("write_state", err);
	rpc_free(&j->s->base);
	free(j);
	t->writing = false;
	if (t->dirty && !err && !t->n->ended)
		flush(t);
}

static void flush(void *arg)
{
	struct tables *t = arg;
	struct job *j;
	struct err err;

	t->waits = false;
	if (t->writing)
		return;
	j = mem_zero(1, sizeof(*j));
	*j = (struct job){t, state_encode(t->n->state), t->dirty};
	t->dirty = 0;
	t->writing = true;
	if (writer_post(t->n->writer, write_job, written, j, &err))
		written(&err, j);
}

void tables_open(struct node *n)
{
	n->tables = mem_zero(1, sizeof(*n->tables));
	n->tables->n = n;
}

/* Some rows at a time: many entries make one rewriting. */
void tables_changed(struct node *n, unsigned changed)
{
	struct tables *t = n->tables;

	t->dirty |= changed;
	if (!t->dirty || t->waits)
		return;
	t->waits = true;
	timer_set(&t->timer, n->loop, DELAY_MS, flush, t);
}

void tables_close(struct node *n)
{
	if (!n->tables)
		return;
	timer_stop(&n->tables->timer);
	free(n->tables);
	n->tables = NULL;
}
