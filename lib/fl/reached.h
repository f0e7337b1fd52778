/* reached.h - how far a work has come that its file's owner goes on with after
 * it was killed: a number, in a file of its own.
 *
 * Not synced: after a power cut an older number may be there, or none. */
#ifndef FL_REACHED_H
#define FL_REACHED_H

#include <stdint.h>

#include "base/err.h"

/* 0 where there is no file, or an empty one. What is no number from 0 is
 * DATA_LOSS. */
int reached_read(const char *path, int64_t *n, struct err *err) MUST_CHECK;

int reached_write(const char *path, int64_t n, struct err *err) MUST_CHECK;

#endif
