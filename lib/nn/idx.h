/* idx.h - IDX files of unsigned bytes, plain or gzipped: one array of 1 to 4
 * dimensions, the form of MNIST and its kin.
 *
 * A gzipped file is unpacked once into a cache (folder gfl of
 * $XDG_CACHE_HOME, else of ~/.cache) and mapped from there, so that the
 * processes of a machine share its pages; without a cache that can be written
 * it is unpacked into private memory. */
#ifndef NN_IDX_H
#define NN_IDX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { IDX_DIMS = 4 };
#define IDX_BYTES_MAX ((size_t)1 << 32)

struct idx {
	int dims;
	uint32_t dim[IDX_DIMS];
	const uint8_t *p; /* the array, len bytes: the product of dim */
	size_t len;
	size_t at; /* of the array in the (unpacked) file, for messages */
	void *map; /* what idx_close() unmaps */
	size_t map_len;
};

/* Open and check magic, dimensions, length and gzip's own checksum. A file that
 * is malformed is INVALID_ARGUMENT with path, byte and what was expected. */
int idx_open(struct idx *idx, const char *path, struct err *err) MUST_CHECK;
void idx_close(struct idx *idx);

#endif
