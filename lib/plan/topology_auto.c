/* topology_auto.c - fast links first, but what the pairs of the last rounds
 * connect must become one. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plan/matching.h"
#include "plan/parts.h"
#include "plan/topology_impl.h"

/* How far below theta an edge may lie and still be used, for variety. */
static const double SLACK = 0.7;

struct choice {
	size_t n;
	const struct topology_past *past;
	unsigned char *edge;         /* the graph that may be used */
	int *part;                   /* components of the window */
	struct topology_edge *order; /* all edges, shuffled */
	size_t nedges;
};

static bool crosses(struct choice *c, int a, int b)
{
	return parts_root(c->part, a) != parts_root(c->part, b);
}

/* Greedy in the shuffled order, edges between components first. */
static void greedy(struct choice *c, int *mate)
{
	for (int crossing = 1; crossing >= 0; crossing--)
		for (size_t i = 0; i < c->nedges; i++) {
			struct topology_edge e = c->order[i];

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

/* Pair all (but the bye) with e among the pairs, if that can be. */
static bool pair_with(struct choice *c, struct topology_edge e, int *mate)
{
	size_t n = c->n;
	unsigned char *rest = mem_dup(c->edge, n * n);
	bool full;

	topology_clear(mate, n);
	topology_cut(rest, n, e.a);
	topology_cut(rest, n, e.b);
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

void topology_auto(const struct topology_round *a, int *mate)
{
	size_t n = a->n;
	struct choice c = {.n = n, .past = a->past};

	c.edge = mem_zero(n * n, 1);
	c.part = mem_zero(n, sizeof(*c.part));
	topology_edges(n, a->bps, SLACK * a->theta, c.edge);
	topology_parts(c.part, a->past);
	topology_bye(a, c.edge);
	c.order = topology_shuffle(n, c.edge, a->r, &c.nedges);
	pair_up(&c, mate);
	free(c.order);
	free(c.part);
	free(c.edge);
}
