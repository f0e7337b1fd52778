/* prune.h - keep the values of a model that matter most. */
#ifndef NN_PRUNE_H
#define NN_PRUNE_H

#include <stddef.h>

#include "base/err.h"
#include "base/out.h"
#include "nn/tensors.h"

/* What was kept: values, and of their sizes the root of the sum of squares
 * beside that of all. */
struct prune {
	size_t values, kept;
	double l2_kept, l2;
};

/* Of all float32 values of ts the share keep (0..1, rounded up) that is largest
 * by size stays; of equal ones the first. The others become zero. Where base is
 * not NULL sizes are of the differences from it, and the others become base's;
 * INVALID_ARGUMENT if its tensors are not those of ts. */
int prune_tensors(struct tensors *ts, const struct tensors *base, double keep,
		  struct prune *done, struct err *err) MUST_CHECK;

/* The same from a model file to another (convert.h); base may be NULL. Prints
 * what was kept, as a record. */
struct prune_files {
	const char *from, *base, *to;
	double keep;
};
int prune_files(const struct out_opts *opts, const struct prune_files *f,
		struct err *err) MUST_CHECK;

#endif
