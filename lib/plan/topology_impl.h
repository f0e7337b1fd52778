/* topology_impl.h - what the policies share; for the files of topology.h. */
#ifndef PLAN_TOPOLOGY_IMPL_H
#define PLAN_TOPOLOGY_IMPL_H

#include "plan/topology.h"

/* A round to choose for: n by n speeds, 0 where there is no link. */
struct topology_round {
	size_t n;
	const double *bps;
	double theta;
	const struct topology_past *past;
	int64_t t;
	struct rand *r;
};

/* A policy: mate has MATCHING_NONE everywhere before. */
typedef void topology_fn(const struct topology_round *a, int *mate);

void topology_auto(const struct topology_round *a, int *mate);
void topology_saps(const struct topology_round *a, int *mate);
void topology_age(const struct topology_round *a, int *mate);

void topology_clear(int *mate, size_t n);
void topology_edges(size_t n, const double *bps, double least,
		    unsigned char *edge);
void topology_cut(unsigned char *edge, size_t n, int v);

/* The components that the pairs of the window leave. */
void topology_parts(int *part, const struct topology_past *past);

/* With an odd n, take who is to rest out of the graph. */
void topology_bye(const struct topology_round *a, unsigned char *edge);

struct topology_edge {
	int a, b;
};

/* The edges in the order of chance; the caller frees them. */
struct topology_edge *topology_shuffle(size_t n, const unsigned char *edge,
				       struct rand *r, size_t *count);

#endif
