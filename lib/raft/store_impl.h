/* store_impl.h - what the files of store.h share. */
#ifndef RAFT_STORE_IMPL_H
#define RAFT_STORE_IMPL_H

#include "raft/store.h"

/* The log ends with this index: the row of it, or the snapshot that ends there,
 * or nothing. The floor stays. */
int store_end_at(struct db *db, int64_t index, struct raft_tail *tail,
		 struct err *err) MUST_CHECK;

/* Store a piece that came in; with the last one the log ends where it does. */
int store_piece(struct db *db, const struct raft_piece *p,
		struct raft_tail *tail, struct err *err) MUST_CHECK;

/* Write the hard state, and in it where the log ends. */
int store_hard_state(struct db *db, const struct raft_write *w,
		     struct raft_tail *tail, struct err *err) MUST_CHECK;

/* Where the hard state has the end of the log; *known: it says so. */
int store_tail(struct db *db, struct raft_tail *tail, bool *known,
	       struct err *err) MUST_CHECK;

/* The row that was read before, or the snapshot. */
struct store_row {
	int64_t index, term;
	uint32_t hash;
	bool known; /* the hash */
};

/* raft_store_each(), which leaves in *at the last row, or the damaged one. */
int store_scan(struct db *db, int64_t from, int64_t to, raft_store_fn *fn,
	       void *arg, struct store_row *at, struct err *err) MUST_CHECK;

/* Whether the log, of which *at is the last row, ends where the hard state has
 * it; *tail is then complete. */
int store_check_end(struct db *db, const struct store_row *at,
		    struct raft_tail *tail, struct err *err) MUST_CHECK;

/* A statement whose one parameter is an index. */
int store_run(struct db *db, const char *sql, int64_t index,
	      struct err *err) MUST_CHECK;

/* A configuration, and the entry from which it is; index 0: none. */
struct store_conf {
	int64_t index;
	struct raft_conf conf;
};

/* These bytes are one that is whole: the newest so far stays in *to. */
void store_conf_take(struct store_conf *to, int64_t index, const void *p,
		     size_t len);

/* The stored snapshot's, likewise. */
int store_image_conf(struct db *db, struct store_conf *to,
		     struct err *err) MUST_CHECK;

/* The second copies, likewise; *damaged: the index of one that is, or 0. */
int store_conf_newest(struct db *db, struct store_conf *to, int64_t *damaged,
		      struct err *err) MUST_CHECK;

/* The second copies, along with the entry at index, with the end of the log
 * before the entry from, and with the snapshot. */
int store_conf_add(struct db *db, int64_t index, const void *conf, size_t len,
		   struct err *err) MUST_CHECK;
int store_conf_cut(struct db *db, int64_t from, struct err *err) MUST_CHECK;
int store_conf_base(struct db *db, const struct raft_snapshot *of,
		    struct err *err) MUST_CHECK;

/* DATA_LOSS if one of them is damaged. */
int store_conf_check(struct db *db, struct err *err) MUST_CHECK;

/* Whether the row of the columns of STORE_ROWS is what it was written as. */
#define STORE_ROWS                                                          \
	"SELECT idx, term, type, client, seq, data, config, crc, prev_hash" \
	" FROM log"
bool store_row_whole(sqlite3_stmt *s, struct raft_entry *e);

/* Give the snapshot's row the checksum that it has not, as of an older file. */
int store_sum_image(struct db *db, struct err *err) MUST_CHECK;

/* A checksum of the columns: that of the row, or that is NULL and older. */
int store_check_crc(struct db *db, sqlite3_stmt *s, int column, uint32_t crc,
		    const char *what, struct err *err) MUST_CHECK;

#endif
