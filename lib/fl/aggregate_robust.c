/* aggregate_robust.c - centres of each value by itself, from sorted columns. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fl/aggregate_impl.h"
#include "nn/vector.h"

#define INLINE static inline __attribute__((always_inline))

/* A block of columns as integers in the order of the floats that they are: those
 * compare and move without a branch. */
struct block {
	int32_t x[VECTOR_BLOCK];
};

INLINE int32_t swap_order(int32_t x)
{
	return x ^ (int32_t)((uint32_t)(x >> 31) >> 1);
}

VECTOR static void to_order(struct block *b)
{
	for (int i = 0; i < VECTOR_BLOCK; i++)
		b->x[i] = swap_order(b->x[i]);
}

/* Of two rows, the lesser values come first. */
INLINE void exchange(struct block *restrict low, struct block *restrict high)
{
	for (int i = 0; i < VECTOR_BLOCK; i++) {
		const int32_t a = low->x[i], b = high->x[i];

		low->x[i] = a < b ? a : b;
		high->x[i] = a < b ? b : a;
	}
}

/* Sort every column of n rows at once: what is compared with what does not
 * depend on the values (Knuth, The Art of Computer Programming 3, 5.2.2,
 * algorithm M; Batcher's merge exchange). */
VECTOR static void sort_columns(struct block *row, size_t n)
{
	size_t top = 1;

	while (top < n)
		top *= 2;
	for (size_t p = top / 2; p > 0; p /= 2) {
		size_t d = p, r = 0;

		for (size_t q = top / 2;; q /= 2) {
			for (size_t i = 0; i + d < n; i++)
				if ((i & p) == r)
					exchange(&row[i], &row[i + d]);
			if (q == p)
				break;
			d = q - p;
			r = p;
		}
	}
}

INLINE void add(const struct block *b, double *restrict sum)
{
	float x[VECTOR_BLOCK];
	int32_t bits[VECTOR_BLOCK];

	for (int i = 0; i < VECTOR_BLOCK; i++)
		bits[i] = swap_order(b->x[i]);
	memcpy(x, bits, sizeof(x));
	for (int i = 0; i < VECTOR_BLOCK; i++)
		sum[i] += (double)x[i];
}

/* The mean of the sorted rows without cut at either end. */
VECTOR static void mean_between(const struct block *row, size_t n, size_t cut,
				double mean[VECTOR_BLOCK])
{
	const double share = 1 / (double)(n - 2 * cut);

	for (int i = 0; i < VECTOR_BLOCK; i++)
		mean[i] = 0;
	for (size_t k = cut; k < n - cut; k++)
		add(&row[k], mean);
	for (int i = 0; i < VECTOR_BLOCK; i++)
		mean[i] *= share;
}

static void cut_ends(struct aggregate *a, size_t cut)
{
	struct block *row = mem_zero(a->count, sizeof(*row));
	double mean[VECTOR_BLOCK];

	for (size_t at = 0; at < a->n; at += VECTOR_BLOCK) {
		const size_t len =
			a->n - at < VECTOR_BLOCK ? a->n - at : VECTOR_BLOCK;

		for (size_t k = 0; k < a->count; k++) {
			memcpy(row[k].x, a->row[k] + at, len * sizeof(float));
			to_order(&row[k]);
		}
		sort_columns(row, a->count);
		mean_between(row, a->count, cut, mean);
		memcpy(a->sum + at, mean, len * sizeof(*mean));
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
