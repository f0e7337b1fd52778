#include "plan/topology.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plan/matching.h"
#include "plan/parts.h"
#include "plan/topology_impl.h"

size_t topology_window(size_t n)
{
	size_t log2n = 0;

	while (((size_t)1 << log2n) < n)
		log2n++;
	return 2 * log2n > 3 ? 2 * log2n : 3;
}

void topology_past_init(struct topology_past *p, size_t n)
{
	*p = (struct topology_past){.n = n, .window = topology_window(n)};
	p->mates = mem_zero(p->window * n + 1, sizeof(*p->mates));
	p->rested = mem_zero(n + 1, sizeof(*p->rested));
	for (size_t v = 0; v < n; v++)
		p->rested[v] = -1;
}

void topology_past_release(struct topology_past *p)
{
	free(p->mates);
	free(p->rested);
	*p = (struct topology_past){0};
}

void topology_past_add(struct topology_past *p, int64_t t, const int *mate)
{
	memcpy(p->mates + p->next * p->n, mate, p->n * sizeof(*mate));
	p->next = (p->next + 1) % p->window;
	if (p->rounds < p->window)
		p->rounds++;
	for (size_t v = 0; v < p->n; v++)
		if (mate[v] < 0)
			p->rested[v] = t;
}

void topology_parts(int *part, const struct topology_past *past)
{
	size_t n = past->n;

	parts_init(part, n);
	for (size_t i = 0; i < past->rounds * n; i++)
		if (past->mates[i] >= 0)
			parts_join(part, (int)(i % n), past->mates[i]);
}

/* A speed of 0 is no link at all. */
void topology_edges(size_t n, const double *bps, double least,
		    unsigned char *edge)
{
	for (size_t i = 0; i < n * n; i++)
		edge[i] = bps[i] > 0 && bps[i] >= least && i % (n + 1) != 0;
}

void topology_clear(int *mate, size_t n)
{
	for (size_t v = 0; v < n; v++)
		mate[v] = MATCHING_NONE;
}

/* Whether {bps >= theta} can pair all, but one when n is odd. */
static bool pairs_all(size_t n, const double *bps, double theta)
{
	unsigned char *edge = mem_zero(n * n, 1);
	int *mate = mem_zero(n, sizeof(*mate));
	bool all;

	topology_edges(n, bps, theta, edge);
	topology_clear(mate, n);
	all = matching_augment(n, edge, mate) == n / 2;
	free(mate);
	free(edge);
	return all;
}

/* The largest theta for which {bps >= theta} is connected, 0 for none: the
 * slowest edge of the tree of the fastest ones (Prim 1957). */
static double connecting(size_t n, const double *bps)
{
	double *reach = mem_dup(bps, n * sizeof(*reach)), theta = INFINITY;

	reach[0] = -1; /* in the tree */
	for (size_t joined = 1; joined < n; joined++) {
		size_t next = 0;

		for (size_t v = 1; v < n; v++)
			if (reach[v] > reach[next])
				next = v;
		theta = fmin(theta, fmax(reach[next], 0));
		reach[next] = -1;
		for (size_t v = 1; v < n; v++)
			if (reach[v] >= 0)
				reach[v] = fmax(reach[v], bps[next * n + v]);
	}
	free(reach);
	return theta;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The speeds up to most, ascending. */
static double *speeds_below(size_t n, const double *bps, double most,
			    size_t *len)
{
	double *values = mem_zero(n * n, sizeof(*values));

	*len = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			if (bps[i * n + j] <= most)
				values[(*len)++] = bps[i * n + j];
	qsort(values, *len, sizeof(*values), by_value);
	return values;
}

/* Mostly what connects can pair all, too; else look for less that can. */
double topology_theta(size_t n, const double *bps)
{
	double *values, theta;
	size_t low = 0, high;

	theta = n < 2 ? 0 : connecting(n, bps);
	if (theta <= 0 || pairs_all(n, bps, theta))
		return theta;
	values = speeds_below(n, bps, theta, &high);
	/* values[low] serves if any does; values[high] does not */
	while (high - low > 1) {
		size_t mid = (low + high) / 2;

		if (pairs_all(n, bps, values[mid]))
			low = mid;
		else
			high = mid;
	}
	theta = pairs_all(n, bps, values[low]) ? values[low] : 0;
	free(values);
	return theta;
}

void topology_cut(unsigned char *edge, size_t n, int v)
{
	for (size_t i = 0; i < n; i++)
		edge[i * n + (size_t)v] = edge[(size_t)v * n + i] = 0;
}

struct topology_edge *topology_shuffle(size_t n, const unsigned char *edge,
				       struct rand *r, size_t *count)
{
	struct topology_edge *all = mem_zero(n * n + 1, sizeof(*all));
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			if (edge[i * n + j])
				all[len++] =
					(struct topology_edge){(int)i, (int)j};
	for (size_t i = len; i > 1; i--) {
		size_t j = rand_below(r, i);
		struct topology_edge e = all[i - 1];

		all[i - 1] = all[j];
		all[j] = e;
	}
	*count = len;
	return all;
}

struct turn {
	int64_t rested;
	uint64_t lot;
	int v;
};

static int by_turn(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->rested != y->rested)
		return x->rested < y->rested ? -1 : 1;
	return (x->lot > y->lot) - (x->lot < y->lot);
}

static void order_turns(struct turn *turns, const struct topology_past *past,
			struct rand *r)
{
	for (size_t v = 0; v < past->n; v++)
		turns[v] = (struct turn){past->rested[v], rand_next(r), (int)v};
	qsort(turns, past->n, sizeof(*turns), by_turn);
}

/* The first in turn without which all others can be paired. Where there is none
 * (theta is 0) several rest, as the matching comes out. */
void topology_bye(const struct topology_round *a, unsigned char *edge)
{
	size_t n = a->n, pairs = 0;
	struct turn *turns;
	unsigned char *rest;
	int *mate;

	if (n % 2 == 0)
		return;
	turns = mem_zero(n, sizeof(*turns));
	rest = mem_zero(n * n, 1);
	mate = mem_zero(n, sizeof(*mate));
	order_turns(turns, a->past, a->r);
	for (size_t i = 0; i < n && pairs < n / 2; i++) {
		memcpy(rest, edge, n * n);
		topology_cut(rest, n, turns[i].v);
		topology_clear(mate, n);
		pairs = matching_augment(n, rest, mate);
	}
	if (pairs == n / 2)
		memcpy(edge, rest, n * n);
	free(mate);
	free(rest);
	free(turns);
}

/* In the order of turns the first rests if n is odd; the others are shuffled
 * and paired as they come. */
static void match_random(const struct topology_round *a, int *mate)
{
	size_t n = a->n, first = n % 2;
	struct turn *turns = mem_zero(n, sizeof(*turns));

	order_turns(turns, a->past, a->r);
	for (size_t i = n; i > first + 1; i--) {
		size_t j = first + rand_below(a->r, i - first);
		struct turn one = turns[i - 1];

		turns[i - 1] = turns[j];
		turns[j] = one;
	}
	for (size_t i = first; i + 1 < n; i += 2) {
		mate[turns[i].v] = turns[i + 1].v;
		mate[turns[i + 1].v] = turns[i].v;
	}
	free(turns);
}

/* Each pairs now with the next, now with the one before; the start moves on
 * each round, so that in an odd ring everyone rests by turns. */
static void match_ring(const struct topology_round *a, int *mate)
{
	size_t n = a->n, start = (size_t)(a->t % (int64_t)n);

	for (size_t i = 0; i + 1 < n; i += 2) {
		size_t v = (start + i) % n, w = (start + i + 1) % n;

		mate[v] = (int)w;
		mate[w] = (int)v;
	}
}

/* The circle of a tournament: each meets each, once in n - 1 rounds (n, if that
 * is odd). One stands still, the others move on by a place a round. */
static void match_all(const struct topology_round *a, int *mate)
{
	size_t n = a->n, places = n % 2 ? n : n - 1;
	size_t turn = (size_t)(a->t % (int64_t)places);

	for (size_t k = 1; k <= places / 2; k++) {
		size_t v = (turn + k) % places;
		size_t w = (turn + places - k) % places;

		mate[v] = (int)w;
		mate[w] = (int)v;
	}
	if (n % 2 == 0) {
		mate[turn] = (int)n - 1;
		mate[n - 1] = (int)turn;
	}
}

static void match_none(const struct topology_round *a, int *mate)
{
	(void)a;
	(void)mate;
}

static const struct {
	const char *name;
	topology_fn *match;
	bool any_pair; /* takes it that every pair has a link */
} policies[] = {
	[TOPOLOGY_AUTO] = {"auto", topology_auto, false},
	[TOPOLOGY_RANDOM] = {"random", match_random, true},
	[TOPOLOGY_RING] = {"ring", match_ring, true},
	[TOPOLOGY_NONE] = {"none", match_none, false},
	[TOPOLOGY_SAPS] = {"saps", topology_saps, false},
	[TOPOLOGY_AGE] = {"age", topology_age, false},
	[TOPOLOGY_ALL] = {"all", match_all, true},
};

enum { POLICIES = sizeof(policies) / sizeof(policies[0]) };

int topology_policy_of(const char *name)
{
	for (int i = 0; i < POLICIES; i++)
		if (!strcmp(policies[i].name, name))
			return i;
	return -1;
}

/* Does every pair have a link? */
static bool complete(size_t n, const double *bps)
{
	for (size_t i = 0; i < n * n; i++)
		if (bps[i] <= 0 && i % (n + 1) != 0)
			return false;
	return true;
}

/* Where not every pair has a link those that there are are all alike to a
 * policy that counts on them. */
void topology_match(enum topology_policy policy, size_t n, const double *bps,
		    double theta, const struct topology_past *past, int64_t t,
		    struct rand *r, int *mate)
{
	struct topology_round a = {n, bps, theta, past, t, r};

	topology_clear(mate, n);
	if (n < 2)
		return;
	if (policies[policy].any_pair && !complete(n, bps)) {
		a.theta = 0;
		policy = TOPOLOGY_AUTO;
	}
	policies[policy].match(&a, mate);
}
