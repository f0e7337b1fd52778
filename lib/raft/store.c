#include "raft/store_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/crc.h"

const char raft_store_schema[] = "CREATE TABLE meta ("
				 " one INTEGER PRIMARY KEY CHECK (one = 1),"
				 " cluster_id TEXT NOT NULL,"
				 " node_id INTEGER NOT NULL,"
				 " instance_id TEXT NOT NULL) STRICT;"
				 "CREATE TABLE hard_state ("
				 " one INTEGER PRIMARY KEY CHECK (one = 1),"
				 " term INTEGER NOT NULL,"
				 " vote INTEGER NOT NULL,"
				 " commit_index INTEGER NOT NULL,"
				 " crc INTEGER NOT NULL) STRICT;"
				 "CREATE TABLE log ("
				 " idx INTEGER PRIMARY KEY,"
				 " term INTEGER NOT NULL,"
				 " type INTEGER NOT NULL,"
				 " client INTEGER NOT NULL,"
				 " seq INTEGER NOT NULL,"
				 " data BLOB NOT NULL,"
				 " config BLOB NOT NULL,"
				 " crc INTEGER NOT NULL,"
				 " prev_hash INTEGER NOT NULL) STRICT;";

const char raft_tail_schema[] =
	"ALTER TABLE hard_state ADD COLUMN last_index INTEGER;"
	"ALTER TABLE hard_state ADD COLUMN last_term INTEGER;"
	"ALTER TABLE hard_state ADD COLUMN last_hash INTEGER;"
	"ALTER TABLE hard_state ADD COLUMN floor_index INTEGER;"
	"ALTER TABLE hard_state ADD COLUMN floor_term INTEGER;"
	"ALTER TABLE meta ADD COLUMN crc INTEGER;"
	"ALTER TABLE snapshot ADD COLUMN crc INTEGER;"
	"ALTER TABLE part ADD COLUMN crc INTEGER;";

/* Only a file that this version has not gone on with may have none: its rows get
 * one at the first start, see store_mend.c. */
static int check_older(struct db *db, bool *older, struct err *err)
{
	int64_t rows;
	int rc = db_number(db, "SELECT count(*) FROM conf", 0, &rows, err);

	*older = !rows;
	return rc;
}

int store_check_crc(struct db *db, sqlite3_stmt *s, int column, uint32_t crc,
		    const char *what, struct err *err)
{
	bool fine = sqlite3_column_int64(s, column) == crc;

	if (sqlite3_column_type(s, column) == SQLITE_NULL &&
	    check_older(db, &fine, err))
		return (int)err->code;
	if (fine)
		return 0;
	return err_set(err, ERR_DATA_LOSS,
		       "%s is damaged: %s does not have its checksum",
		       db_path(db), what);
}

/* ---- who this member is ---- */

static void copy_text(char *out, sqlite3_stmt *s, int column)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	snprintf(out, RAFT_STORE_ID + 1, "%s", text ? text : "");
}

static uint32_t crc_of_meta(const struct raft_store_meta *m)
{
	uint32_t crc = crc32c_of(0, m->cluster_id, strlen(m->cluster_id) + 1);

	crc = crc32c_of(crc, m->instance_id, strlen(m->instance_id) + 1);
	return crc32c_of(crc, &m->node_id, sizeof(m->node_id));
}

/* No row is a new file, unless it has been written to. */
static int check_new(struct db *db, struct err *err)
{
	int64_t rows;
	int rc =
		db_number(db, "SELECT count(*) FROM hard_state", 0, &rows, err);

	if (rc || !rows)
		return rc;
	return err_set(err, ERR_DATA_LOSS,
		       "%s is damaged: what the node knows of itself is "
		       "missing",
		       db_path(db));
}

int raft_store_meta(struct db *db, struct raft_store_meta *out, struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s,
			 "SELECT cluster_id, instance_id, node_id, crc"
			 " FROM meta",
			 err);

	if (!rc)
		rc = db_next(db, s, &row, err);
	if (rc)
		return rc;
	memset(out, 0, sizeof(*out));
	if (!row)
		return check_new(db, err);
	copy_text(out->cluster_id, s, 0);
	copy_text(out->instance_id, s, 1);
	out->node_id = sqlite3_column_int64(s, 2);
	rc = store_check_crc(db, s, 3, crc_of_meta(out),
			     "what the node knows of itself", err);
	db_done(s);
	return rc;
}

int raft_store_set_meta(struct db *db, const struct raft_store_meta *meta,
			struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT OR REPLACE INTO meta"
			 " (one, cluster_id, instance_id, node_id, crc)"
			 " VALUES (1, ?, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_text(s, 1, meta->cluster_id, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, meta->instance_id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, meta->node_id);
	sqlite3_bind_int64(s, 4, crc_of_meta(meta));
	return db_run(db, s, err);
}

/* ---- writing ---- */

/* All numbers and both blobs of the row, after the row before. */
static uint32_t crc_of(uint32_t prev, const struct raft_entry *e)
{
	const int64_t head[] = {
		e->index,        e->term, (int64_t)e->type,
		e->client,       e->seq,  (int64_t)e->conf_len,
		(int64_t)e->len,
	};
	uint32_t crc = crc32c_of(prev, head, sizeof(head));

	crc = crc32c_of(crc, e->conf, e->conf_len);
	return crc32c_of(crc, e->data, e->len);
}

static void bind_blob(sqlite3_stmt *s, int at, const void *p, size_t len)
{
	sqlite3_bind_blob64(s, at, len ? p : "", len, SQLITE_STATIC);
}

static int insert(struct db *db, const struct raft_entry *e,
		  struct raft_tail *tail, struct err *err)
{
	uint32_t crc = crc_of(tail->hash, e);
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT INTO log (idx, term, type, client, seq, data,"
			 " config, crc, prev_hash)"
			 " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, e->index);
	sqlite3_bind_int64(s, 2, e->term);
	sqlite3_bind_int64(s, 3, e->type);
	sqlite3_bind_int64(s, 4, e->client);
	sqlite3_bind_int64(s, 5, e->seq);
	bind_blob(s, 6, e->data, e->len);
	bind_blob(s, 7, e->conf, e->conf_len);
	sqlite3_bind_int64(s, 8, crc);
	sqlite3_bind_int64(s, 9, tail->hash);
	rc = db_run(db, s, err);
	if (!rc && e->type == RAFT_CONFIG)
		rc = store_conf_add(db, e->index, e->conf, e->conf_len, err);
	if (rc)
		return rc;
	tail->index = e->index;
	tail->term = e->term;
	tail->hash = crc;
	return 0;
}

int store_run(struct db *db, const char *sql, int64_t index, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s, sql, err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, index);
	return db_run(db, s, err);
}

static int truncate_from(struct db *db, int64_t index, struct raft_tail *tail,
			 struct err *err)
{
	int rc = store_run(db, "DELETE FROM log WHERE idx >= ?", index, err);

	if (!rc)
		rc = store_conf_cut(db, index, err);
	return rc ? rc : store_end_at(db, index - 1, tail, err);
}

int raft_store_write(struct db *db, const struct raft_write *w,
		     struct raft_tail *tail, struct err *err)
{
	int rc = w->piece ? store_piece(db, w->piece, tail, err) : 0;

	if (!rc && w->truncate_from)
		rc = truncate_from(db, w->truncate_from, tail, err);
	for (size_t i = 0; !rc && i < w->n; i++)
		rc = insert(db, &w->entries[i], tail, err);
	return rc ? rc : store_hard_state(db, w, tail, err);
}

/* ---- reading ---- */

/* The entry of the row, borrowed until the next step. */
static void entry_of(sqlite3_stmt *s, struct raft_entry *e)
{
	*e = (struct raft_entry){
		.index = sqlite3_column_int64(s, 0),
		.term = sqlite3_column_int64(s, 1),
		.type = (enum raft_entry_type)sqlite3_column_int(s, 2),
		.client = sqlite3_column_int64(s, 3),
		.seq = sqlite3_column_int64(s, 4),
		.data = sqlite3_column_blob(s, 5),
		.len = (size_t)sqlite3_column_bytes(s, 5),
		.conf = sqlite3_column_blob(s, 6),
		.conf_len = (size_t)sqlite3_column_bytes(s, 6),
	};
}

bool store_row_whole(sqlite3_stmt *s, struct raft_entry *e)
{
	entry_of(s, e);
	return crc_of((uint32_t)sqlite3_column_int64(s, 8), e) ==
	       sqlite3_column_int64(s, 7);
}

/* Whether the row is whole, and follows the one before. */
static int check(struct db *db, sqlite3_stmt *s, struct raft_entry *e,
		 const struct store_row *b, struct err *err)
{
	bool whole = store_row_whole(s, e);

	if (e->index > b->index + 1)
		return err_set(err, ERR_DATA_LOSS,
			       "%s is damaged: log entry %lld is missing",
			       db_path(db), (long long)b->index + 1);
	if (!whole)
		return err_set(err, ERR_DATA_LOSS,
			       "%s is damaged: log entry %lld does not have "
			       "its checksum",
			       db_path(db), (long long)e->index);
	if (e->index == b->index + 1 && b->known &&
	    sqlite3_column_int64(s, 8) != b->hash)
		return err_set(err, ERR_DATA_LOSS,
			       "%s is damaged: log entry %lld does not follow "
			       "the one before it",
			       db_path(db), (long long)e->index);
	return 0;
}

/* Rows up to the snapshot's end need not be there, and one may begin there
 * anywhere; after it all must be. */
static int begin(struct db *db, int64_t from, struct store_row *at,
		 struct err *err)
{
	struct raft_tail base;
	int rc = raft_store_base(db, &base, err);

	*at = (struct store_row){base.index, base.term, base.hash, true};
	if (!rc && from > at->index + 1)
		*at = (struct store_row){.index = from - 1};
	return rc;
}

static int each(struct db *db, sqlite3_stmt *s, struct store_row *at,
		raft_store_fn *fn, void *arg, struct err *err)
{
	struct raft_entry e;
	bool row;
	int rc;

	while (!(rc = db_next(db, s, &row, err)) && row) {
		rc = check(db, s, &e, at, err);
		if (rc && e.index > at->index + 1)
			e.index = at->index + 1; /* that one is missing */
		*at = (struct store_row){e.index, e.term,
					 (uint32_t)sqlite3_column_int64(s, 7),
					 true};
		if (!rc)
			rc = fn(&e, arg, err);
		if (rc)
			break;
	}
	db_done(s);
	return rc;
}

int store_scan(struct db *db, int64_t from, int64_t to, raft_store_fn *fn,
	       void *arg, struct store_row *at, struct err *err)
{
	sqlite3_stmt *s;

	if (begin(db, from, at, err) ||
	    db_stmt(db, &s,
		    STORE_ROWS " WHERE idx >= ? AND idx <= ? ORDER BY idx",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, from);
	sqlite3_bind_int64(s, 2, to ? to : INT64_MAX);
	return each(db, s, at, fn, arg, err);
}

int raft_store_each(struct db *db, int64_t from, int64_t to, raft_store_fn *fn,
		    void *arg, uint32_t *last, struct err *err)
{
	struct store_row at = {0};
	struct err own;
	int rc = store_scan(db, from, to, fn, arg, &at, err ? err : &own);

	if (last)
		*last = at.hash;
	return rc;
}
