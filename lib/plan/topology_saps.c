/* topology_saps.c - the peer selection of SAPS-PSGD (arXiv 2002.09692, section
 * 4), which GossipFL releases: a random matching of the fast links as long as
 * the pairs of the last rounds connect everyone; else one of the links that
 * connect them, however slow, and of the fast ones among who is left. Ours
 * looks back topology_window() rounds, not always 3, and lets one of an odd
 * number rest. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plan/matching.h"
#include "plan/parts.h"
#include "plan/topology_impl.h"

static void drop_within(unsigned char *edge, int *part, size_t n)
{
	for (size_t i = 0; i < n * n; i++)
		if (parts_root(part, (int)(i / n)) ==
		    parts_root(part, (int)(i % n)))
			edge[i] = 0;
}

/* A random matching of the most pairs among those who have no mate yet. */
static void match_rest(const struct topology_round *a, unsigned char *edge,
		       int *mate)
{
	size_t n = a->n, count;
	struct topology_edge *order;

	for (size_t v = 0; v < n; v++)
		if (mate[v] >= 0)
			topology_cut(edge, n, (int)v);
	order = topology_shuffle(n, edge, a->r, &count);
	for (size_t i = 0; i < count; i++) {
		if (mate[order[i].a] >= 0 || mate[order[i].b] >= 0)
			continue;
		mate[order[i].a] = order[i].b;
		mate[order[i].b] = order[i].a;
	}
	matching_augment(n, edge, mate);
	free(order);
}

void topology_saps(const struct topology_round *a, int *mate)
{
	size_t n = a->n;
	unsigned char *all = mem_zero(n * n, 1), *edge = mem_zero(n * n, 1);
	int *part = mem_zero(n, sizeof(*part));

	topology_edges(n, a->bps, 0, all);
	topology_bye(a, all);
	topology_parts(part, a->past);
	if (parts_count(part, n) > 1) {
		memcpy(edge, all, n * n);
		drop_within(edge, part, n);
		match_rest(a, edge, mate);
	}
	topology_edges(n, a->bps, a->theta, edge);
	for (size_t i = 0; i < n * n; i++)
		edge[i] &= all[i];
	match_rest(a, edge, mate);
	match_rest(a, all, mate);
	free(part);
	free(edge);
	free(all);
}
