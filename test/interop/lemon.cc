// lemon - checks what matching.c prints against LEMON's matchings, as TAP. The
// argument is how many graphs there must be.
#include <cstdio>
#include <cstdlib>
#include <lemon/matching.h>
#include <lemon/smart_graph.h>

using Graph = lemon::SmartGraph;
using Weights = Graph::EdgeMap<long long>;

// Where most pairs are asked for, each pair weighs more than all the others.
static const long long pair_worth = 1LL << 40;

int main(int argc, char **argv)
{
	size_t expected = argc > 1 ? strtoul(argv[1], nullptr, 10) : 0;
	size_t n, edges, pairs, count = 0, bad = 0;
	long long sum;
	int most;

	while (scanf("%zu %zu %d %lld %zu", &n, &edges, &most, &sum, &pairs) ==
	       5) {
		Graph g;
		Weights weight(g);

		g.reserveNode(n);
		for (size_t v = 0; v < n; v++)
			g.addNode();
		for (size_t k = 0; k < edges; k++) {
			int a, b;
			long long w;

			if (scanf("%d %d %lld", &a, &b, &w) != 3)
				return 1;
			weight[g.addEdge(g.nodeFromId(a), g.nodeFromId(b))] =
				w + (most ? pair_worth : 0);
		}
		lemon::MaxWeightedMatching<Graph, Weights> m(g, weight);
		m.run();
		if (most)
			sum += (long long)pairs * pair_worth;
		bool same = m.matchingWeight() == sum;
		bad += !same;
		printf("%sok %zu - %zu vertices, %zu edges, %s: as LEMON\n",
		       same ? "" : "not ", ++count, n, edges,
		       most ? "most pairs" : "most weight");
	}
	printf("1..%zu\n", expected);
	return bad || count != expected;
}
