/* lines.h - the lines of a file, or of standard input, read by a thread of
 * their own: as many at a time as are there, and never so many that they are
 * more than one request. */
#ifndef TASK_LINES_H
#define TASK_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"

struct lines;

/* A line without its end, or why it cannot be had: text is NULL then. */
struct lines_one {
	const char *text;
	size_t len;
	const struct err *bad;
};

/* came(arg) runs on the loop when there are lines, or no more. A line of more
 * than longest bytes is a bad one. Both are borrowed. */
int lines_open(struct lines **out, struct loop *loop, const char *path,
	       size_t longest, loop_fn *came, void *arg,
	       struct err *err) MUST_CHECK;

/* The next one of those that have come, until the one after it is asked for;
 * false: none has. */
bool lines_next(struct lines *l, struct lines_one *out) MUST_CHECK;

/* Read on, if all that came has been taken. */
int lines_read_on(struct lines *l, struct err *err) MUST_CHECK;

/* All were taken, and there are no more. */
bool lines_ended(const struct lines *l);

/* False: the thread waits for a line that does not come, and everything it may
 * touch has to stay until the process ends. NULL is nothing. */
bool lines_close(struct lines *l) MUST_CHECK;

#endif
