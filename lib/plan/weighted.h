/* weighted.h - the matching of the greatest weight in a general graph.
 *
 * Edmonds' primal-dual method ("Maximum Matching and a Polyhedron with
 * 0,1-Vertices", 1965), as Galil has it in "Efficient Algorithms for Finding
 * Maximum Matching in Graphs" (1986): trees grow from all free vertices at
 * once and stay when others end. Weights are integers, so that every machine
 * finds the same pairs. Pure. */
#ifndef PLAN_WEIGHTED_H
#define PLAN_WEIGHTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weighted_edge {
	int a, b; /* vertices, a != b */
	int64_t weight;
};

enum { WEIGHTED_BITS = 40 }; /* of a weight, which may be negative */

/* Write mate[0..n-1]: partners or MATCHING_NONE, of the matching of greatest
 * weight; with `most` of the greatest among those of the most pairs. Of edges
 * between the same vertices the heaviest counts. Returns the number of pairs.
 */
size_t weighted_match(size_t n, const struct weighted_edge *edges,
		      size_t nedges, bool most, int *mate);

/* The same for the complete graph in which the edge between i and j weighs
 * weight[i * n + j] = weight[j * n + i]; all are paired, but one of an odd
 * number. Quick where a vertex is paired by one of its heavier edges. */
size_t weighted_match_all(size_t n, const int64_t *weight, int *mate);

#endif
