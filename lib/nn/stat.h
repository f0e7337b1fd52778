/* stat.h - what the values of tensors are like, and how two differ; pure. */
#ifndef NN_STAT_H
#define NN_STAT_H

#include <stdbool.h>

#include "nn/tensors.h"

struct stat_values {
	double min, max, mean, l2; /* l2: the root of the sum of squares */
};

/* False for a tensor that is not float32 or has no values. */
bool stat_of(const struct tensor *t, struct stat_values *out);

struct stat_distance {
	double max_abs, l2;
};

/* Between two tensors that are alike (tensor_alike()); zero where they are not
 * float32. Returns whether any byte differs, so equal NaN do not. */
bool stat_differ(const struct tensor *a, const struct tensor *b,
		 struct stat_distance *out);

#endif
