#include "plan/topology.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plan/matching.h"
#include "plan/parts.h"

/* How far below theta an edge may lie and still be used, for variety. */
static const double SLACK = 0.7;

static const char *const names[] = {
	[TOPOLOGY_AUTO] = "auto",
	[TOPOLOGY_RANDOM] = "random",
	[TOPOLOGY_RING] = "ring",
	[TOPOLOGY_NONE] = "none",
};

enum { POLICIES = sizeof(names) / sizeof(names[0]) };

int topology_policy_of(const char *name)
{
	for (int i = 0; i < POLICIES; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

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

/* The components that the pairs of the window leave. */
static void parts_of_past(int *part, const struct topology_past *past)
{
	size_t n = past->n;

	parts_init(part, n);
	for (size_t i = 0; i < past->rounds * n; i++)
		if (past->mates[i] >= 0)
			parts_join(part, (int)(i % n), past->mates[i]);
}

/* A speed of 0 is no link at all. */
static void edges_from(size_t n, const double *bps, double least,
		       unsigned char *edge)
{
	for (size_t i = 0; i < n * n; i++)
		edge[i] = bps[i] > 0 && bps[i] >= least && i % (n + 1) != 0;
}

static void clear(int *mate, size_t n)
{
	for (size_t v = 0; v < n; v++)
		mate[v] = MATCHING_NONE;
}

/* Whether {bps >= theta} is connected and can pair all, but one when n is odd.
 */
static bool serves(size_t n, const double *bps, double theta)
{
	unsigned char *edge = mem_zero(n * n, 1);
	int *part = mem_zero(n, sizeof(*part));
	bool ok;

	edges_from(n, bps, theta, edge);
	parts_init(part, n);
	for (size_t i = 0; i < n * n; i++)
		if (edge[i])
			parts_join(part, (int)(i / n), (int)(i % n));
	ok = parts_count(part, n) == 1;
	clear(part, n);
	ok = ok && matching_augment(n, edge, part) == n / 2;
	free(part);
	free(edge);
	return ok;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double topology_theta(size_t n, const double *bps)
{
	double *values, theta;
	size_t len = 0, low = 0, high;

	if (n < 2)
		return 0;
	values = mem_zero(n * n, sizeof(*values));
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			values[len++] = bps[i * n + j];
	qsort(values, len, sizeof(*values), by_value);
	/* values[low] serves if any does; values[high] does not */
	for (high = len; high - low > 1;) {
		size_t mid = (low + high) / 2;

		if (serves(n, bps, values[mid]))
			low = mid;
		else
			high = mid;
	}
	theta = serves(n, bps, values[low]) ? values[low] : 0;
	free(values);
	return theta;
}

struct edge {
	int a, b;
};

/* One round's choice under policy auto. edge is the graph that may be used. */
struct choice {
	size_t n;
	const struct topology_past *past;
	struct rand *r;
	unsigned char *edge;
	int *part;          /* components of the window */
	struct edge *order; /* all edges, shuffled */
	size_t nedges;
};

static void shuffle_edges(struct choice *c)
{
	c->nedges = 0;
	for (size_t i = 0; i < c->n; i++)
		for (size_t j = i + 1; j < c->n; j++)
			if (c->edge[i * c->n + j])
				c->order[c->nedges++] =
					(struct edge){(int)i, (int)j};
	for (size_t i = c->nedges; i > 1; i--) {
		size_t j = rand_below(c->r, i);
		struct edge e = c->order[i - 1];

		c->order[i - 1] = c->order[j];
		c->order[j] = e;
	}
}

static bool crosses(struct choice *c, int a, int b)
{
	return parts_root(c->part, a) != parts_root(c->part, b);
}

/* Greedy in the shuffled order, edges between components first. */
static void greedy(struct choice *c, int *mate)
{
	for (int crossing = 1; crossing >= 0; crossing--)
		for (size_t i = 0; i < c->nedges; i++) {
			struct edge e = c->order[i];

			if (mate[e.a] >= 0 || mate[e.b] >= 0 ||
			    (crossing && !crosses(c, e.a, e.b)))
				continue;
			mate[e.a] = e.b;
			mate[e.b] = e.a;
		}
}

static bool joins(struct choice *c, const int *mate)
{
	for (size_t v = 0; v < c->n; v++)
		if (mate[v] >= 0 && crosses(c, (int)v, mate[v]))
			return true;
	return false;
}

static void cut_vertex(unsigned char *edge, size_t n, int v)
{
	for (size_t i = 0; i < n; i++)
		edge[i * n + (size_t)v] = edge[(size_t)v * n + i] = 0;
}

/* Pair all (but the bye) with e among the pairs, if that can be. */
static bool pair_with(struct choice *c, struct edge e, int *mate)
{
	size_t n = c->n;
	unsigned char *rest = mem_dup(c->edge, n * n);
	bool full;

	clear(mate, n);
	cut_vertex(rest, n, e.a);
	cut_vertex(rest, n, e.b);
	full = matching_augment(n, rest, mate) + 1 == n / 2;
	mate[e.a] = e.b;
	mate[e.b] = e.a;
	free(rest);
	return full;
}

/* Augmenting can undo every edge that joins components: for ever, where few
 * fast edges leave few perfect matchings. Once a whole window was not
 * connected, look for one that has such an edge. If there is none, the greedy
 * pairs stand, and a few rest this once. */
static void join_parts(struct choice *c, const int *first, int *mate)
{
	for (size_t i = 0; i < c->nedges; i++)
		if (crosses(c, c->order[i].a, c->order[i].b) &&
		    pair_with(c, c->order[i], mate))
			return;
	memcpy(mate, first, c->n * sizeof(*first));
}

static void pair_up(struct choice *c, int *mate)
{
	int *first = mem_zero(c->n, sizeof(*first));
	bool must;

	greedy(c, mate);
	must = c->past->rounds == c->past->window &&
	       parts_count(c->part, c->n) > 1 && joins(c, mate);
	memcpy(first, mate, c->n * sizeof(*first));
	matching_augment(c->n, c->edge, mate);
	if (must && !joins(c, mate))
		join_parts(c, first, mate);
	free(first);
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

/* Take the resting vertex of an odd n out of the graph: the first in turn
 * without which all others can be paired. Where there is none (theta is 0)
 * several rest, as the matching comes out. */
static void choose_bye(struct choice *c)
{
	size_t n = c->n, pairs = 0;
	struct turn *turns = mem_zero(n, sizeof(*turns));
	unsigned char *rest = mem_zero(n * n, 1);
	int *mate = mem_zero(n, sizeof(*mate));

	order_turns(turns, c->past, c->r);
	for (size_t i = 0; i < n && pairs < n / 2; i++) {
		memcpy(rest, c->edge, n * n);
		cut_vertex(rest, n, turns[i].v);
		clear(mate, n);
		pairs = matching_augment(n, rest, mate);
	}
	if (pairs == n / 2)
		memcpy(c->edge, rest, n * n);
	free(mate);
	free(rest);
	free(turns);
}

static void match_auto(size_t n, const double *bps, double theta,
		       const struct topology_past *past, struct rand *r,
		       int *mate)
{
	struct choice c = {.n = n, .past = past, .r = r};

	c.edge = mem_zero(n * n, 1);
	c.part = mem_zero(n, sizeof(*c.part));
	c.order = mem_zero(n * n, sizeof(*c.order));
	edges_from(n, bps, SLACK * theta, c.edge);
	parts_of_past(c.part, past);
	if (n % 2)
		choose_bye(&c);
	shuffle_edges(&c);
	pair_up(&c, mate);
	free(c.order);
	free(c.part);
	free(c.edge);
}

/* In the order of turns the first rests if n is odd; the others are shuffled
 * and paired as they come. */
static void match_random(size_t n, const struct topology_past *past,
			 struct rand *r, int *mate)
{
	struct turn *turns = mem_zero(n, sizeof(*turns));
	size_t first = n % 2;

	order_turns(turns, past, r);
	for (size_t i = n; i > first + 1; i--) {
		size_t j = first + rand_below(r, i - first);
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
static void match_ring(size_t n, int64_t t, int *mate)
{
	size_t start = (size_t)(t % (int64_t)n);

	for (size_t i = 0; i + 1 < n; i += 2) {
		size_t a = (start + i) % n, b = (start + i + 1) % n;

		mate[a] = (int)b;
		mate[b] = (int)a;
	}
}

/* Does every pair have a link? */
static bool complete(size_t n, const double *bps)
{
	for (size_t i = 0; i < n * n; i++)
		if (bps[i] <= 0 && i % (n + 1) != 0)
			return false;
	return true;
}

/* Where not every pair has a link those that there are are all alike to random
 * and ring. */
void topology_match(enum topology_policy policy, size_t n, const double *bps,
		    double theta, const struct topology_past *past, int64_t t,
		    struct rand *r, int *mate)
{
	clear(mate, n);
	if (n < 2 || policy == TOPOLOGY_NONE)
		return;
	if (policy != TOPOLOGY_AUTO && !complete(n, bps)) {
		match_auto(n, bps, 0, past, r, mate);
		return;
	}
	switch (policy) {
	case TOPOLOGY_AUTO:
		match_auto(n, bps, theta, past, r, mate);
		break;
	case TOPOLOGY_RANDOM:
		match_random(n, past, r, mate);
		break;
	case TOPOLOGY_RING:
		match_ring(n, t, mate);
		break;
	case TOPOLOGY_NONE:
		break;
	}
}
