/* worker.h - one thread for slow work, fed by a bounded queue of messages.
 *
 * The loop's thread submits; work(arg) runs on the worker, done(arg) on the
 * loop's thread afterwards, in the order of submission. What arg points to
 * belongs to the worker in between. */
#ifndef BASE_WORKER_H
#define BASE_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct loop;
struct worker;

typedef void worker_fn(void *arg);

/* Start the thread, of this name (15 bytes show). At most max_jobs are
 * unfinished at a time. Does not keep loop_run() from returning while idle. */
int worker_open(struct worker **out, struct loop *loop, const char *name,
		size_t max_jobs, struct err *err) MUST_CHECK;

/* Group commit: whatever is queued when the worker looks becomes one batch;
 * begin(arg) and end(arg) run on the worker around it, and no done runs before
 * end has returned. To be called before the first submission. */
void worker_batch(struct worker *w, worker_fn *begin, worker_fn *end,
		  void *arg);

/* From now on a job that goes on for stuck_ms without worker_beat() is a bug
 * that nothing here can mend: it is logged, and the process aborts, to be
 * started anew by whoever looks after it. */
void worker_watch(struct worker *w, int64_t stuck_ms);

/* On a worker's thread: the job gets on. Elsewhere it does nothing. */
void worker_beat(void);

/* Queue a job; done may be NULL. RESOURCE_EXHAUSTED when max_jobs wait. */
int worker_submit(struct worker *w, worker_fn *work, worker_fn *done, void *arg,
		  struct err *err) MUST_CHECK;

/* Jobs submitted whose done has not run. */
size_t worker_pending(const struct worker *w);

/* Finish all jobs (waiting for them), run their done, end the thread. A done
 * may not submit to this worker any more by then. */
void worker_close(struct worker *w);

#endif
