/* topology.h - who exchanges with whom in a round: a matching of the trainers.
 *
 * Policy `auto` pairs fast links first but keeps the graph of recent pairs
 * connected, so that everything reaches everyone (after SAPS-PSGD, arXiv
 * 2002.09692, section 4). Vertices are 0 .. n-1; the caller maps ids. All is
 * determined by the arguments: chance is a seed, and history is passed in, so
 * that a new leader goes on from the committed plans. */
#ifndef PLAN_TOPOLOGY_H
#define PLAN_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rand.h"

enum topology_policy {
	TOPOLOGY_AUTO,
	TOPOLOGY_RANDOM, /* a uniform perfect matching */
	TOPOLOGY_RING,   /* neighbours by turns */
	TOPOLOGY_NONE,   /* everyone rests: each learns alone, to compare */
	TOPOLOGY_SAPS,   /* as the authors of SAPS-PSGD released it */
	TOPOLOGY_AGE,    /* most ln speed + ln rounds since they met */
	TOPOLOGY_ALL,    /* everyone meets everyone, by turns */
};

#define TOPOLOGY_POLICIES "auto|saps|age|random|ring|all|none"

/* The policy called name ("auto", ...); -1 if there is none. */
int topology_policy_of(const char *name);

/* Rounds after which the union of their pairs should be connected:
 * max(3, 2 ceil(log2 n)). */
size_t topology_window(size_t n);

/* The largest theta for which the graph {bps >= theta} is connected and has a
 * matching of n/2 (rounded down) pairs; bps is n by n, symmetric; 0 is no link.
 * Changes only with bandwidth, topology or membership. 0 for n < 2, and where
 * no theta above 0 will do. */
double topology_theta(size_t n, const double *bps);

/* The mates of the last topology_window() rounds and when each vertex rested
 * last. Vertices that joined later have none. */
struct topology_past {
	size_t n, window, rounds; /* rounds: how many of them are known */
	size_t next;              /* the slot that is overwritten next */
	int *mates;               /* window rows of n */
	int64_t *rested;          /* round of the last rest, or -1 */
};

void topology_past_init(struct topology_past *p, size_t n);
void topology_past_release(struct topology_past *p);

/* Note that round t had these mates (MATCHING_NONE rests). */
void topology_past_add(struct topology_past *p, int64_t t, const int *mate);

/* Choose mate[0..n-1] for round t; adds nothing to past. With an odd n one
 * vertex rests: the one whose last rest is the oldest, of those without which
 * the others can be paired. Only vertices with a link are paired: as many as
 * can be. */
void topology_match(enum topology_policy policy, size_t n, const double *bps,
		    double theta, const struct topology_past *past, int64_t t,
		    struct rand *r, int *mate);

#endif
