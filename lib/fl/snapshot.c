#include "fl/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/schema.h"

enum { PIECE = 16 << 20 };
#define NUMBER_MAX ((int64_t)1 << 40) /* of a term, or a round */

static const char *const steps[] = {
	"CREATE TABLE server (one INTEGER PRIMARY KEY CHECK (one = 1),"
	" model TEXT NOT NULL, layout TEXT NOT NULL, seed INTEGER NOT NULL)"
	" STRICT;"
	"CREATE TABLE client (id INTEGER PRIMARY KEY,"
	" instance_id TEXT NOT NULL UNIQUE) STRICT;"
	"CREATE TABLE round (round INTEGER PRIMARY KEY,"
	" activated INTEGER NOT NULL, admitted INTEGER NOT NULL,"
	" refused INTEGER NOT NULL, missing TEXT NOT NULL,"
	" examples INTEGER NOT NULL, loss REAL, accuracy REAL,"
	" bytes_sent INTEGER NOT NULL, bytes_received INTEGER NOT NULL,"
	" began_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL) STRICT;"
	"CREATE TABLE model (piece INTEGER PRIMARY KEY,"
	" bytes BLOB NOT NULL) STRICT;",
	/* 2: clients evaluate */
	"CREATE TABLE evaluation (round INTEGER PRIMARY KEY,"
	" asked INTEGER NOT NULL, answered INTEGER NOT NULL,"
	" refused INTEGER NOT NULL, missing TEXT NOT NULL,"
	" examples INTEGER NOT NULL, loss REAL, accuracy REAL,"
	" began_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL) STRICT;",
	/* 3: what is known of clients */
	"ALTER TABLE client ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE client ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE client ADD COLUMN missed INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE client ADD COLUMN round INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE client ADD COLUMN bytes_sent INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE client ADD COLUMN bytes_received INTEGER NOT NULL"
	" DEFAULT 0;"
	"CREATE TABLE refused (client INTEGER, reason TEXT,"
	" updates INTEGER NOT NULL, PRIMARY KEY (client, reason))"
	" STRICT, WITHOUT ROWID;",
};

int snapshot_schema(struct db *db, struct err *err)
{
	return schema_apply(db, steps, sizeof(steps) / sizeof(*steps), err);
}

/* --- the file's bytes ------------------------------------------------------
 */

static int forget_pieces(struct db *db, size_t from, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s, "DELETE FROM model WHERE piece >= ?", err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, (int64_t)from);
	return db_run(db, s, err);
}

static int write_pieces(struct db *db, const char *p, size_t size,
			struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s, "INSERT OR REPLACE INTO model VALUES (?, ?)",
			 err);

	for (size_t at = 0, i = 0; !rc && at < size; at += PIECE, i++) {
		size_t len = size - at < PIECE ? size - at : PIECE;

		sqlite3_bind_int64(s, 1, (int64_t)i);
		sqlite3_bind_blob64(s, 2, p + at, len, SQLITE_STATIC);
		rc = db_run(db, s, err);
	}
	return rc ? rc : forget_pieces(db, (size + PIECE - 1) / PIECE, err);
}

int snapshot_write_bytes(struct db *db, const struct buf *b, struct err *err)
{
	return write_pieces(db, b->p, b->len, err);
}

int snapshot_read_bytes(struct db *db, struct buf *b, struct err *err)
{
	sqlite3_stmt *s;
	bool row = true;
	int rc = db_stmt(db, &s, "SELECT bytes FROM model ORDER BY piece", err);

	while (!rc && !(rc = db_next(db, s, &row, err)) && row)
		buf_put(b, sqlite3_column_blob(s, 0),
			(size_t)sqlite3_column_bytes(s, 0));
	return rc;
}

/* --- a state ---------------------------------------------------------------
 */

struct snapshot *snapshot_take(struct buf *b, int64_t term, int64_t version,
			       const char *layout)
{
	struct snapshot *s = mem_zero(1, sizeof(*s));
	struct tensor_bytes from;

	s->users = 1;
	s->term = term;
	s->version = version;
	s->info.size = b->len;
	s->info.version = version;
	str_copy(s->info.layout, sizeof(s->info.layout), layout);
	s->bytes = buf_take(b);
	from = (struct tensor_bytes){.p = s->bytes};
	if (tensor_hash(&s->info, &from, NULL))
		abort(); /* memory is never cut short */
	return s;
}

void snapshot_drop(struct snapshot *s)
{
	if (!s || --s->users)
		return;
	free(s->bytes);
	free(s);
}

/* A number of the file's map; one without it was made without a term. */
static int number(const struct tensors *ts, const char *key, int64_t *out)
{
	const char *text = tensors_get(ts, key);

	*out = 0;
	return text && (sscanf(text, "%" SCNd64, out) != 1 || *out < 0 ||
			*out > NUMBER_MAX);
}

int snapshot_check(struct snapshot *s, const char *what, struct err *err)
{
	struct tensors ts = {0};
	int rc = tensors_decode(&ts, s->bytes, s->info.size, what, err);

	if (!rc && (number(&ts, "term", &s->term) ||
		    number(&ts, "rounds", &s->version) || s->version < 1))
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "%s does not say which round it is of", what);
	tensors_release(&ts);
	return rc;
}

int snapshot_read(struct snapshot **out, struct db *db, const char *layout,
		  struct err *err)
{
	struct buf b = BUF_INIT(0);
	int rc = snapshot_read_bytes(db, &b, err);

	*out = NULL;
	if (!rc && b.len) {
		*out = snapshot_take(&b, 0, 0, layout);
		rc = snapshot_check(*out, db_path(db), err);
	}
	if (rc) { /* not the user's file: ours, and damaged */
		err->code = ERR_DATA_LOSS;
		snapshot_drop(*out);
		*out = NULL;
	}
	buf_release(&b);
	return rc ? (int)err->code : 0;
}

bool snapshot_is(const struct snapshot *s, int64_t term, int64_t version)
{
	return term == (s ? s->term : 0) && version == (s ? s->version : 0);
}

bool snapshot_older(const struct snapshot *s, int64_t term, int64_t version)
{
	int64_t own = s ? s->term : 0;

	return own < term || (own == term && (s ? s->version : 0) < version);
}

/* --- in place of what there is --------------------------------------------- */

static int insert_round(struct db *db, const struct tensors *ts,
			int64_t version, struct err *err)
{
	const char *row = tensors_get(ts, "row"), *text;
	const char *missing = tensors_get(ts, "missing");
	double loss = 0;
	int64_t n[7] = {0};
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT INTO round VALUES"
			 " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	if (row)
		sscanf(row,
		       "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64
		       " %" SCNd64 " %" SCNd64 " %" SCNd64 " %lf",
		       &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &loss);
	sqlite3_bind_int64(s, 1, version);
	for (int i = 0; i < 3; i++)
		sqlite3_bind_int64(s, i + 2, n[i]);
	sqlite3_bind_text(s, 5, missing ? missing : "", -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 6, n[3]);
	sqlite3_bind_double(s, 7, loss);
	text = tensors_get(ts, "accuracy");
	if (text)
		sqlite3_bind_double(s, 8, strtod(text, NULL));
	else
		sqlite3_bind_null(s, 8);
	sqlite3_bind_int64(s, 9, n[4]);
	sqlite3_bind_int64(s, 10, n[5]);
	sqlite3_bind_int64(s, 11, n[6]);
	sqlite3_bind_int64(s, 12, n[6]);
	return db_run(db, s, err);
}

static int forget(struct db *db, const char *sql, int64_t version,
		  struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s, sql, err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, version);
	return db_run(db, s, err);
}

/* What clients have said of another model is not of this one. */
static int forget_from(struct db *db, int64_t version, struct err *err)
{
	int rc = forget(db, "DELETE FROM round WHERE round >= ?", version, err);

	return rc ? rc
		  : forget(db, "DELETE FROM evaluation WHERE round >= ?",
			   version, err);
}

int snapshot_write(struct db *db, const struct snapshot *s, struct err *err)
{
	struct tensors ts = {0};
	int rc = tensors_decode(&ts, s->bytes, s->info.size, "a state", err);

	if (!rc)
		rc = forget_from(db, s->version, err);
	if (!rc)
		rc = insert_round(db, &ts, s->version, err);
	if (!rc)
		rc = write_pieces(db, s->bytes, s->info.size, err);
	tensors_release(&ts);
	return rc;
}

/* --- to another server ----------------------------------------------------- */

struct gift {
	struct snapshot *snapshot;
	void (*over)(void *arg); /* or NULL */
	void *arg;
};

static void given(void *arg)
{
	struct gift g = *(struct gift *)arg;

	free(arg);
	snapshot_drop(g.snapshot);
	if (g.over)
		g.over(g.arg);
}

void snapshot_give(struct snapshot *s, struct call *call, uint64_t offset,
		   const char *sha256, void (*over)(void *arg), void *arg)
{
	struct gift *g = mem_zero(1, sizeof(*g));

	*g = (struct gift){s, over, arg};
	s->users++;
	tensor_give(call, &s->info, &(struct tensor_bytes){.p = s->bytes},
		    strcmp(sha256, s->info.sha256) ? 0 : offset, given, g);
}
