#include "plan/bandwidth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int32_t bandwidth_level(double bps)
{
	return (int32_t)lround(2 * log2(bps));
}

double bandwidth_bps(int32_t level)
{
	return exp2(level / 2.0);
}

/* The place of (from, to) in the sorted cells: where it is or would go. */
static size_t place_of(const struct bandwidth *b, int64_t from, int64_t to)
{
	size_t low = 0, high = b->n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct bandwidth_cell *c = &b->cells[mid];

		if (c->from < from || (c->from == from && c->to < to))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct bandwidth_cell *bandwidth_find(const struct bandwidth *b,
					    int64_t from, int64_t to)
{
	size_t i = place_of(b, from, to);

	if (i < b->n && b->cells[i].from == from && b->cells[i].to == to)
		return &b->cells[i];
	return NULL;
}

static void put(struct bandwidth *b, const struct bandwidth_cell *cell)
{
	size_t i = place_of(b, cell->from, cell->to);

	if (!bandwidth_find(b, cell->from, cell->to)) {
		b->cells = mem_grow(b->cells, &b->cap, b->n + 1,
				    sizeof(*b->cells));
		memmove(b->cells + i + 1, b->cells + i,
			(b->n - i) * sizeof(*b->cells));
		b->n++;
	}
	b->cells[i] = *cell;
}

void bandwidth_apply(struct bandwidth *b, const struct bandwidth_cell *delta,
		     size_t n, int64_t version)
{
	for (size_t i = 0; i < n; i++)
		put(b, &delta[i]);
	b->version = version;
}

void bandwidth_release(struct bandwidth *b)
{
	free(b->cells);
	*b = (struct bandwidth){0};
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The speed of (from, to), 0 when it is not known. *at is at or before its
 * cell, and is moved there. */
static double next_bps(const struct bandwidth *b, size_t *at, int64_t from,
		       int64_t to)
{
	const struct bandwidth_cell *c = b->cells;

	while (*at < b->n && c[*at].from == from && c[*at].to < to)
		++*at;
	if (*at == b->n || c[*at].from != from || c[*at].to != to)
		return 0;
	return bandwidth_bps(c[*at].level);
}

/* What is known of each pair, of both directions the slower one, 0 where
 * nothing is: the upper half of out. */
static void known_pairs(const struct bandwidth *b, const int64_t *ids, size_t n,
			double *out)
{
	memset(out, 0, n * n * sizeof(*out));
	for (size_t i = 0; i < n; i++) {
		size_t at = place_of(b, ids[i], ids[0]);

		for (size_t j = 0; j < n; j++) {
			double *pair = &out[i < j ? i * n + j : j * n + i];
			double bps = next_bps(b, &at, ids[i], ids[j]);

			if (bps > 0 && (*pair <= 0 || bps < *pair))
				*pair = bps;
		}
	}
}

static bool all_known(const double *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			if (out[i * n + j] <= 0)
				return false;
	return true;
}

/* The median of the known pairs in out, 1 when there are none. */
static double median_of(const double *out, size_t n)
{
	double *known = mem_zero(n * n + 1, sizeof(*known)), median = 1;
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			if (out[i * n + j] > 0)
				known[len++] = out[i * n + j];
	qsort(known, len, sizeof(*known), by_value);
	if (len)
		median = known[len / 2];
	free(known);
	return median;
}

void bandwidth_matrix(const struct bandwidth *b, const int64_t *ids, size_t n,
		      double *out)
{
	double median;

	known_pairs(b, ids, n, out);
	median = all_known(out, n) ? 0 : median_of(out, n);
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++) {
			if (out[i * n + j] <= 0)
				out[i * n + j] = median;
			out[j * n + i] = out[i * n + j];
		}
	for (size_t i = 0; i < n; i++)
		out[i * n + i] = 0;
}
