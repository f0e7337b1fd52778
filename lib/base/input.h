/* input.h - a whole file, or standard input, into memory. */
#ifndef BASE_INPUT_H
#define BASE_INPUT_H

#include "base/buf.h"

/* Append what path holds to out; "-" is standard input. A file that does not
 * exist is NOT_FOUND; more than out's limit RESOURCE_EXHAUSTED. */
int input_read(struct buf *out, const char *path, struct err *err) MUST_CHECK;

#endif
