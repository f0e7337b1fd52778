/* matching - random graphs and the weights of their matchings as we find them,
 * for lemon.cc to check: lines of `N EDGES MOST WEIGHT PAIRS`, each followed by
 * EDGES lines of `A B WEIGHT`. The number of graphs is an argument. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rand.h"
#include "plan/matching.h"
#include "plan/weighted.h"

struct graph {
	size_t n, nedges;
	struct weighted_edge *edge;
	int64_t *weight; /* n by n */
};

static void make(struct graph *g, struct rand *r)
{
	double density = rand_below(r, 3) ? 0.02 + rand_unit(r) : 1;
	uint64_t span = (uint64_t)1 << (1 + rand_below(r, 30));

	g->n = 90 + rand_below(r, 21);
	g->nedges = 0;
	g->edge = mem_zero(g->n * g->n, sizeof(*g->edge));
	g->weight = mem_zero(g->n * g->n, sizeof(*g->weight));
	for (size_t a = 0; a < g->n; a++)
		for (size_t b = a + 1; b < g->n; b++) {
			int64_t w = (int64_t)rand_below(r, span);

			if (rand_unit(r) >= density)
				continue;
			g->edge[g->nedges++] =
				(struct weighted_edge){(int)a, (int)b, w};
			g->weight[a * g->n + b] = g->weight[b * g->n + a] = w;
		}
}

static void say(const struct graph *g, bool most, const int *mate)
{
	int64_t sum = 0;

	for (size_t v = 0; v < g->n; v++)
		if (mate[v] > (int)v)
			sum += g->weight[v * g->n + (size_t)mate[v]];
	printf("%zu %zu %d %" PRId64 " %zu\n", g->n, g->nedges, most, sum,
	       matching_size(g->n, mate));
	for (size_t k = 0; k < g->nedges; k++)
		printf("%d %d %" PRId64 "\n", g->edge[k].a, g->edge[k].b,
		       g->edge[k].weight);
}

int main(int argc, char **argv)
{
	long graphs = argc > 1 ? strtol(argv[1], NULL, 10) : 100;
	struct rand r = {2026};

	for (long i = 0; i < graphs; i++) {
		bool most = i % 2;
		struct graph g;
		int mate[128];

		make(&g, &r);
		if (most && g.nedges == g.n * (g.n - 1) / 2)
			weighted_match_all(g.n, g.weight, mate);
		else
			weighted_match(g.n, g.edge, g.nedges, most, mate);
		say(&g, most, mate);
		free(g.edge);
		free(g.weight);
	}
	return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
