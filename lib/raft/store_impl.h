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

/* The configuration of the stored snapshot; empty without one. */
int store_image_conf(struct db *db, struct raft_conf *conf,
		     struct err *err) MUST_CHECK;

/* Whether the row of the columns of STORE_ROWS is what it was written as. */
#define STORE_ROWS                                                          \
	"SELECT idx, term, type, client, seq, data, config, crc, prev_hash" \
	" FROM log"
bool store_row_whole(sqlite3_stmt *s, struct raft_entry *e);

/* A checksum of the columns: that of the row, unless it is NULL. */
int store_check_crc(struct db *db, sqlite3_stmt *s, int column, uint32_t crc,
		    const char *what, struct err *err) MUST_CHECK;

#endif
