#include "fl/topk.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { INFINITE = 0x7f800000, HALF = 1 << 16 };

/* A float's magnitude as a number that sorts alike; NaN sorts first. */
static uint32_t rank(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	bits &= 0x7fffffffu;
	return bits > INFINITE ? 0 : bits;
}

/* The bucket of which the k-th largest is, and in *k its place there: one pass
 * over a histogram of 16 bits. */
static uint32_t bucket_of(const uint32_t *count, uint32_t *k)
{
	uint32_t b = HALF - 1;

	while (count[b] < *k)
		*k -= count[b--];
	return b;
}

/* Of a histogram, counted by turns in two tables: of equal values in a row each
 * would wait for the one before. */
static uint32_t bucket_of_both(uint32_t count[2][HALF], uint32_t *k)
{
	for (uint32_t b = 0; b < HALF; b++)
		count[0][b] += count[1][b];
	return bucket_of(count[0], k);
}

/* The rank of the k-th largest, and in *k how many of that rank belong to it:
 * by the high half first, then by the low one. */
static uint32_t threshold(const float *x, uint32_t n, uint32_t *k)
{
	uint32_t(*count)[HALF] = mem_zero(2, sizeof(*count));
	uint32_t high, low;

	for (uint32_t i = 0; i < n; i++)
		count[i % 2][rank(x[i]) >> 16]++;
	high = bucket_of_both(count, k);
	memset(count, 0, 2 * sizeof(*count));
	for (uint32_t i = 0; i < n; i++)
		if (rank(x[i]) >> 16 == high)
			count[i % 2][rank(x[i]) & (HALF - 1)]++;
	low = bucket_of_both(count, k);
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

		if (r < least || (r == least && !equal))
			continue;
		*out++ = i;
		equal -= r == least;
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
