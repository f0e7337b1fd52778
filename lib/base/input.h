/* input.h - a whole file, or standard input, into memory, or line by line. */
#ifndef BASE_INPUT_H
#define BASE_INPUT_H

#include <stdbool.h>

#include "base/buf.h"

/* Append what path holds to out; "-" is standard input. A file that does not
 * exist is NOT_FOUND; more than out's limit RESOURCE_EXHAUSTED. */
int input_read(struct buf *out, const char *path, struct err *err) MUST_CHECK;

/* Lines of path, or with "-" of standard input. NOT_FOUND as above. */
struct input;
int input_open(struct input **out, const char *path, struct err *err) MUST_CHECK;
void input_close(struct input *in); /* NULL is nothing */

/* The next line, without its end, in place of what line held; the last may have
 * no end. *more is false at the end of the file, and after a failed read. A
 * line longer than line's limit is skipped and INVALID_ARGUMENT: what follows
 * it can be read. */
int input_line(struct input *in, struct buf *line, bool *more,
	       struct err *err) MUST_CHECK;

/* Would input_line() answer without waiting? For who does things by the batch
 * and has a person, or a slow program, at the other end. */
bool input_ready(struct input *in);

#endif
