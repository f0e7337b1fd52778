/* child_impl.h - what child.c and child_start.c share. */
#ifndef FL_CHILD_IMPL_H
#define FL_CHILD_IMPL_H

#include <sys/types.h>

#include "base/buf.h"
#include "fl/child.h"
#include "wire/backoff.h"

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
	struct buf line;  /* of it, for the log */
	int logged;
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

#endif
