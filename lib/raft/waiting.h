/* waiting.h - proposals and reads that wait for their answer. */
#ifndef RAFT_WAITING_H
#define RAFT_WAITING_H

#include <stdbool.h>
#include <stdint.h>

#include "raft/driver.h"

struct waiting;

struct waiting *waiting_new(void);
void waiting_free(struct waiting *w); /* answers nobody */

/* The entry that p, proposed at index, is to be answered when that index is
 * applied. */
void waiting_add(struct waiting *w, int64_t index, int64_t term,
		 const struct driver_proposal *p, driver_done_fn *done,
		 void *arg);

/* The entry at index (of result's first one, if it is a repetition) was
 * applied in that term, or err says why not. True if it was proposed here and
 * is patient. */
bool waiting_applied(struct waiting *w, int64_t index, int64_t term,
		     const struct err *err, const struct driver_result *result);

/* An answer that is known already, for waiting_answer_known(). */
void waiting_known(struct waiting *w, const struct err *err,
		   const struct driver_result *result, driver_done_fn *done,
		   void *arg);
void waiting_answer_known(struct waiting *w);

/* A read, by the name that it returns. */
int64_t waiting_read(struct waiting *w, driver_read_fn *done, void *arg);
void waiting_read_undo(struct waiting *w, int64_t ctx);
void waiting_read_done(struct waiting *w, int64_t ctx, const struct err *err);

/* Leadership is lost: all that is under way has an unknown outcome, but what
 * was committed, entries up to an index: that will be applied here yet. */
void waiting_lost(struct waiting *w, int64_t committed, const char *why);

#endif
