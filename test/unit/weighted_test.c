#include "test.h"

#include "base/mem.h"
#include "base/rand.h"
#include "plan/matching.h"
#include "plan/weighted.h"

enum { NO_EDGE = INT32_MIN };

struct graph {
	size_t n, nedges;
	struct weighted_edge edge[64];
	int64_t weight[12][12]; /* NO_EDGE or the edge's */
};

/* How good a matching is: with `most` a pair counts for more than any weight.
 */
static int64_t worth(int64_t weight, bool most)
{
	return weight + (most ? 1 << 24 : 0);
}

/* The best matching of the vertices in `left`, by trying everything. */
static int64_t brute(const struct graph *g, bool most, unsigned left)
{
	size_t v = 0;
	int64_t best;

	if (!left)
		return 0;
	while (!(left & (1u << v)))
		v++;
	left &= ~(1u << v);
	best = brute(g, most, left);
	for (size_t to = v + 1; to < g->n; to++) {
		int64_t with;

		if (!(left & (1u << to)) || g->weight[v][to] == NO_EDGE)
			continue;
		with = worth(g->weight[v][to], most) +
		       brute(g, most, left & ~(1u << to));
		best = with > best ? with : best;
	}
	return best;
}

static int64_t worth_of(const struct graph *g, const int *mate, bool most)
{
	int64_t sum = 0;

	for (size_t v = 0; v < g->n; v++) {
		if (mate[v] < 0)
			continue;
		CHECK_INT(mate[mate[v]], v);
		CHECK(g->weight[v][mate[v]] != NO_EDGE);
		if (mate[v] > (int)v)
			sum += worth(g->weight[v][mate[v]], most);
	}
	return sum;
}

static void make(struct graph *g, struct rand *r, size_t n, double density,
		 int64_t lowest, uint64_t span)
{
	g->n = n;
	g->nedges = 0;
	for (size_t a = 0; a < n; a++)
		for (size_t b = a + 1; b < n; b++) {
			int64_t w = lowest + (int64_t)rand_below(r, span);

			if (rand_unit(r) >= density)
				w = NO_EDGE;
			else
				g->edge[g->nedges++] = (struct weighted_edge){
					(int)a, (int)b, w};
			g->weight[a][b] = g->weight[b][a] = w;
		}
}

TEST(weighted_matching_is_the_best_on_small_random_graphs)
{
	static const uint64_t spans[] = {1, 3, 10, 1000, 1 << 20};
	struct rand r = {11};
	int mate[12];

	for (int round = 0; round < 6000; round++) {
		size_t n = 1 + rand_below(&r, 10);
		uint64_t span = spans[rand_below(&r, 5)];
		int64_t lowest = rand_below(&r, 3) ? 0 : -(int64_t)span / 2;
		bool most = round % 2;
		struct graph g;

		make(&g, &r, n, 0.2 + 0.8 * rand_unit(&r), lowest, span);
		weighted_match(n, g.edge, g.nedges, most, mate);
		CHECK_INT(worth_of(&g, mate, most),
			  brute(&g, most, (1u << n) - 1));
	}
}

TEST(weighted_matching_has_the_most_pairs_if_asked)
{
	/* a path 1 - 9 - 1: alone the middle weighs most */
	static const struct weighted_edge path[] = {
		{0, 1, 1}, {1, 2, 9}, {2, 3, 1}};
	int mate[4];

	CHECK_INT(weighted_match(4, path, 3, false, mate), 1);
	CHECK_INT(mate[1], 2);
	CHECK_INT(weighted_match(4, path, 3, true, mate), 2);
	CHECK_INT(mate[0], 1);
	CHECK_INT(weighted_match(3, path, 0, true, mate), 0);
	CHECK_INT(mate[2], MATCHING_NONE);
}

/* An answer for the complete graph is no worse than one from all edges. */
TEST(weighted_matching_of_a_complete_graph_needs_few_of_its_edges)
{
	struct rand r = {3};

	for (int round = 0; round < 60; round++) {
		size_t n = 2 + rand_below(&r, 60), k = 0;
		uint64_t span = round % 2 ? 5 : 1 << 20;
		int64_t *weight = mem_zero(n * n, sizeof(*weight));
		struct weighted_edge *all = mem_zero(n * n, sizeof(*all));
		int few[64], mate[64];
		int64_t sum = 0;

		for (size_t a = 0; a < n; a++)
			for (size_t b = a + 1; b < n; b++) {
				int64_t w = (int64_t)rand_below(&r, span);

				weight[a * n + b] = weight[b * n + a] = w;
				all[k++] = (struct weighted_edge){(int)a,
								  (int)b, w};
			}
		CHECK_INT(weighted_match_all(n, weight, few), n / 2);
		CHECK_INT(weighted_match(n, all, k, true, mate), n / 2);
		for (size_t v = 0; v < n; v++)
			sum += (few[v] < 0 ? 0 : weight[v * n + few[v]]) -
			       (mate[v] < 0 ? 0 : weight[v * n + mate[v]]);
		CHECK_INT(sum, 0);
		free(weight);
		free(all);
	}
}
