/* graph.h - who may exchange with whom, where somebody has said so.
 *
 * An undirected graph of trainers. A weight scales the speed that the planner
 * sees between the two: 1 leaves it. Without any edge there is no graph, and
 * anybody may exchange with anybody. Pure. */
#ifndef PLAN_GRAPH_H
#define PLAN_GRAPH_H

#include <stddef.h>
#include <stdint.h>

struct graph_edge {
	int64_t a, b;  /* trainer ids, a < b */
	double weight; /* above 0; in a delta 0 removes the edge */
};

/* Sorted by (a, b); zero bytes are no graph. version is the log index of the
 * last change. */
struct graph {
	int64_t version;
	struct graph_edge *edges;
	size_t n, cap;
};

/* Set, or remove, the edges of a delta (any order; the last of two counts), and
 * the version. Where most are new that is fastest in ascending order. */
void graph_apply(struct graph *g, const struct graph_edge *delta, size_t n,
		 int64_t version);

/* The same with nothing left of what was before. */
void graph_replace(struct graph *g, const struct graph_edge *edges, size_t n,
		   int64_t version);

/* Of the edge between i and j: 0 if there is none; 1 where there is no graph.
 */
double graph_weight(const struct graph *g, int64_t i, int64_t j);

/* Scale the n by n matrix of speeds between ids[0..n-1] by the weights, so that
 * it is 0 where there is no edge. */
void graph_limit(const struct graph *g, const int64_t *ids, size_t n,
		 double *bps);

/* The number of parts that do not reach each other among ids[0..n-1], which
 * ascend: 1 is connected. */
size_t graph_parts(const struct graph *g, const int64_t *ids, size_t n);
void graph_release(struct graph *g);

#endif
