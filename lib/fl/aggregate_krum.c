/* aggregate_krum.c - centres of the updates that lie nearest to most others. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fl/aggregate_impl.h"
#include "nn/vector.h"

#define INLINE static inline __attribute__((always_inline))

INLINE void squares(const float *restrict x, const float *restrict y,
		    float *restrict sum, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const float d = x[i] - y[i];

		sum[i] += d * d;
	}
}

/* The squared distance of a tile's values. What is too far for float32 is
 * infinitely far, which no neighbour is. */
VECTOR static double distance(const float *x, const float *y, size_t n)
{
	float sum[VECTOR_BLOCK] = {0};
	double all = 0;
	size_t i = 0;

	for (; i + VECTOR_BLOCK <= n; i += VECTOR_BLOCK)
		squares(x + i, y + i, sum, VECTOR_BLOCK);
	squares(x + i, y + i, sum, n - i);
	for (i = 0; i < VECTOR_BLOCK; i++)
		all += (double)sum[i];
	return all;
}

/* All squared distances, of trained values, count x count. */
static double *distances(const struct aggregate *a)
{
	const size_t n = a->count;
	double *far = mem_zero(n * n, sizeof(*far));

	for (size_t at = 0, len; at < a->trained; at += len) {
		len = a->trained - at < AGGREGATE_TILE ? a->trained - at
						       : AGGREGATE_TILE;
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j < i; j++)
				far[i * n + j] += distance(a->row[i] + at,
							   a->row[j] + at, len);
	}
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			far[j * n + i] = far[i * n + j];
	return far;
}

struct score {
	double sum;
	size_t row;
};

static int compare_distances(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int compare_scores(const void *a, const void *b)
{
	const struct score *x = a, *y = b;

	if (x->sum != y->sum)
		return x->sum < y->sum ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

/* By ascending sum of distances to the nearest; itself, at 0, is not one. */
static struct score *scores(const struct aggregate *a)
{
	const size_t n = a->count, near = n - (size_t)a->o.byzantine - 2;
	struct score *s = mem_zero(n, sizeof(*s));
	double *far = distances(a);

	for (size_t i = 0; i < n; i++) {
		double *to = far + i * n;

		s[i].row = i;
		qsort(to, n, sizeof(*to), compare_distances);
		for (size_t k = 1; k <= near; k++)
			s[i].sum += to[k];
	}
	free(far);
	qsort(s, n, sizeof(*s), compare_scores);
	return s;
}

/* The mean of the best rows, which become the first. */
static void choose(struct aggregate *a, size_t keep)
{
	struct score *s = scores(a);
	int64_t *chosen = mem_zero(keep, sizeof(*chosen));

	for (size_t k = 0; k < keep; k++) {
		chosen[k] = a->client[s[k].row];
		aggregate_add(a->sum, k == 0, a->row[s[k].row], a->n,
			      1 / (double)keep, INFINITY);
	}
	free(a->chosen);
	a->chosen = chosen;
	a->n_chosen = keep;
	free(s);
}

void aggregate_krum(struct aggregate *a)
{
	choose(a, 1);
}

void aggregate_multikrum(struct aggregate *a)
{
	const size_t most = a->count - (size_t)a->o.byzantine;
	const size_t keep = (size_t)a->o.keep;

	choose(a, keep && keep < most ? keep : most);
}
