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

static void copy_text(char *out, sqlite3_stmt *s, int column)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	snprintf(out, RAFT_STORE_ID + 1, "%s", text ? text : "");
}

int raft_store_meta(struct db *db, struct raft_store_meta *out, struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s,
			 "SELECT cluster_id, instance_id, node_id FROM meta",
			 err);

	if (!rc)
		rc = db_next(db, s, &row, err);
	if (rc)
		return rc;
	memset(out, 0, sizeof(*out));
	if (!row)
		return 0;
	copy_text(out->cluster_id, s, 0);
	copy_text(out->instance_id, s, 1);
	out->node_id = sqlite3_column_int64(s, 2);
	db_done(s);
	return 0;
}

int raft_store_set_meta(struct db *db, const struct raft_store_meta *meta,
			struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT OR REPLACE INTO meta"
			 " (one, cluster_id, instance_id, node_id)"
			 " VALUES (1, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_text(s, 1, meta->cluster_id, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, meta->instance_id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, meta->node_id);
	return db_run(db, s, err);
}

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

static uint32_t crc_of_hard_state(int64_t term, int64_t vote, int64_t commit)
{
	const int64_t all[] = {term, vote, commit};

	return crc32c_of(0, all, sizeof(all));
}

static void bind_blob(sqlite3_stmt *s, int at, const void *p, size_t len)
{
	sqlite3_bind_blob64(s, at, len ? p : "", len, SQLITE_STATIC);
}

static int insert(struct db *db, const struct raft_entry *e, uint32_t *last,
		  struct err *err)
{
	uint32_t crc = crc_of(*last, e);
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
	sqlite3_bind_int64(s, 9, *last);
	rc = db_run(db, s, err);
	if (!rc)
		*last = crc;
	return rc;
}

/* Delete from index on; *last becomes the checksum of the row before. */
static int truncate_from(struct db *db, int64_t index, uint32_t *last,
			 struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s, "DELETE FROM log WHERE idx >= ?", err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, index);
	rc = db_run(db, s, err);
	return rc ? rc : store_hash(db, index - 1, last, err);
}

int raft_store_write(struct db *db, const struct raft_write *w, uint32_t *last,
		     struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT OR REPLACE INTO hard_state"
			 " (one, term, vote, commit_index, crc)"
			 " VALUES (1, ?, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, w->term);
	sqlite3_bind_int64(s, 2, w->vote);
	sqlite3_bind_int64(s, 3, w->commit);
	sqlite3_bind_int64(s, 4,
			   crc_of_hard_state(w->term, w->vote, w->commit));
	rc = db_run(db, s, err);
	if (!rc && w->piece)
		rc = store_piece(db, w->piece, last, err);
	if (!rc && w->truncate_from)
		rc = truncate_from(db, w->truncate_from, last, err);
	for (size_t i = 0; !rc && i < w->n; i++)
		rc = insert(db, &w->entries[i], last, err);
	return rc;
}

int raft_store_hard_state(struct db *db, struct raft_config *cfg,
			  struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s,
			 "SELECT term, vote, commit_index, crc FROM hard_state",
			 err);

	if (!rc)
		rc = db_next(db, s, &row, err);
	if (rc || !row)
		return rc;
	cfg->term = sqlite3_column_int64(s, 0);
	cfg->vote = sqlite3_column_int64(s, 1);
	cfg->commit = sqlite3_column_int64(s, 2);
	if (sqlite3_column_int64(s, 3) !=
	    crc_of_hard_state(cfg->term, cfg->vote, cfg->commit))
		rc = err_set(err, ERR_DATA_LOSS,
			     "%s is damaged: the hard state does not have its "
			     "checksum",
			     db_path(db));
	db_done(s);
	return rc;
}

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

/* The row that was read before, or the snapshot. */
struct before {
	int64_t index;
	uint32_t hash;
	bool known; /* the hash */
};

/* Whether the row is whole, and follows the one before. */
static int check(struct db *db, sqlite3_stmt *s, const struct raft_entry *e,
		 const struct before *b, struct err *err)
{
	int64_t crc = sqlite3_column_int64(s, 7);
	int64_t prev = sqlite3_column_int64(s, 8);

	if (e->index > b->index + 1)
		return err_set(err, ERR_DATA_LOSS,
			       "%s is damaged: log entry %lld is missing",
			       db_path(db), (long long)b->index + 1);
	if (crc_of((uint32_t)prev, e) != crc)
		return err_set(err, ERR_DATA_LOSS,
			       "%s is damaged: log entry %lld does not have "
			       "its checksum",
			       db_path(db), (long long)e->index);
	if (e->index == b->index + 1 && b->known && prev != b->hash)
		return err_set(err, ERR_DATA_LOSS,
			       "%s is damaged: log entry %lld does not follow "
			       "the one before it",
			       db_path(db), (long long)e->index);
	return 0;
}

/* Rows up to the snapshot's end need not be there, and one may begin there
 * anywhere; after it all must be. */
static int begin(struct db *db, int64_t from, struct before *b, struct err *err)
{
	int rc = raft_store_base(db, &b->index, &b->hash, err);

	b->known = true;
	if (from > b->index + 1)
		*b = (struct before){.index = from - 1};
	return rc;
}

static int each(struct db *db, sqlite3_stmt *s, struct before *b,
		raft_store_fn *fn, void *arg, struct err *err)
{
	struct raft_entry e;
	bool row;
	int rc;

	while (!(rc = db_next(db, s, &row, err)) && row) {
		entry_of(s, &e);
		rc = check(db, s, &e, b, err);
		b->index = e.index;
		b->hash = (uint32_t)sqlite3_column_int64(s, 7);
		b->known = true;
		if (!rc)
			rc = fn(&e, arg, err);
		if (rc)
			break;
	}
	db_done(s);
	return rc;
}

int raft_store_each(struct db *db, int64_t from, int64_t to, raft_store_fn *fn,
		    void *arg, uint32_t *last, struct err *err)
{
	struct before b = {0};
	sqlite3_stmt *s;
	int rc;

	if (begin(db, from, &b, err) ||
	    db_stmt(db, &s,
		    "SELECT idx, term, type, client, seq, data, config,"
		    " crc, prev_hash FROM log"
		    " WHERE idx >= ? AND idx <= ? ORDER BY idx",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, from);
	sqlite3_bind_int64(s, 2, to ? to : INT64_MAX);
	rc = each(db, s, &b, fn, arg, err);
	if (last)
		*last = b.hash;
	return rc;
}

static int load_one(const struct raft_entry *e, void *arg, struct err *err)
{
	return raft_load(arg, e, err);
}

int raft_store_load(struct db *db, struct raft *r, uint32_t *last,
		    struct err *err)
{
	struct raft_status s;

	raft_status(r, &s);
	return raft_store_each(db, s.snapshot + 1, 0, load_one, r, last, err);
}
