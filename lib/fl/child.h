/* child.h - the process of a trainer that people bring themselves: for one
 * task, or serving many.
 *
 * It runs below gfl-guard, so it and all that it started end when a task is
 * given up and when we die. Calls block: they are for a worker thread, one at a
 * time; child_cancel() alone may come from another. */
#ifndef FL_CHILD_H
#define FL_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/command.h"
#include "base/err.h"
#include "fl/contract.h"

enum { CHILD_WORDS = 4096 }; /* bytes of its stderr that are kept */

struct child_opts {
	const char *command; /* cut into words and found on the PATH */
	bool serves;
	int64_t task_ms;  /* a task takes no longer */
	int64_t ready_ms; /* nor does it take longer until it serves */
	int64_t grace_ms; /* from TERM to KILL */
	const struct facts *always; /* in its environment; copied */
};

struct child;

/* Errors as of command_open(). Nothing runs yet. *out is freed by
 * child_close(), which ends what runs: its stdin is closed, and the grace later
 * it is killed. NULL is nothing. */
int child_open(struct child **out, const struct child_opts *opts,
	       struct err *err) MUST_CHECK;
void child_close(struct child *c);

/* Have it do a task; *said is what it printed, borrowed until the next call.
 * Where it serves, it is started first if it does not run, after a while if
 * that went wrong before. A status of 75 is UNAVAILABLE; 78, and a command that
 * cannot be run, FAILED_PRECONDITION; too late DEADLINE_EXCEEDED; any other
 * end, or an end without a result, ABORTED; else as contract_feed() has it.
 * After a failure nothing runs. */
int child_call(struct child *c, const struct facts *facts,
	       const struct contract **said, struct err *err) MUST_CHECK;

/* Start it, where it serves, so that the first task need not wait. */
void child_warm(struct child *c);

/* Nothing runs any more, in order: it has seen the end of its stdin. */
void child_rest(struct child *c);

/* What it said last on its stderr; valid until the next call. */
const char *child_words(const struct child *c);

/* From any thread: the call under way, and all later ones, end as CANCELLED;
 * with false, later ones work again. */
void child_cancel(struct child *c, bool cancelled);

#endif
