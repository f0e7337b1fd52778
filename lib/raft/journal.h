/* journal.h - the core's writes on their way to the writer's thread. */
#ifndef RAFT_JOURNAL_H
#define RAFT_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "raft/store.h"
#include "store/writer.h"

struct journal;

struct journal_config {
	struct writer *writer;
	struct raft_tail tail; /* of raft_store_load() */

	/* All writes up to seq are durable; or err, once, and none after. */
	void (*on_written)(int64_t seq, void *arg);
	void (*on_failed)(const struct err *err, void *arg);
	void *arg;
};

struct journal *journal_new(const struct journal_config *cfg);

/* Callbacks run no more; what is queued is written all the same. NULL is
 * nothing. */
void journal_free(struct journal *j);

/* Whether there is room for a write. Otherwise take none from the core: they
 * become one, when on_written() has told of an earlier one. */
bool journal_room(const struct journal *j);

/* Store a copy of w. */
void journal_write(struct journal *j, const struct raft_write *w);

/* Post what the writer's full queue refused; false if some is left. */
bool journal_retry(struct journal *j);

#endif
