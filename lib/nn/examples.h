/* examples.h - labelled examples in memory, read from a file that is no IDX;
 * and their packed form, which is cached and mapped.
 *
 * Values are bytes or floats. A packed file has a head of 64 bytes, the
 * labels, and the values from the next multiple of 64 on. It is made for this
 * machine and is no format to exchange. */
#ifndef NN_EXAMPLES_H
#define NN_EXAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "nn/layer.h"

enum { EXAMPLES_LABELS = 256 };
#define EXAMPLES_BYTES_MAX ((size_t)1 << 32)

struct examples {
	size_t count;
	struct shape shape;
	uint8_t *labels;
	float *values;   /* count times the shape, */
	uint8_t *pixels; /* or these; the other is NULL */
};

void examples_release(struct examples *e);

/* A label as a file may write it: a whole number from 0 to 255; -1 if v is
 * none. */
int examples_label(double v);

/* Write the packed form, as one step. */
int examples_save(const struct examples *e, const char *path,
		  struct err *err) MUST_CHECK;

/* What a mapping is the packed form of: *e points into it. Anything else is
 * false, so a damaged cache is made anew. */
bool examples_in_map(struct examples *e, const void *map, size_t len);

#endif
