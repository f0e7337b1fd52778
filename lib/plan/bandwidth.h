/* bandwidth.h - what is known of the speed between trainers.
 *
 * B(i,j) is the rate at which j received from i, in bytes/s. This is the
 * replicated matrix, whose cells are levels (half octaves: level = 2
 * log2(bytes/s), rounded), the same everywhere; what the leader makes of
 * reports is in meter.h. Pure. */
#ifndef PLAN_BANDWIDTH_H
#define PLAN_BANDWIDTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bandwidth_cell {
	int64_t from, to; /* trainer ids */
	int32_t level;    /* half octaves of bytes/s */
};

/* Sorted by (from, to); zero bytes are an empty matrix. version is the log
 * index of the last delta applied. */
struct bandwidth {
	int64_t version;
	struct bandwidth_cell *cells;
	size_t n, cap;
};

/* Set the cells of a delta (any order) and the version. */
void bandwidth_apply(struct bandwidth *b, const struct bandwidth_cell *delta,
		     size_t n, int64_t version);

/* The cell, or NULL when nothing is known. */
const struct bandwidth_cell *bandwidth_find(const struct bandwidth *b,
					    int64_t from, int64_t to);

/* Fill the n by n symmetric matrix out, of bytes/s, for ids[0..n-1], which ascend: the lesser
 * of the two directions (or the one that is known); where neither is, the
 * median of the known; 1 everywhere when none is. The diagonal is 0. */
void bandwidth_matrix(const struct bandwidth *b, const int64_t *ids, size_t n,
		      double *out);
void bandwidth_release(struct bandwidth *b);

int32_t bandwidth_level(double bps); /* bps > 0 */
double bandwidth_bps(int32_t level);

#endif
