/* What a server knows after its death: each round, and the newest model, as the
 * bytes of a safetensors file, in one SQLite file. A round and its model commit
 * together, and with them what has changed of clients. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/floats.h"
#include "fl/hub_impl.h"
#include "nn/checkpoint.h"
#include "nn/convert.h"

enum { JOBS = 1024 };

/* --- the model's bytes -----------------------------------------------------
 */

/* In which term, and what snapshot_write() needs for the round. */
static void encode_place(const struct hub_next *n, struct tensors *ts)
{
	const struct hub_round *r = &n->row;
	char text[256];

	snprintf(text, sizeof(text), "%" PRId64, n->hub->opts.term);
	tensors_set(ts, "term", text);
	snprintf(text, sizeof(text),
		 "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
		 " %" PRId64 " %" PRId64 " %.17g",
		 r->activated, r->admitted, r->refused, r->examples,
		 r->bytes_sent, r->bytes_received, r->ended_ms, r->loss);
	tensors_set(ts, "row", text);
	tensors_set(ts, "missing", r->missing ? r->missing : "");
}

/* Everything of model and row, and what the rule keeps. */
static void encode(const struct hub_next *n, struct buf *b)
{
	const struct hub *h = n->hub;
	float *values = mem_zero(h->model->len, sizeof(*values));
	struct tensors ts = {0};
	char text[32];

	floats_unpack(values, n->model->bytes, h->model->len);
	checkpoint_put(&ts, h->model, "", values);
	snprintf(text, sizeof(text), "%" PRId64, n->row.round);
	tensors_set(&ts, "rounds", text);
	snprintf(text, sizeof(text), "%.6f", n->row.accuracy);
	if (!isnan(n->row.accuracy))
		tensors_set(&ts, "accuracy", text);
	if (n->hub->opts.term)
		encode_place(n, &ts);
	for (size_t i = 0; i < n->state.n; i++)
		tensors_copy(&ts, &n->state.t[i]);
	for (size_t i = 0; i < n->state.n_meta; i++)
		tensors_set(&ts, n->state.meta[i].key, n->state.meta[i].value);
	tensors_encode(&ts, b);
	tensors_release(&ts);
	free(values);
}

int hub_store_model(const struct hub_next *n, const char *path, struct err *err)
{
	struct buf b = BUF_INIT(0);
	struct file_part part;
	int rc;

	encode(n, &b);
	part = (struct file_part){b.p, b.len};
	rc = file_replace(path, &part, 1, err);
	buf_release(&b);
	return rc;
}

/* --- writing ---------------------------------------------------------------
 */

/* What is followed keeps the bytes too. */
static int write_model(struct db *db, struct hub_next *n, struct err *err)
{
	struct buf b = BUF_INIT(0);
	int rc;

	encode(n, &b);
	rc = snapshot_write_bytes(db, &b, err);
	if (!rc && n->hub->opts.term)
		n->snapshot = snapshot_take(&b, n->hub->opts.term, n->row.round,
					    n->hub->layout);
	buf_release(&b);
	return rc;
}

static void bind_real(sqlite3_stmt *s, int at, double v)
{
	if (isnan(v))
		sqlite3_bind_null(s, at);
	else
		sqlite3_bind_double(s, at, v);
}

static int write_round(struct db *db, const struct hub_round *r,
		       struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT INTO round VALUES"
			 " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, r->round);
	sqlite3_bind_int64(s, 2, r->activated);
	sqlite3_bind_int64(s, 3, r->admitted);
	sqlite3_bind_int64(s, 4, r->refused);
	sqlite3_bind_text(s, 5, r->missing, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 6, r->examples);
	bind_real(s, 7, r->loss);
	bind_real(s, 8, r->accuracy);
	sqlite3_bind_int64(s, 9, r->bytes_sent);
	sqlite3_bind_int64(s, 10, r->bytes_received);
	sqlite3_bind_int64(s, 11, r->began_ms);
	sqlite3_bind_int64(s, 12, r->ended_ms);
	return db_run(db, s, err);
}

int hub_store_rounds(struct db *db, struct hub_next *all, struct err *err)
{
	struct hub_next *n;
	int rc = 0;

	DL_FOREACH (all, n) {
		rc = rc ? rc : write_round(db, &n->row, err);
		if (!rc && n->model)
			rc = write_model(db, n, err);
		if (!rc && n->rows)
			rc = hub_rows_write(db, n->rows, err);
	}
	return rc;
}

static int write_evaluation(struct db *db, void *arg, struct err *err)
{
	const struct hub_evaluation *e = &((struct hub *)arg)->scoring.told;
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT OR REPLACE INTO evaluation VALUES"
			 " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, e->round);
	sqlite3_bind_int64(s, 2, e->asked);
	sqlite3_bind_int64(s, 3, e->answered);
	sqlite3_bind_int64(s, 4, e->refused);
	sqlite3_bind_text(s, 5, e->missing, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 6, e->examples);
	bind_real(s, 7, e->loss);
	bind_real(s, 8, e->accuracy);
	sqlite3_bind_int64(s, 9, e->began_ms);
	sqlite3_bind_int64(s, 10, e->ended_ms);
	return db_run(db, s, err);
}

void hub_store_evaluation(struct hub *h, writer_done_fn *done)
{
	struct err err;

	if (writer_post(h->writer, write_evaluation, done, h, &err))
		done(&err, h);
}

/* --- reading ---------------------------------------------------------------
 */

static int check_server(struct hub *h, struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(h->db, &s, "SELECT model, layout FROM server", err);

	if (!rc)
		rc = db_next(h->db, s, &row, err);
	if (rc || !row)
		return rc;
	if (strcmp((const char *)sqlite3_column_text(s, 1), h->layout) != 0) {
		rc = err_set(err, ERR_FAILED_PRECONDITION,
			     "%s is of the model \"%s\", not of \"%s\"",
			     h->opts.db, sqlite3_column_text(s, 0),
			     hub_model_name(h));
		err_hint(err, "name another file with --db, or the model that "
			      "this one has with --model");
	}
	db_done(s);
	return rc;
}

static int insert_server(struct hub *h, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(h->db, &s,
			 "INSERT OR IGNORE INTO server VALUES (1, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_text(s, 1, hub_model_name(h), -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, h->layout, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, (int64_t)h->opts.seed);
	return db_run(h->db, s, err);
}

static int load_round(struct hub *h, struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(h->db, &s,
			 "SELECT round, loss FROM round"
			 " ORDER BY round DESC LIMIT 1",
			 err);

	if (!rc)
		rc = db_next(h->db, s, &row, err);
	if (rc || !row)
		return rc;
	h->round = h->version = h->kept.round = sqlite3_column_int64(s, 0);
	if (sqlite3_column_type(s, 1) != SQLITE_NULL)
		h->kept.loss = sqlite3_column_double(s, 1);
	db_done(s);
	return 0;
}

static int load_accuracy(struct hub *h, struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(h->db, &s,
			 "SELECT accuracy FROM round WHERE accuracy IS NOT NULL"
			 " ORDER BY round DESC LIMIT 1",
			 err);

	if (!rc)
		rc = db_next(h->db, s, &row, err);
	if (rc || !row)
		return rc;
	h->accuracy = h->kept.accuracy = sqlite3_column_double(s, 0);
	db_done(s);
	return 0;
}

static double real_at(sqlite3_stmt *s, int at)
{
	return sqlite3_column_type(s, at) == SQLITE_NULL
		       ? (double)NAN
		       : sqlite3_column_double(s, at);
}

static int load_evaluation(struct hub *h, struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(h->db, &s,
			 "SELECT round, asked, answered, examples, loss,"
			 " accuracy, ended_ms FROM evaluation"
			 " ORDER BY round DESC LIMIT 1",
			 err);

	if (!rc)
		rc = db_next(h->db, s, &row, err);
	if (rc || !row)
		return rc;
	h->evaluation = (struct hub_evaluation){
		.round = sqlite3_column_int64(s, 0),
		.asked = sqlite3_column_int64(s, 1),
		.answered = sqlite3_column_int64(s, 2),
		.examples = sqlite3_column_int64(s, 3),
		.loss = real_at(s, 4),
		.accuracy = real_at(s, 5),
		.ended_ms = sqlite3_column_int64(s, 6),
		.missing = "",
	};
	db_done(s);
	return 0;
}

static int load_model(struct hub *h, struct err *err)
{
	struct buf b = BUF_INIT(0);
	struct tensors ts = {0};
	int rc = snapshot_read_bytes(h->db, &b, err);

	if (!rc)
		rc = tensors_decode(&ts, b.p, b.len, h->opts.db, err);
	if (!rc)
		rc = checkpoint_get(&ts, h->model, "", h->opts.db, h->params,
				    err);
	if (!rc)
		rc = aggregate_restore(h->rule, &ts, h->opts.db, err);
	if (!rc && h->counted)
		rc = counted_restore(h->counted, &ts, h->opts.db, err);
	if (rc == ERR_FAILED_PRECONDITION)
		err_hint(err, "name another file with --db, or the rule that "
			      "this one has with --aggregate");
	else if (rc) /* not the user's file: ours, and damaged */
		err->code = ERR_DATA_LOSS;
	tensors_release(&ts);
	buf_release(&b);
	return rc ? (int)err->code : 0;
}

/* Whoever names no --db has that of the last time. */
static void tell_resumed(const struct hub *h)
{
	log_info("resumed", "round=%lld", (long long)h->round);
	if (h->opts.rounds && h->round >= h->opts.rounds)
		log_warn("nothing_to_do",
			 "round=%lld rounds=%lld db=%s hint=%s",
			 (long long)h->round, (long long)h->opts.rounds,
			 h->opts.db,
			 "it goes on with more --rounds, and begins anew with "
			 "another --db");
}

static int load(struct hub *h, struct err *err)
{
	int rc = check_server(h, err) || insert_server(h, err) ||
		 hub_rows_load(h, err) || load_round(h, err) ||
		 load_accuracy(h, err) || load_evaluation(h, err);

	if (!rc && h->round) {
		rc = load_model(h, err);
		if (!rc)
			tell_resumed(h);
	} else if (!rc && h->opts.init) {
		rc = convert_values(h->opts.init, h->model, h->params, err);
	}
	return rc ? (int)err->code : 0;
}

int hub_store_open(struct hub *h, struct err *err)
{
	int rc = db_open(&h->db, h->opts.db, DB_SERVER, err);

	if (!rc)
		rc = snapshot_schema(h->db, err);
	if (!rc)
		rc = load(h, err);
	if (!rc && h->opts.term)
		rc = snapshot_read(&h->snapshot, h->db, h->layout, err);
	if (!rc)
		rc = writer_open(&h->writer, h->loop, h->db, JOBS, err);
	return rc;
}
