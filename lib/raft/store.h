/* store.h - a member's log, hard state and identity in SQLite.
 *
 * Every row of the log carries a CRC-32C of itself that starts from the one of
 * the row before (prev_hash), so that neither a changed, a lost nor a foreign
 * row goes unnoticed: SQLite itself checks no content. The sqlite3 shell can
 * read it all:
 *
 *   hard_state (term, vote, commit_index, crc, last_index, last_term,
 *               last_hash, floor_index, floor_term)           one row
 *   log        (idx, term, type, client, seq, data, config, crc, prev_hash)
 *   meta       (cluster_id, node_id, instance_id, crc)        one row
 *   snapshot   (idx, term, config, last_hash, data, crc)      one row or none
 *   part       (at, idx, term, len, config, data, crc) of one that comes in
 *   conf       (idx, config, crc) the members once more, see store_conf.c
 *
 * A snapshot's bytes begin with the SHA-256 of the rest; its crc is of the
 * other columns. The first row after it has its last_hash as prev_hash. That
 * the log ends where it did end tells hard_state, which is written with each
 * entry; floor is raft_config's. A crc that is NULL is older than its column.
 *
 * What is damaged is DATA_LOSS and named: row and reason. raft_store_mend()
 * says what becomes of it. */
#ifndef RAFT_STORE_H
#define RAFT_STORE_H

#include <stdint.h>

#include "raft/raft.h"
#include "store/db.h"

/* Steps for schema_apply(). */
extern const char raft_store_schema[];
extern const char raft_snapshot_schema[];
extern const char raft_tail_schema[];
extern const char raft_conf_schema[];

/* Tables of which others can send again what is lost, up to a NULL: for
 * db_rebuild(). */
extern const char *const raft_store_partly[];

enum {
	RAFT_STORE_ID = 32, /* hex digits of cluster and instance ids */
	RAFT_STORE_IMAGE_MAX = 1 << 30, /* bytes of a snapshot */
};

/* Who this member is. Empty and 0 in a new file. */
struct raft_store_meta {
	char cluster_id[RAFT_STORE_ID + 1];
	char instance_id[RAFT_STORE_ID + 1];
	int64_t node_id;
};

int raft_store_meta(struct db *db, struct raft_store_meta *out,
		    struct err *err) MUST_CHECK;
int raft_store_set_meta(struct db *db, const struct raft_store_meta *meta,
			struct err *err) MUST_CHECK;

/* Where the log ends. */
struct raft_tail {
	int64_t index, term; /* of the last entry, or the snapshot's */
	uint32_t hash;       /* the checksum of its row */
	int64_t floor_index, floor_term; /* as raft_config has them */
};

/* Carry out what raft_next_write() gave, in the transaction that is open.
 * *tail is kept by the caller from raft_store_load() on. */
int raft_store_write(struct db *db, const struct raft_write *w,
		     struct raft_tail *tail, struct err *err) MUST_CHECK;

/* Fill term, vote, commit and floor of cfg, for raft_open(). */
int raft_store_hard_state(struct db *db, struct raft_config *cfg,
			  struct err *err) MUST_CHECK;

/* Call fn for the entries from index from to index to (0: the end), in order,
 * until it returns not 0, which is then returned; the entry is borrowed for
 * the call. A damaged row is DATA_LOSS naming file and index. *last, unless
 * NULL, is the last row's checksum, 0 without rows. */
typedef int raft_store_fn(const struct raft_entry *e, void *arg,
			  struct err *err);
int raft_store_each(struct db *db, int64_t from, int64_t to, raft_store_fn *fn,
		    void *arg, uint32_t *last, struct err *err) MUST_CHECK;

/* A snapshot, or the first bytes of one. */
struct raft_image {
	struct raft_snapshot of; /* index 0: none; owns conf */
	char *bytes;             /* got of them */
	int64_t got;
};

void raft_image_release(struct raft_image *image);

/* Make bytes of what p points at, of.len and got fit. */
void raft_image_fill(struct raft_image *image, const void *p, size_t len);

/* What raft_image_fill() was given. DATA_LOSS if it is not that any more. */
int raft_image_open(const struct raft_image *image, const void **p, size_t *len,
		    struct err *err) MUST_CHECK;

/* The stored snapshot, and what is stored of one that is coming in; all zero
 * if there is none. DATA_LOSS if it is damaged. raft_image_release() both. */
int raft_store_image(struct db *db, struct raft_image *out,
		     struct err *err) MUST_CHECK;
int raft_store_parts(struct db *db, struct raft_image *out,
		     struct err *err) MUST_CHECK;

/* The entry before which nothing need be stored: the snapshot's last, or all
 * zero. There is no floor in it. */
int raft_store_base(struct db *db, struct raft_tail *base,
		    struct err *err) MUST_CHECK;

/* Store our own snapshot, in the transaction that is open, and delete the
 * entries before first. */
int raft_store_put_image(struct db *db, const struct raft_image *image,
			 int64_t first, struct err *err) MUST_CHECK;

/* raft_load() every entry after the snapshot into r. DATA_LOSS too if the log
 * does not end where the hard state has it. */
int raft_store_load(struct db *db, struct raft *r, struct raft_tail *tail,
		    struct err *err) MUST_CHECK;

/* What raft_store_mend() gave up. */
struct raft_mended {
	struct err why;     /* the damage; code 0: there was none */
	bool unsound;       /* nothing, for SQLite itself finds fault with the
			     * tables that raft_store_partly names */
	bool alone;         /* nothing, for want of who could send it again */
	int64_t kept, last; /* entries after kept, up to last, are to come again
			     */
};

/* Find damage before raft_store_load() does, and give up what is damaged and
 * what rests on it: a row and all after it, with a snapshot everything. The
 * leader sends it again, and until then the floor keeps this member from harm
 * (lost.c). Rows that the snapshot stands for anyhow, and pieces of one that
 * comes in, are dropped without a word, and a damaged second copy of the
 * members is written anew. DATA_LOSS, and nothing was changed, if nobody would
 * send it: the hard state is damaged (of a vote that is lost no other knows);
 * with unsound set, the file has to be made anew first, see store/rebuild.h; or,
 * with alone set, the newest configuration that can be read has no other
 * voter than node_id, and others does not say that there is one. In a
 * transaction that is open, or one of its own. */
int raft_store_mend(struct db *db, int64_t node_id, bool others,
		    struct raft_mended *out, struct err *err) MUST_CHECK;

/* Go through all that is stored, and tell of the first damage; *last is the
 * index at which the log ends. Nothing is changed. */
int raft_store_check(struct db *db, int64_t *last, struct err *err) MUST_CHECK;

#endif
