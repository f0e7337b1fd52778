/* process.h - a command that runs beside the loop, bounded in time and output;
 * what it started ends with it.
 *
 * A command that guard_command() has seen runs below gfl-guard: then it ends
 * with us also if we are killed, and with it what left its group. Any other is
 * to be short, as that takes 0.7 ms of CPU, or nobody's but ours.
 *
 * It has a session and a group of its own, none of our descriptors, no way to
 * gain privileges, and of our environment only what names the user, the place
 * and the language, unless it does work of its own; stdin is a file in memory.
 * Or it is for a person: then it shares our terminal, standard streams and
 * environment. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/command.h"
#include "base/loop.h"

struct process;

struct process_opts {
	const struct facts *facts;
	const void *input;
	size_t len;
	int64_t timeout_ms; /* then TERM; 0: never */
	int64_t grace_ms;   /* from TERM to KILL */
	size_t out_max;     /* more on stdout is a failure, and its end */
	bool works;         /* it has what command_allow_work() takes */
	bool logged;        /* so is what it says on stderr */
	bool shared;        /* for a person, see above: no input, no out_max */
	bool no_stdin;      /* of that: /dev/null instead of ours */
};

/* err is NULL when it exited with 0, else as command_verdict() has it, with the
 * end of its stderr, or DEADLINE_EXCEEDED. out is its stdout, borrowed. The
 * process is gone afterwards. */
typedef void process_done_fn(const struct err *err, const char *out, size_t len,
			     void *arg);

/* Start it; everything is borrowed for the call but c, until done has run. The
 * calling thread, and what it starts later, can gain no privileges any more,
 * unless it is shared. Fails as execve() does. */
int process_start(struct process **out, struct loop *loop,
		  const struct command *c, const struct process_opts *opts,
		  process_done_fn *done, void *arg, struct err *err) MUST_CHECK;

/* The end of its stderr, at most 4 KiB, or ""; within done. */
const char *process_said(const struct process *p);

/* TERM now, and KILL after the grace; done runs when it has ended. */
void process_stop(struct process *p);

/* KILL, and forget it: done does not run. Under a guard, that gives it TERM and,
 * after the grace, KILL. NULL is nothing. */
void process_drop(struct process *p);

#endif
