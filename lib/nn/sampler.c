#include "nn/sampler.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"

void sampler_init(struct sampler *s, const uint32_t *index, size_t n,
		  uint64_t seed)
{
	*s = (struct sampler){.n = n, .seed = seed};
	s->index = mem_dup(index, n * sizeof(*index));
	s->order = mem_zero(n, sizeof(*s->order));
	sampler_seek(s, 0, 0);
}

/* Floyd's algorithm (Bentley, Floyd 1987): each set of k is as likely. */
static void draw(const uint32_t *index, size_t n, size_t k, struct rand *r,
		 uint32_t *out)
{
	uint64_t *drawn = mem_zero(n / 64 + 1, sizeof(*drawn));

	for (size_t last = n - k; last < n; last++) {
		size_t i = rand_below(r, last + 1);

		if (drawn[i / 64] >> i % 64 & 1)
			i = last;
		drawn[i / 64] |= (uint64_t)1 << i % 64;
		*out++ = index[i];
	}
	free(drawn);
}

void sampler_init_some(struct sampler *s, const uint32_t *index, size_t n,
		       size_t k, uint64_t seed)
{
	struct rand r = {rand_mix(seed)};
	uint32_t *some = mem_zero(k, sizeof(*some));

	draw(index, n, k, &r, some);
	sampler_init(s, some, k, seed);
	free(some);
}

void sampler_release(struct sampler *s)
{
	free(s->index);
	free(s->order);
	*s = (struct sampler){0};
}

/* Fisher-Yates from the subset's own order. */
static void shuffle(struct sampler *s)
{
	struct rand r = {rand_mix(s->seed ^ rand_mix((uint64_t)s->epoch + 1))};

	memcpy(s->order, s->index, s->n * sizeof(*s->order));
	for (size_t i = s->n - 1; i > 0; i--) {
		size_t j = rand_below(&r, i + 1);
		uint32_t other = s->order[j];

		s->order[j] = s->order[i];
		s->order[i] = other;
	}
}

void sampler_seek(struct sampler *s, int64_t epoch, size_t at)
{
	s->epoch = epoch;
	s->at = at < s->n ? at : s->n;
	shuffle(s);
}

const uint32_t *sampler_next(struct sampler *s, int batch, int *n)
{
	const uint32_t *from;

	if (s->at == s->n)
		sampler_seek(s, s->epoch + 1, 0);
	from = s->order + s->at;
	*n = s->n - s->at < (size_t)batch ? (int)(s->n - s->at) : batch;
	s->at += (size_t)*n;
	return from;
}
