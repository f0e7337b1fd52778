/* index.h - index files: which examples of a data set are someone's.
 *
 * Text, one number from 0 a line; "#" begins a comment. The first line that
 * gfl-data writes, "# gfl-index of=60000 count=15000", is checked where it is
 * there, so a file cut short is found. */
#ifndef NN_INDEX_H
#define NN_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct index {
	uint32_t *i; /* the caller's, freed by index_release() */
	size_t n;
};

/* Read a file for a data set of `of` examples. A number that is none or not
 * below `of`, no number at all, or a first line that disagrees is
 * INVALID_ARGUMENT with path and line. */
int index_read(struct index *ix, const char *path, size_t of,
	       struct err *err) MUST_CHECK;
void index_release(struct index *ix);

/* Write a file, as one step. */
int index_write(const char *path, const uint32_t *i, size_t n, size_t of,
		struct err *err) MUST_CHECK;

/* All of a data set: 0..n-1. */
void index_all(struct index *ix, size_t n);

#endif
