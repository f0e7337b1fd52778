#include "fl/topk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A float's magnitude as a number that sorts alike; NaN sorts first. */
static uint32_t rank(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	bits &= 0x7fffffffu;
	return isnan(x) ? 0 : bits;
}

enum { HALF = 1 << 16 };

/* The bucket of which the k-th largest is, and in *k its place there: one pass
 * over a histogram of 16 bits. */
static uint32_t bucket_of(const uint32_t *count, uint32_t *k)
{
	uint32_t b = HALF - 1;

	while (count[b] < *k)
		*k -= count[b--];
	return b;
}

/* The rank of the k-th largest, and in *k how many of that rank belong to it:
 * by the high half first, then by the low one. */
static uint32_t threshold(const float *x, uint32_t n, uint32_t *k)
{
	uint32_t *count = mem_zero(HALF, sizeof(*count));
	uint32_t high, low;

	for (uint32_t i = 0; i < n; i++)
		count[rank(x[i]) >> 16]++;
	high = bucket_of(count, k);
	memset(count, 0, HALF * sizeof(*count));
	for (uint32_t i = 0; i < n; i++)
		if (rank(x[i]) >> 16 == high)
			count[rank(x[i]) & (HALF - 1)]++;
	low = bucket_of(count, k);
	free(count);
	return high << 16 | low;
}

void topk_select(const float *x, uint32_t n, uint32_t k, uint32_t *out)
{
	uint32_t equal = k, least;

	if (!k)
		return;
	least = threshold(x, n, &equal);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t r = rank(x[i]);

		if (r > least || (r == least && equal))
			*out++ = i;
		if (r == least && equal)
			equal--;
	}
}

size_t topk_index_bytes(const uint32_t *index, uint32_t k)
{
	size_t bytes = 0;
	uint32_t before = 0;

	for (uint32_t i = 0; i < k; i++) {
		uint32_t step = index[i] - before;

		do
			bytes++;
		while (step >>= 7);
		before = index[i];
	}
	return bytes;
}
