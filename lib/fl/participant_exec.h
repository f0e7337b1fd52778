/* participant_exec.h - a participant that is a user's command: each instruction
 * runs it, with the arrays on its standard input as an archive of numpy's
 * (.npz: arr_0, arr_1 ...), and what it prints, arrays as theta.h has them, is
 * the answer.
 *
 * It has GFL_ARRAYS (how many) and GFL_COORDINATOR (the URL) in its
 * environment. Any exit status but 0 tells the coordinator that it failed, with
 * the last line of its standard error. When the coordinator is lost it is
 * ended, as nobody waits for its answer. */
#ifndef FL_PARTICIPANT_EXEC_H
#define FL_PARTICIPANT_EXEC_H

#include "base/command.h"
#include "fl/participant.h"

struct participant_exec;

struct participant_exec_opts {
	struct participant_opts participant;
	const struct command *command; /* borrowed */
	int64_t timeout_ms;            /* of the command; 0: any time */
	int64_t grace_ms;              /* from TERM to KILL; 0: 5 s */
	size_t max_bytes;              /* that it may print; 0: 64 MiB */
};

/* over(err, arg) once, never within participant_exec_...(): the work is done
 * (err NULL), or it can never be ours. */
typedef void participant_over_fn(const struct err *err, void *arg);
struct participant_exec *
participant_exec_open(struct loop *loop,
		      const struct participant_exec_opts *opts,
		      participant_over_fn *over, void *arg);

/* Take no more instructions; over(NULL) when that at hand is answered. */
void participant_exec_stop(struct participant_exec *x);

/* NULL is nothing. */
void participant_exec_close(struct participant_exec *x);

#endif
