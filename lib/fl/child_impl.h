/* child_impl.h - what the files of the child share: its tasks in child.c, how it
 * begins in child_start.c, what it says in child_hear.c. */
#ifndef FL_CHILD_IMPL_H
#define FL_CHILD_IMPL_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/said.h"
#include "fl/child.h"
#include "wire/backoff.h"

enum { CHILD_POLL_MS = 1000 }; /* then the worker's watch learns that we wait */

struct child {
	struct child_opts opts;
	struct facts always;
	struct command *command;
	int cancelled;                      /* an eventfd */
	pid_t pid;                          /* of the guard; 0: nothing runs */
	int pidfd, in, out, said, lifeline; /* -1: closed */
	bool ended;
	struct contract contract;
	struct buf task;  /* not yet written to it */
	struct buf words; /* the end of its stderr */
	struct said logged;
	int failures; /* in a row */
	struct backoff backoff;
	struct rand chance;
};

/* child_start.c */
/* Start it, with facts, unless they are NULL, in its environment. */
int child_start(struct child *c, const struct facts *facts,
		struct err *err) MUST_CHECK;
void child_shut(int *fd);             /* close, unless it is */
void child_shut_all(struct child *c); /* after its end: nothing runs */

/* child_hear.c */
/* Wait until something comes, but no longer than until, and take it. limit_ms
 * and what, " to do this", say in the error what took too long. */
int child_hear(struct child *c, int64_t until, const char *what,
	       int64_t limit_ms, struct err *err) MUST_CHECK;
int child_hear_out(struct child *c, struct err *err) MUST_CHECK; /* the rest */
bool child_hear_said(struct child *c); /* what is there; false: its end */

#endif
