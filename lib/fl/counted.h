/* counted.h - which updates a model has: the ids of the newest, so that one
 * that comes again, perhaps to another server, counts once. */
#ifndef FL_COUNTED_H
#define FL_COUNTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/tensors.h"

enum { COUNTED_MAX = 4096 }; /* older ones are forgotten */

struct counted {
	uint64_t id[COUNTED_MAX]; /* a ring */
	size_t n;                 /* added since the start */
};

bool counted_has(const struct counted *c, uint64_t id);
void counted_add(struct counted *c, uint64_t id);

/* Among the tensors of the model's state; none there is an empty one. */
void counted_save(const struct counted *c, struct tensors *ts);
int counted_restore(struct counted *c, const struct tensors *ts,
		    const char *what, struct err *err) MUST_CHECK;

#endif
