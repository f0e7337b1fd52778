/* aggregate_robust.c - centres of each value by itself, from sorted columns. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fl/aggregate_impl.h"
#include "nn/vector.h"

#define INLINE static inline __attribute__((always_inline))

/* Of two rows, the lesser values come first. */
INLINE void exchange(float *restrict low, float *restrict high)
{
	for (int i = 0; i < VECTOR_BLOCK; i++) {
		const float a = low[i], b = high[i];

		low[i] = a < b ? a : b;
		high[i] = a < b ? b : a;
	}
}

/* Sort every column of n rows at once: what is compared with what does not
 * depend on the values (Knuth, The Art of Computer Programming 3, 5.2.2,
 * algorithm M; Batcher's merge exchange). */
VECTOR static void sort_columns(float (*row)[VECTOR_BLOCK], size_t n)
{
	size_t top = 1;

	while (top < n)
		top *= 2;
	for (size_t p = top / 2; p > 0; p /= 2) {
		size_t d = p, r = 0;

		for (size_t q = top / 2;; q /= 2) {
			for (size_t i = 0; i + d < n; i++)
				if ((i & p) == r)
					exchange(row[i], row[i + d]);
			if (q == p)
				break;
			d = q - p;
			r = p;
		}
	}
}

/* The mean of the sorted rows without cut at either end. */
static void mean_between(float (*row)[VECTOR_BLOCK], size_t n, size_t cut,
			 double *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = 0;
	for (size_t k = cut; k < n - cut; k++)
		for (size_t i = 0; i < len; i++)
			out[i] += (double)row[k][i];
	for (size_t i = 0; i < len; i++)
		out[i] /= (double)(n - 2 * cut);
}

static void cut_ends(struct aggregate *a, size_t cut)
{
	float(*row)[VECTOR_BLOCK] = mem_zero(a->count, sizeof(*row));

	for (size_t at = 0; at < a->n; at += VECTOR_BLOCK) {
		const size_t len =
			a->n - at < VECTOR_BLOCK ? a->n - at : VECTOR_BLOCK;

		for (size_t k = 0; k < a->count; k++)
			memcpy(row[k], a->row[k] + at, len * sizeof(float));
		sort_columns(row, a->count);
		mean_between(row, a->count, cut, a->sum + at, len);
	}
	free(row);
}

/* Of an even number the mean of the two in the middle. */
void aggregate_median(struct aggregate *a)
{
	cut_ends(a, (a->count - 1) / 2);
}

void aggregate_trimmed(struct aggregate *a)
{
	cut_ends(a, (size_t)(a->o.trim * (double)a->count + 1e-9));
}
