/* lock.h - one process at a time owns a file or directory.
 *
 * A POSIX record lock on a file of its own, PATH.lock: the kernel drops it when
 * the process ends, however it ends, and tells who holds it. It belongs to the
 * process, not to the descriptor: nobody may open and close PATH.lock of a lock
 * that this process holds (that would drop it), and a child has it not. */
#ifndef STORE_LOCK_H
#define STORE_LOCK_H

#include "base/err.h"

struct lock;

/* Take the lock for path. RESOURCE_EXHAUSTED names the process that has it, or
 * a directory that cannot be written; NOT_FOUND a directory that is missing.
 * *out is freed by lock_close(). */
int lock_open(struct lock **out, const char *path, struct err *err) MUST_CHECK;

/* Give it back; the empty PATH.lock stays, since removing it would race with
 * whoever is about to lock it. NULL is nothing. */
void lock_close(struct lock *l);

#endif
