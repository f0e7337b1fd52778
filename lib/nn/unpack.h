/* unpack.h - a whole file in memory, gunzipped where it is gzipped. */
#ifndef NN_UNPACK_H
#define NN_UNPACK_H

#include <stddef.h>

#include "base/err.h"

/* The bytes and a NUL behind them, which the caller frees. What is not a
 * regular file, has more than max bytes or a fault in its gzip form is
 * INVALID_ARGUMENT with path and byte. */
int unpack_read(char **out, size_t *len, const char *path, size_t max,
		struct err *err) MUST_CHECK;

#endif
