/* store_impl.h - what the files of store.h share. */
#ifndef RAFT_STORE_IMPL_H
#define RAFT_STORE_IMPL_H

#include "raft/store.h"

/* The checksum of the row of this index, or of the snapshot that ends there, or
 * 0. */
int store_hash(struct db *db, int64_t index, uint32_t *hash,
	       struct err *err) MUST_CHECK;

/* Store a piece that came in; when it is the last one *last is the snapshot's
 * last_hash. */
int store_piece(struct db *db, const struct raft_piece *p, uint32_t *last,
		struct err *err) MUST_CHECK;

#endif
