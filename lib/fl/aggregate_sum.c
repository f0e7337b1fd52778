#include "fl/aggregate_impl.h"

#include <string.h>

#include "nn/vector.h"

#define INLINE static inline __attribute__((always_inline))

static const uint32_t infinity = 0x7f800000;
static const uint32_t most = 0x57800000; /* AGGREGATE_VALUE_MAX */

INLINE void magnitudes(const float *restrict x, uint32_t *restrict max,
		       size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t bits;

		memcpy(&bits, x + i, sizeof(bits));
		bits &= 0x7fffffff;
		max[i] = bits > max[i] ? bits : max[i];
	}
}

/* The bits of the greatest magnitude. */
VECTOR static uint32_t magnitude(const float *x, size_t n)
{
	uint32_t max[VECTOR_BLOCK] = {0}, all = 0;
	size_t i = 0;

	for (; i + VECTOR_BLOCK <= n; i += VECTOR_BLOCK)
		magnitudes(x + i, max, VECTOR_BLOCK);
	magnitudes(x + i, max, n - i);
	for (i = 0; i < VECTOR_BLOCK; i++)
		all = max[i] > all ? max[i] : all;
	return all;
}

bool aggregate_is_finite(const float *x, size_t n)
{
	return magnitude(x, n) < infinity;
}

bool aggregate_fits(const float *x, size_t n)
{
	return magnitude(x, n) <= most;
}

INLINE void squares(const float *restrict x, const float *restrict from,
		    double *restrict sum, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const double d = (double)x[i] - (from ? (double)from[i] : 0);

		sum[i] += d * d;
	}
}

/* The square of the l2 norm of x - from, or of x where from is NULL. */
VECTOR double aggregate_square(const float *x, const float *from, size_t n)
{
	double sum[VECTOR_BLOCK] = {0}, all = 0;
	size_t i = 0;

	for (; from && i + VECTOR_BLOCK <= n; i += VECTOR_BLOCK)
		squares(x + i, from + i, sum, VECTOR_BLOCK);
	for (; i + VECTOR_BLOCK <= n; i += VECTOR_BLOCK)
		squares(x + i, NULL, sum, VECTOR_BLOCK);
	squares(x + i, from ? from + i : NULL, sum, n - i);
	for (i = 0; i < VECTOR_BLOCK; i++)
		all += sum[i];
	return all;
}

INLINE void products(double *restrict sum, const float *restrict x, double c,
		     bool fresh, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum[i] = c * (double)x[i] + (fresh ? 0 : sum[i]);
}

VECTOR static void accumulate(double *restrict sum, const float *restrict x,
			      double c, bool fresh, size_t n)
{
	size_t i = 0;

	for (; fresh && i + VECTOR_BLOCK <= n; i += VECTOR_BLOCK)
		products(sum + i, x + i, c, true, VECTOR_BLOCK);
	for (; i + VECTOR_BLOCK <= n; i += VECTOR_BLOCK)
		products(sum + i, x + i, c, false, VECTOR_BLOCK);
	products(sum + i, x + i, c, fresh, n - i);
}

INLINE uint32_t look_ahead(double *restrict sum, const float *restrict x,
			   double c, bool fresh)
{
	const float *next = x + AGGREGATE_TILE;
	uint32_t max[VECTOR_BLOCK] = {0}, all = 0;

	for (size_t i = 0; i < AGGREGATE_TILE; i += VECTOR_BLOCK) {
		magnitudes(next + i, max, VECTOR_BLOCK);
		products(sum + i, x + i, c, fresh, VECTOR_BLOCK);
	}
	for (size_t i = 0; i < VECTOR_BLOCK; i++)
		all = max[i] > all ? max[i] : all;
	return all;
}

/* Add c times a tile at x, and look at the tile behind it, which so is on its
 * way from memory when its turn comes. */
VECTOR static uint32_t accumulate_ahead(double *restrict sum,
					const float *restrict x, double c,
					bool fresh)
{
	return fresh ? look_ahead(sum, x, c, true)
		     : look_ahead(sum, x, c, false);
}

static double value_of(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof(x));
	return (double)x;
}

static size_t tile_of(size_t at, size_t n)
{
	return n - at < AGGREGATE_TILE ? n - at : AGGREGATE_TILE;
}

/* Add c x to sum, or put it there if sum is fresh, of any values; unless x does
 * not fit: false then, and what has been added already is taken away
 * again. That leaves sum as it was to within the rounding of products up to
 * room; before the first greater one, all of the rest is looked at. So x is read
 * once, tile by tile, and good updates never pay for bad ones. */
bool aggregate_add(double *sum, bool fresh, const float *x, size_t n, double c,
		   double room)
{
	uint32_t max = magnitude(x, tile_of(0, n));
	bool sure = false;

	for (size_t i = 0, len; i < n; i += len) {
		len = tile_of(i, n);
		if (max <= most && !sure && c * value_of(max) > room) {
			sure = aggregate_fits(x + i, n - i);
			max = sure ? max : infinity;
		}
		if (max > most) {
			accumulate(sum, x, -c, fresh, i);
			return false;
		}
		if (n - i >= (size_t)2 * AGGREGATE_TILE) {
			max = accumulate_ahead(sum + i, x + i, c, fresh);
			continue;
		}
		accumulate(sum + i, x + i, c, fresh, len);
		max = magnitude(x + i + len, tile_of(i + len, n));
	}
	return true;
}
