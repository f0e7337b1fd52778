/* npy.h - arrays as numpy writes them, alone (.npy) or as the members of an
 * archive (.npz, by libzip).
 *
 * Read: versions 1.0 to 3.0, C order, little-endian floats of 4 and 8 bytes,
 * integers of 1 to 8, bools. Format: numpy.lib.format's documentation. */
#ifndef NN_NPY_H
#define NN_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { NPY_DIMS = 8 };
#define NPY_BYTES_MAX ((size_t)1 << 32)

struct npy {
	char kind; /* 'f', 'i', 'u', 'b' */
	int size;  /* of a value */
	int dims;
	int64_t dim[NPY_DIMS];
	size_t len; /* values */
	const void
		*data; /* in the bytes that it was read from; any alignment */
	size_t at;     /* of data in them, for messages */
};

/* Understand a file's bytes, called what in messages. Malformed is
 * INVALID_ARGUMENT with the byte; so is a hole, or a byte too many. */
int npy_decode(struct npy *a, const void *p, size_t len, const char *what,
	       struct err *err) MUST_CHECK;

/* The same of the first array, which more bytes may follow: of len bytes *used
 * are its. */
int npy_first(struct npy *a, const void *p, size_t len, const char *what,
	      size_t *used, struct err *err) MUST_CHECK;

/* Value i (below len), as exactly as a double has it. */
double npy_value(const struct npy *a, size_t i);

/* Write a float32 array to b, which has no limit. */
void npy_encode(struct buf *b, int dims, const int64_t *dim,
		const float *values);

#endif
