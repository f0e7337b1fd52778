/* store_conf.c - the configurations once more, beside the rows that have them:
 * when such a row is what the disk lost, this is how a member still knows who
 * can send it again.
 *
 * There is one for the snapshot, and one for each entry after it that changed
 * the members; each is written in the transaction of what it repeats. */
#include "base/crc.h"
#include "raft/store_impl.h"

const char raft_conf_schema[] = "CREATE TABLE conf ("
				" idx INTEGER PRIMARY KEY,"
				" config BLOB NOT NULL,"
				" crc INTEGER NOT NULL) STRICT;";

static uint32_t crc_of(int64_t index, const void *conf, size_t len)
{
	return crc32c_of(crc32c_of(0, &index, sizeof(index)), conf, len);
}

/* ---- writing ---- */

static int put(struct db *db, int64_t index, const void *conf, size_t len,
	       struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT OR REPLACE INTO conf (idx, config, crc)"
			 " VALUES (?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, index);
	sqlite3_bind_blob64(s, 2, len ? conf : "", len, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, crc_of(index, conf, len));
	return db_run(db, s, err);
}

int store_conf_cut(struct db *db, int64_t from, struct err *err)
{
	return store_run(db, "DELETE FROM conf WHERE idx >= ?", from, err);
}

int store_conf_add(struct db *db, int64_t index, const void *conf, size_t len,
		   struct err *err)
{
	int rc = store_conf_cut(db, index, err);

	return rc ? rc : put(db, index, conf, len, err);
}

int store_conf_base(struct db *db, const struct raft_snapshot *of,
		    struct err *err)
{
	int rc =
		store_run(db, "DELETE FROM conf WHERE idx < ?", of->index, err);

	return rc ? rc : put(db, of->index, of->conf, of->conf_len, err);
}

/* ---- reading ---- */

/* Whether the row of idx, config and crc is what it was written as. */
static bool whole(sqlite3_stmt *s)
{
	return crc_of(sqlite3_column_int64(s, 0), sqlite3_column_blob(s, 1),
		      (size_t)sqlite3_column_bytes(s, 1)) ==
	       sqlite3_column_int64(s, 2);
}

void store_conf_take(struct store_conf *to, int64_t index, const void *p,
		     size_t len)
{
	struct raft_conf newer = {0};

	if (index < to->index || raft_conf_decode(&newer, p, len, NULL))
		return;
	raft_conf_release(&to->conf);
	to->conf = newer;
	to->index = index;
}

int store_conf_newest(struct db *db, struct store_conf *to, int64_t *damaged,
		      struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s, "SELECT idx, config, crc FROM conf", err);

	*damaged = 0;
	if (rc)
		return rc;
	while (!(rc = db_next(db, s, &row, err)) && row)
		if (whole(s))
			store_conf_take(to, sqlite3_column_int64(s, 0),
					sqlite3_column_blob(s, 1),
					(size_t)sqlite3_column_bytes(s, 1));
		else
			*damaged = sqlite3_column_int64(s, 0);
	return rc;
}

int store_conf_check(struct db *db, struct err *err)
{
	struct store_conf newest = {0};
	int64_t damaged;
	int rc = store_conf_newest(db, &newest, &damaged, err);

	raft_conf_release(&newest.conf);
	if (rc || !damaged)
		return rc;
	return err_set(err, ERR_DATA_LOSS,
		       "%s is damaged: the second copy of the members as of "
		       "log entry %lld does not have its checksum",
		       db_path(db), (long long)damaged);
}
