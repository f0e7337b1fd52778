/* sparsify.h - masked parameters to bytes and back.
 *
 * On the wire a value is a little-endian float32; idx are the k ascending
 * indices of the round's mask (plan/mask.h). Pure. */
#ifndef FL_SPARSIFY_H
#define FL_SPARSIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* out[i] = x[idx[i]]; out has 4k bytes, of any alignment. */
void sparsify_gather(const float *x, const uint32_t *idx, uint32_t k,
		     void *out);

/* x[idx[i]] = (x[idx[i]] + in[i]) / 2, computed alike on both sides. */
void sparsify_average(float *x, const uint32_t *idx, uint32_t k,
		      const void *in);

/* Whether all k values at in are finite: no NaN, no infinity. */
bool sparsify_finite(const void *in, uint32_t k);

/* The same in bfloat16 (nn/bf16.h): out and in have 2k bytes. */
void sparsify_gather_bf16(const float *x, const uint32_t *idx, uint32_t k,
			  void *out);

/* x[idx[i]] += (in[i] - bf16(x[idx[i]])) / 2: what one side gains the other
 * loses, so the mean of both stays though they know each other's values only
 * roughly. */
void sparsify_average_bf16(float *x, const uint32_t *idx, uint32_t k,
			   const void *in);
bool sparsify_finite_bf16(const void *in, uint32_t k);

#endif
