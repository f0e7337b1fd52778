/* store_tail.c - the hard state, and with it where the log ends: rows that are
 * lost at the end of a chain leave no trace in it. */
#include "base/crc.h"
#include "raft/store_impl.h"

#define HARD_STATE                                                     \
	"SELECT term, vote, commit_index, crc, last_index, last_term," \
	" last_hash, floor_index, floor_term FROM hard_state"

enum { NUMBERS = 8 }; /* that the checksum is of; 3 in older files */

/* ---- where it ends ---- */

int store_end_at(struct db *db, int64_t index, struct raft_tail *tail,
		 struct err *err)
{
	struct raft_tail base;
	sqlite3_stmt *s;
	bool row;
	int rc = raft_store_base(db, &base, err);

	if (rc)
		return rc;
	tail->index = base.index;
	tail->term = base.term;
	tail->hash = base.hash;
	if (base.index == index)
		return 0;
	rc = db_stmt(db, &s, "SELECT idx, term, crc FROM log WHERE idx = ?",
		     err);
	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, index);
	rc = db_next(db, s, &row, err);
	if (rc || !row)
		return rc;
	tail->index = sqlite3_column_int64(s, 0);
	tail->term = sqlite3_column_int64(s, 1);
	tail->hash = (uint32_t)sqlite3_column_int64(s, 2);
	db_done(s);
	return 0;
}

/* Like the core, which forgets its floor with the same write (lost.c). */
static void pass_floor(struct raft_tail *t)
{
	if (t->term > t->floor_term ||
	    (t->term == t->floor_term && t->index >= t->floor_index))
		t->floor_index = t->floor_term = 0;
}

/* ---- the row ---- */

int store_hard_state(struct db *db, const struct raft_write *w,
		     struct raft_tail *tail, struct err *err)
{
	int64_t all[NUMBERS];
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT OR REPLACE INTO hard_state (one, term, vote,"
			 " commit_index, last_index, last_term, last_hash,"
			 " floor_index, floor_term, crc)"
			 " VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	pass_floor(tail);
	all[0] = w->term;
	all[1] = w->vote;
	all[2] = w->commit;
	all[3] = tail->index;
	all[4] = tail->term;
	all[5] = tail->hash;
	all[6] = tail->floor_index;
	all[7] = tail->floor_term;
	for (int i = 0; i < NUMBERS; i++)
		sqlite3_bind_int64(s, i + 1, all[i]);
	sqlite3_bind_int64(s, NUMBERS + 1, crc32c_of(0, all, sizeof(all)));
	return db_run(db, s, err);
}

/* Whatever is stored has it. */
static int check_new(struct db *db, struct err *err)
{
	int64_t used;
	int rc = db_number(db,
			   "SELECT EXISTS (SELECT 1 FROM log) OR"
			   " EXISTS (SELECT 1 FROM snapshot)",
			   0, &used, err);

	if (rc || !used)
		return rc;
	return err_set(err, ERR_DATA_LOSS,
		       "%s is damaged: the hard state is missing", db_path(db));
}

/* all: as store_hard_state() has them, 0 without a row; *n of them are there.
 */
static int read_row(struct db *db, int64_t all[NUMBERS], int *n,
		    struct err *err)
{
	static const int column[NUMBERS] = {0, 1, 2, 4, 5, 6, 7, 8};
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s, HARD_STATE, err);

	*n = 0;
	if (!rc)
		rc = db_next(db, s, &row, err);
	if (rc)
		return rc;
	if (!row)
		return check_new(db, err);
	*n = sqlite3_column_type(s, column[3]) == SQLITE_NULL ? 3 : NUMBERS;
	for (int i = 0; i < *n; i++)
		all[i] = sqlite3_column_int64(s, column[i]);
	if (sqlite3_column_int64(s, 3) !=
	    crc32c_of(0, all, (size_t)*n * sizeof(*all)))
		rc = err_set(err, ERR_DATA_LOSS,
			     "%s is damaged: the hard state does not have its "
			     "checksum",
			     db_path(db));
	db_done(s);
	return rc;
}

int raft_store_hard_state(struct db *db, struct raft_config *cfg,
			  struct err *err)
{
	int64_t all[NUMBERS] = {0};
	int n, rc = read_row(db, all, &n, err);

	if (rc || !n)
		return rc;
	cfg->term = all[0];
	cfg->vote = all[1];
	cfg->commit = all[2];
	cfg->floor_index = all[6];
	cfg->floor_term = all[7];
	return 0;
}

int store_tail(struct db *db, struct raft_tail *tail, bool *known,
	       struct err *err)
{
	int64_t all[NUMBERS] = {0};
	int n, rc = read_row(db, all, &n, err);

	*known = n == NUMBERS;
	*tail = (struct raft_tail){all[3], all[4], (uint32_t)all[5], all[6],
				   all[7]};
	return rc;
}

/* ---- reading all ---- */

int store_check_end(struct db *db, const struct store_row *at,
		    struct raft_tail *tail, struct err *err)
{
	struct raft_tail was;
	bool known;
	int rc = store_tail(db, &was, &known, err);

	*tail = (struct raft_tail){at->index, at->term, at->hash,
				   was.floor_index, was.floor_term};
	if (rc || !known)
		return rc;
	if (at->index < was.index)
		return err_set(err, ERR_DATA_LOSS,
			       "%s is damaged: log entry %lld is missing",
			       db_path(db), (long long)at->index + 1);
	if (at->index > was.index || at->term != was.term ||
	    at->hash != was.hash)
		return err_set(err, ERR_DATA_LOSS,
			       "%s is damaged: log entry %lld is not the last "
			       "one that the hard state has, %lld",
			       db_path(db), (long long)at->index,
			       (long long)was.index);
	return 0;
}

static int load_one(const struct raft_entry *e, void *arg, struct err *err)
{
	return raft_load(arg, e, err);
}

int raft_store_load(struct db *db, struct raft *r, struct raft_tail *tail,
		    struct err *err)
{
	struct store_row at;
	struct raft_status s;
	int rc;

	raft_status(r, &s);
	rc = store_scan(db, s.snapshot + 1, 0, load_one, r, &at, err);
	return rc ? rc : store_check_end(db, &at, tail, err);
}
