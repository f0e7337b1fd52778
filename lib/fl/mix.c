#include "fl/mix.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fl/topk.h"

enum { AHEAD = 64 };

void mix_gather(const float *x, const uint32_t *index, uint32_t k, float *out)
{
	if (!index)
		memcpy(out, x, k * sizeof(*out));
	for (uint32_t i = 0; i < k && index; i++)
		out[i] = x[index[i]];
}

void mix_scatter(float *x, const uint32_t *index, uint32_t k,
		 const float *values)
{
	if (!index)
		memcpy(x, values, k * sizeof(*x));
	for (uint32_t i = 0; i < k && index; i++)
		x[index[i]] = values[i];
}

/* First less, then more: half of a value is exact, so that what is left of x
 * is too, and the sum of halves is the same on both sides and never too large.
 */
static inline float pull(float x, float w, float mine, float theirs)
{
	return (x - w * mine) + w * theirs;
}

static void pull_all(float *restrict x, uint32_t n, float w,
		     const float *restrict mine, const float *restrict theirs)
{
	for (uint32_t i = 0; i < n; i++)
		x[i] = pull(x[i], w, mine[i], theirs[i]);
}

/* A store waits for its cache line in order, a prefetch does not. */
static void pull_some(float *x, const uint32_t *index, uint32_t k, float w,
		      const float *mine, const float *theirs)
{
	for (uint32_t i = 0; i < k; i++) {
		__builtin_prefetch(&x[index[k - i > AHEAD ? i + AHEAD : i]]);
		x[index[i]] = pull(x[index[i]], w, mine[i], theirs[i]);
	}
}

void mix_pull(float *x, const uint32_t *index, uint32_t k, float w,
	      const float *mine, const float *theirs)
{
	if (index)
		pull_some(x, index, k, w, mine, theirs);
	else
		pull_all(x, k, w, mine, theirs);
}

static void subtract(const float *restrict x, const float *restrict y,
		     uint32_t n, float *restrict out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = x[i] - y[i];
}

void mix_choose(const float *x, const float *shared, uint32_t n, uint32_t k,
		uint32_t *index)
{
	size_t room = 0;
	float *change = mem_grow(NULL, &room, n, sizeof(*change));

	subtract(x, shared, n, change);
	topk_select(change, n, k, index);
	free(change);
}
