/* snapshot.h - all that a server of rounds (hub.h) needs to go on: its newest
 * model with what the rule keeps and the round that made it, as the bytes of a
 * safetensors file; in its SQLite file, and on the way to another server's.
 *
 * A state is named by the Raft term in which it was made, and its version. Of
 * two the newer one has the higher term, or in the same term the higher
 * version. */
#ifndef FL_SNAPSHOT_H
#define FL_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "nn/tensors.h"
#include "store/db.h"
#include "wire/tensor.h"

struct snapshot {
	int64_t term, version;
	char *bytes;
	struct tensor_info info;
	int users; /* streams, and who keeps it; the loop's thread counts */
};

/* The tables of a server's file. */
int snapshot_schema(struct db *db, struct err *err) MUST_CHECK;

/* The model's bytes in the file; none is an empty buf. Writing is for the
 * writer, in its transaction. */
int snapshot_read_bytes(struct db *db, struct buf *b,
			struct err *err) MUST_CHECK;
int snapshot_write_bytes(struct db *db, const struct buf *b,
			 struct err *err) MUST_CHECK;

/* Takes b, which is such a file. The caller is its first user. */
struct snapshot *snapshot_take(struct buf *b, int64_t term, int64_t version,
			       const char *layout);

/* What the file has; *out is NULL if that is nothing. Damaged is DATA_LOSS. */
int snapshot_read(struct snapshot **out, struct db *db, const char *layout,
		  struct err *err) MUST_CHECK;

/* Of a peer: what the bytes say of themselves. Malformed is INVALID_ARGUMENT. */
int snapshot_check(struct snapshot *s, const char *what,
		   struct err *err) MUST_CHECK;

/* Put it in place of the model, and of the rounds from its own on; in the
 * writer's transaction. */
int snapshot_write(struct db *db, const struct snapshot *s,
		   struct err *err) MUST_CHECK;

bool snapshot_is(const struct snapshot *s, int64_t term, int64_t version);
bool snapshot_older(const struct snapshot *s, int64_t term, int64_t version);
void snapshot_drop(struct snapshot *s); /* one user less; NULL is nothing */

/* Answer a PullState with it, from offset on if the sum is its own. over(arg)
 * runs once the stream has ended, in whatever way, if there is one. */
void snapshot_give(struct snapshot *s, struct call *call, uint64_t offset,
		   const char *sha256, void (*over)(void *arg), void *arg);

#endif
