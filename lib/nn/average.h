/* average.h - the mean of model files, added one at a time. */
#ifndef NN_AVERAGE_H
#define NN_AVERAGE_H

#include "base/err.h"
#include "nn/tensors.h"

struct average; /* sums, in double precision */

/* A mean that starts as ts, called what in messages, of which it keeps the
 * names and shapes; average_free() frees it. Tensors are float32, else
 * INVALID_ARGUMENT; but integers, which count something, stay the first's. */
int average_new(struct average **out, const struct tensors *ts,
		const char *what, struct err *err) MUST_CHECK;
void average_free(struct average *a);

/* Add a model with the same tensors; INVALID_ARGUMENT, and a unchanged, for
 * another. */
int average_add(struct average *a, const struct tensors *ts, const char *what,
		struct err *err) MUST_CHECK;

/* Add the model file at path (convert.h) to *mean, which the first one makes: NULL before.
 * On failure *mean stays as it was. */
int average_add_file(struct average **mean, const char *path,
		     struct err *err) MUST_CHECK;

/* Put the mean into *ts, which is empty, with the first's "model" and, as
 * "averaged", how many there were. */
void average_get(const struct average *a, struct tensors *ts);

#endif
