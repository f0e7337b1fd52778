#include "plan/matching.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* One search for an augmenting path. base[v] is the base of the blossom that
 * v lies in (itself outside any); parent[] leads from an odd vertex back
 * towards the root; the queue holds even vertices. */
struct search {
	size_t n;
	const unsigned char *edge;
	int *mate, *base, *parent, *queue;
	size_t head, tail;
	bool *even, *blossom, *seen;
};

static int common_base(struct search *s, int a, int b)
{
	memset(s->seen, 0, s->n * sizeof(*s->seen));
	for (;;) {
		a = s->base[a];
		s->seen[a] = true;
		if (s->mate[a] < 0)
			break;
		a = s->parent[s->mate[a]];
	}
	for (b = s->base[b]; !s->seen[b]; b = s->base[b])
		b = s->parent[s->mate[b]];
	return b;
}

/* Mark the blossom's half from v down to its base, turning parents round so
 * that each of its vertices can be reached as an even one. */
static void mark_half(struct search *s, int v, int base, int child)
{
	while (s->base[v] != base) {
		s->blossom[s->base[v]] = s->blossom[s->base[s->mate[v]]] = true;
		s->parent[v] = child;
		child = s->mate[v];
		v = s->parent[child];
	}
}

static void push_even(struct search *s, int v)
{
	s->even[v] = true;
	s->queue[s->tail++] = v;
}

static void contract(struct search *s, int a, int b)
{
	int base = common_base(s, a, b);

	memset(s->blossom, 0, s->n * sizeof(*s->blossom));
	mark_half(s, a, base, b);
	mark_half(s, b, base, a);
	for (size_t v = 0; v < s->n; v++) {
		if (!s->blossom[s->base[v]])
			continue;
		s->base[v] = base;
		if (!s->even[v])
			push_even(s, (int)v);
	}
}

/* Look along the edge from even vertex `from` to `to`; true when `to` is free
 * and so ends an augmenting path. */
static bool grow(struct search *s, int root, int from, int to)
{
	int mate = s->mate[to];

	if (s->base[from] == s->base[to] || s->mate[from] == to)
		return false;
	if (to == root || (mate >= 0 && s->parent[mate] >= 0)) {
		contract(s, from, to);
	} else if (s->parent[to] < 0) {
		s->parent[to] = from;
		if (mate < 0)
			return true;
		push_even(s, mate);
	}
	return false;
}

/* The free vertex at the end of a path from root, or -1. */
static int find_path(struct search *s, int root)
{
	size_t n = s->n;

	memset(s->even, 0, n * sizeof(*s->even));
	for (size_t v = 0; v < n; v++) {
		s->parent[v] = -1;
		s->base[v] = (int)v;
	}
	s->head = s->tail = 0;
	push_even(s, root);
	while (s->head < s->tail) {
		int from = s->queue[s->head++];

		for (size_t to = 0; to < n; to++)
			if (s->edge[(size_t)from * n + to] &&
			    grow(s, root, from, (int)to))
				return (int)to;
	}
	return -1;
}

static void flip(struct search *s, int end)
{
	while (end >= 0) {
		int from = s->parent[end], next = s->mate[from];

		s->mate[end] = from;
		s->mate[from] = end;
		end = next;
	}
}

size_t matching_augment(size_t n, const unsigned char *edge, int *mate)
{
	int *ints = mem_zero(3 * n + 1, sizeof(*ints));
	bool *bools = mem_zero(3 * n + 1, sizeof(*bools));
	struct search s = {
		.n = n,
		.edge = edge,
		.mate = mate,
		.base = ints,
		.parent = ints + n,
		.queue = ints + 2 * n,
		.even = bools,
		.blossom = bools + n,
		.seen = bools + 2 * n,
	};

	for (size_t v = 0; v < n; v++)
		if (mate[v] < 0)
			flip(&s, find_path(&s, (int)v));
	free(ints);
	free(bools);
	return matching_size(n, mate);
}

size_t matching_size(size_t n, const int *mate)
{
	size_t matched = 0;

	for (size_t v = 0; v < n; v++)
		matched += mate[v] >= 0;
	return matched / 2;
}
