/* mix.h - the arithmetic by which models are mixed: the same in a simulated
 * round and in a real exchange.
 *
 * An index is one of k, ascending; where index is NULL, it is 0 to k - 1.
 * Pure. */
#ifndef FL_MIX_H
#define FL_MIX_H

#include <stdint.h>

/* out[i] = x[index[i]] */
void mix_gather(const float *x, const uint32_t *index, uint32_t k, float *out);

/* x[index[i]] = values[i] */
void mix_scatter(float *x, const uint32_t *index, uint32_t k,
		 const float *values);

/* x[index[i]] += w (theirs[i] - mine[i]), where mine is what the other side
 * has of x. What one side gains the other loses, so the mean of both stays
 * however roughly they know each other; and with w = 1/2, where mine is what x
 * is, both end with the very same values. mine and theirs are apart from x. */
void mix_pull(float *x, const uint32_t *index, uint32_t k, float w,
	      const float *mine, const float *theirs);

/* Which k of n values differ most from what others know of them. Whatever is
 * not chosen stays in that difference (error feedback). */
void mix_choose(const float *x, const float *shared, uint32_t n, uint32_t k,
		uint32_t *index);

#endif
