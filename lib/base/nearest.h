/* nearest.h - which known name was probably meant by a mistyped one. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *name; /* borrowed */
	const char *best; /* borrowed; NULL while nothing is near */
	size_t distance;
};

struct nearest nearest_to(const char *name);

/* Keep candidate if it is nearer than those before, and near at all: within
 * a third of the letters. */
void nearest_offer(struct nearest *n, const char *candidate);

#endif
