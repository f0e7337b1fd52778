#include "plan/graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plan/parts.h"

/* The place of (a, b) in the sorted edges: where it is or would go. */
static size_t place_of(const struct graph *g, int64_t a, int64_t b)
{
	size_t low = 0, high = g->n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct graph_edge *e = &g->edges[mid];

		if (e->a < a || (e->a == a && e->b < b))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct graph_edge *find(const struct graph *g, int64_t a, int64_t b)
{
	size_t i = place_of(g, a, b);

	if (i < g->n && g->edges[i].a == a && g->edges[i].b == b)
		return &g->edges[i];
	return NULL;
}

static void put(struct graph *g, const struct graph_edge *e)
{
	struct graph_edge *old = find(g, e->a, e->b);
	size_t i = place_of(g, e->a, e->b);

	if (old) {
		*old = *e;
		return;
	}
	g->edges = mem_grow(g->edges, &g->cap, g->n + 1, sizeof(*g->edges));
	memmove(g->edges + i + 1, g->edges + i, (g->n - i) * sizeof(*g->edges));
	g->edges[i] = *e;
	g->n++;
}

static void drop(struct graph *g, const struct graph_edge *e)
{
	struct graph_edge *old = find(g, e->a, e->b);

	if (!old)
		return;
	g->n--;
	memmove(old, old + 1, (size_t)(g->edges + g->n - old) * sizeof(*old));
}

void graph_apply(struct graph *g, const struct graph_edge *delta, size_t n,
		 int64_t version)
{
	for (size_t i = 0; i < n; i++)
		if (delta[i].weight > 0)
			put(g, &delta[i]);
		else
			drop(g, &delta[i]);
	g->version = version;
}

void graph_replace(struct graph *g, const struct graph_edge *edges, size_t n,
		   int64_t version)
{
	g->n = 0;
	graph_apply(g, edges, n, version);
}

double graph_weight(const struct graph *g, int64_t i, int64_t j)
{
	const struct graph_edge *e = find(g, i < j ? i : j, i < j ? j : i);

	if (!g->n)
		return 1;
	return e ? e->weight : 0;
}

void graph_limit(const struct graph *g, const int64_t *ids, size_t n,
		 double *bps)
{
	for (size_t i = 0; g->n && i < n; i++)
		for (size_t j = 0; j < n; j++)
			bps[i * n + j] *= graph_weight(g, ids[i], ids[j]);
}

static int by_id(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

size_t graph_parts(const struct graph *g, const int64_t *ids, size_t n)
{
	int *part;
	size_t count;

	if (!g->n)
		return n > 0;
	part = mem_zero(n + 1, sizeof(*part));
	parts_init(part, n);
	for (size_t i = 0; n && i < g->n; i++) {
		const struct graph_edge *e = &g->edges[i];
		const int64_t *a = bsearch(&e->a, ids, n, sizeof(*ids), by_id);
		const int64_t *b = bsearch(&e->b, ids, n, sizeof(*ids), by_id);

		if (a && b)
			parts_join(part, (int)(a - ids), (int)(b - ids));
	}
	count = parts_count(part, n);
	free(part);
	return count;
}

void graph_release(struct graph *g)
{
	free(g->edges);
	*g = (struct graph){0};
}
