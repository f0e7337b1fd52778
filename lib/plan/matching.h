/* matching.h - maximum-cardinality matching in a general graph.
 *
 * Edmonds' blossom algorithm ("Paths, Trees, and Flowers", 1965), breadth
 * first, O(n^3). It starts from a matching that the caller has (a greedy one
 * keeps its preferences: a matched vertex stays matched). */
#ifndef PLAN_MATCHING_H
#define PLAN_MATCHING_H

#include <stddef.h>

enum { MATCHING_NONE = -1 };

/* edge is an n by n matrix of 0 and 1, symmetric, zero on the diagonal; mate[v]
 * is v's partner or MATCHING_NONE, and is a matching on entry and a maximum
 * one on return. Returns the number of pairs. */
size_t matching_augment(size_t n, const unsigned char *edge, int *mate);

/* The number of pairs in mate. */
size_t matching_size(size_t n, const int *mate);

#endif
