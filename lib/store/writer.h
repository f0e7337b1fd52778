/* writer.h - the one thread that writes a daemon's database.
 *
 * Jobs are posted by the loop's thread and run in that order, each in a
 * transaction; all that is posted while one transaction commits becomes the
 * next (group commit), so one sync is paid by many. Whatever may be seen only
 * once it is durable belongs into done. */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include <stddef.h>

#include "base/loop.h"
#include "store/db.h"

struct writer;

/* Do the work on the writer's thread, inside a transaction: no BEGIN, no
 * COMMIT. An error undoes this job alone, unless SQLite could not write (see
 * below). */
typedef int writer_fn(struct db *db, void *arg, struct err *err);

/* On the loop's thread, after the commit, in the order of posting. err is NULL
 * when the job is durable. */
typedef void writer_done_fn(const struct err *err, void *arg);

/* Start the thread. db is borrowed, and for the writer alone until
 * writer_close(); at most max_jobs wait at a time. */
int writer_open(struct writer **out, struct loop *loop, struct db *db,
		size_t max_jobs, struct err *err) MUST_CHECK;

/* Queue a job; what arg points to is the writer's until done, which may be
 * NULL. RESOURCE_EXHAUSTED when max_jobs wait.
 *
 * After a failed write or commit (I/O error, full disk, damage) it is not known
 * what the disk has: the jobs of that transaction and every later one fail with
 * that first error. The daemon stops, and recovery decides. */
int writer_post(struct writer *w, writer_fn *apply, writer_done_fn *done,
		void *arg, struct err *err) MUST_CHECK;

/* The first failed write, or NULL: what the daemon exits with. */
const struct err *writer_failed(const struct writer *w);

size_t writer_pending(const struct writer *w);  /* jobs whose done is to run */
int64_t writer_commits(const struct writer *w); /* transactions so far */

/* Finish what is queued (waiting for it), run its done, end the thread. A done
 * may not post any more by then. NULL is nothing. */
void writer_close(struct writer *w);

#endif
