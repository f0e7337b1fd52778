/* sampler.h - shuffled batches over a subset of the examples; pure.
 *
 * The order of an epoch depends on the seed and the epoch alone, so a place is
 * kept as two numbers (epoch, at) and found again by sampler_seek(). */
#ifndef NN_SAMPLER_H
#define NN_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

struct sampler {
	uint32_t *index; /* the subset */
	uint32_t *order; /* this epoch's order of it */
	size_t n;
	uint64_t seed;
	int64_t epoch; /* from 0 */
	size_t at;     /* examples of this epoch already given */
};

/* A sampler over a copy of n >= 1 indices; sampler_release() frees it. */
void sampler_init(struct sampler *s, const uint32_t *index, size_t n,
		  uint64_t seed);

/* The same over k <= n of them that the seed draws: of an epoch that will not
 * be finished no more is put in order than what is wanted of it. */
void sampler_init_some(struct sampler *s, const uint32_t *index, size_t n,
		       size_t k, uint64_t seed);
void sampler_release(struct sampler *s);

/* Go to a place; an at beyond the epoch's end is its end. */
void sampler_seek(struct sampler *s, int64_t epoch, size_t at);

/* The next up to batch examples, *n of them; the last batch of an epoch has
 * what is left. Valid until the next call. */
const uint32_t *sampler_next(struct sampler *s, int batch, int *n);

#endif
