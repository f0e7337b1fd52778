/* logfile.h - a node's log from its database, for when the node cannot be
 * asked: it is stopped, or it is the one in question. */
#ifndef NODE_LOGFILE_H
#define NODE_LOGFILE_H

#include <stdint.h>

#include "base/err.h"
#include "proto/node.pb-c.h"

/* Call fn for each entry from index from (0: the first) to index to (0: the
 * last) of the database at path that the node knew to be committed, in order;
 * the entry is borrowed for the call. A running node may have committed more
 * than its disk knows. Nothing is changed, and the node may run.
 *   NOT_FOUND            no such file
 *   FAILED_PRECONDITION  of another kind, or of another version of gfl
 *   DATA_LOSS            damaged; entries before the damage were given */
typedef void logfile_fn(const Gfl__V1__LogEntry *e, void *arg);
int logfile_each(const char *path, int64_t from, int64_t to, logfile_fn *fn,
		 void *arg, struct err *err) MUST_CHECK;

#endif
