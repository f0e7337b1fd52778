#include "test.h"

#include "base/rand.h"
#include "plan/graph.h"

TEST(a_delta_sets_and_removes_edges_whatever_their_order)
{
	static const struct graph_edge first[] = {
		{2, 3, 1}, {1, 3, 0.5}, {1, 2, 1}, {1, 3, 2}};
	static const struct graph_edge then[] = {
		{2, 3, 0}, {7, 9, 0}, {1, 2, 3}};
	struct graph g = {0};

	graph_apply(&g, first, 4, 10);
	CHECK_INT(g.n, 3);
	CHECK_INT(g.version, 10);
	CHECK_NEAR(graph_weight(&g, 3, 1), 2, 0);
	graph_apply(&g, then, 3, 12);
	CHECK_INT(g.n, 2);
	CHECK_INT(g.version, 12);
	CHECK_NEAR(graph_weight(&g, 2, 1), 3, 0);
	CHECK_NEAR(graph_weight(&g, 2, 3), 0, 0);
	for (size_t i = 1; i < g.n; i++)
		CHECK(g.edges[i - 1].a < g.edges[i].a ||
		      g.edges[i - 1].b < g.edges[i].b);
	graph_release(&g);
}

TEST(without_edges_anybody_may_exchange_with_anybody)
{
	static const int64_t ids[] = {1, 2, 9};
	double bps[9] = {0, 5, 5, 5, 0, 5, 5, 5, 0};
	static const struct graph_edge one = {1, 9, 2};
	struct graph g = {0};

	CHECK_NEAR(graph_weight(&g, 1, 2), 1, 0);
	CHECK_INT(graph_parts(&g, ids, 3), 1);
	graph_limit(&g, ids, 3, bps);
	CHECK_NEAR(bps[1], 5, 0);
	graph_replace(&g, &one, 1, 4);
	CHECK_INT(graph_parts(&g, ids, 3), 2);
	graph_limit(&g, ids, 3, bps);
	CHECK_NEAR(bps[1], 0, 0);
	CHECK_NEAR(bps[2], 10, 0);
	CHECK_NEAR(bps[6], 10, 0);
	graph_release(&g);
}

/* Against a table that is not clever. */
TEST(random_deltas_leave_what_they_say)
{
	double want[12][12] = {0};
	struct rand r = {3};
	struct graph g = {0};
	size_t edges = 0;

	for (int64_t v = 1; v < 2000; v++) {
		struct graph_edge e = {.a = 1 + (int64_t)rand_below(&r, 10)};

		e.b = e.a + 1 + (int64_t)rand_below(&r, (uint64_t)(11 - e.a));
		e.weight = (double)rand_below(&r, 3);
		want[e.a][e.b] = e.weight;
		graph_apply(&g, &e, 1, v);
	}
	for (int64_t a = 1; a < 12; a++)
		for (int64_t b = a + 1; b < 12; b++) {
			edges += want[a][b] > 0;
			CHECK_NEAR(graph_weight(&g, a, b), want[a][b], 0);
		}
	CHECK_INT(g.n, edges);
	graph_release(&g);
}
