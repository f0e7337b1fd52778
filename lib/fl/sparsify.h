/* sparsify.h - a model's values to bytes: little-endian float32. Pure. */
#ifndef FL_SPARSIFY_H
#define FL_SPARSIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* out[i] = x[idx[i]]; out has 4k bytes, of any alignment. */
void sparsify_gather(const float *x, const uint32_t *idx, uint32_t k,
		     void *out);

/* Whether all k values at in are finite: no NaN, no infinity. */
bool sparsify_finite(const void *in, uint32_t k);

#endif
