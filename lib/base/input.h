/* input.h - a whole file, or standard input, into memory, or line by line. */
#ifndef BASE_INPUT_H
#define BASE_INPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"

/* Append what path holds to out; "-" is standard input. A file that does not
 * exist is NOT_FOUND; more than out's limit RESOURCE_EXHAUSTED. */
int input_read(struct buf *out, const char *path, struct err *err) MUST_CHECK;

/* The next line of f, without its end, in place of what line held; the last may
 * have no end. *more is false at the end of the file, and after a failed read.
 * A line longer than line's limit is skipped and INVALID_ARGUMENT: what follows
 * it can be read. */
int input_line(struct buf *line, FILE *f, bool *more,
	       struct err *err) MUST_CHECK;

#endif
