#include "test.h"

#include "base/rand.h"
#include "plan/matching.h"

/* The largest matching of the vertices in `left`, by trying everything. */
static int brute(size_t n, const unsigned char *edge, unsigned left)
{
	int v = 0, best;

	if (!left)
		return 0;
	while (!(left & (1u << v)))
		v++;
	left &= ~(1u << v);
	best = brute(n, edge, left);
	for (size_t w = 0; w < n; w++) {
		int with;

		if (!(left & (1u << w)) || !edge[(size_t)v * n + w])
			continue;
		with = 1 + brute(n, edge, left & ~(1u << w));
		best = with > best ? with : best;
	}
	return best;
}

static void check_matching(size_t n, const unsigned char *edge, const int *mate)
{
	for (size_t v = 0; v < n; v++)
		if (mate[v] >= 0) {
			CHECK(edge[v * n + (size_t)mate[v]]);
			CHECK_INT(mate[mate[v]], v);
		}
}

static void set(unsigned char *edge, size_t n, size_t i, size_t j)
{
	edge[i * n + j] = edge[j * n + i] = 1;
}

TEST(matching_is_maximum_on_every_graph_of_up_to_six_vertices)
{
	for (size_t n = 1; n <= 6; n++)
		for (unsigned bits = 0; bits < 1u << (n * (n - 1) / 2);
		     bits++) {
			unsigned char edge[36] = {0};
			int mate[6] = {-1, -1, -1, -1, -1, -1};
			unsigned b = bits;

			for (size_t i = 0; i < n; i++)
				for (size_t j = i + 1; j < n; j++, b >>= 1)
					if (b & 1)
						set(edge, n, i, j);
			CHECK_INT(matching_augment(n, edge, mate),
				  brute(n, edge, (1u << n) - 1));
			check_matching(n, edge, mate);
		}
}

TEST(matching_is_maximum_on_random_graphs_from_a_greedy_start)
{
	struct rand r = {7};

	for (int round = 0; round < 3000; round++) {
		size_t n = 7 + rand_below(&r, 6);
		double density = 0.1 + 0.5 * rand_unit(&r);
		unsigned char edge[144] = {0};
		int mate[12], was[12];

		memset(mate, 0xff, sizeof(mate));

		for (size_t i = 0; i < n; i++)
			for (size_t k = i + 1; k < n; k++)
				if (rand_unit(&r) < density)
					set(edge, n, i, k);
		for (size_t i = 0; i < n; i++)
			for (size_t j = i + 1; j < n; j++)
				if (edge[i * n + j] && mate[i] < 0 &&
				    mate[j] < 0) {
					mate[i] = (int)j;
					mate[j] = (int)i;
				}
		memcpy(was, mate, sizeof(was));
		CHECK_INT(matching_augment(n, edge, mate),
			  brute(n, edge, (1u << n) - 1));
		check_matching(n, edge, mate);
		for (size_t v = 0; v < n; v++)
			CHECK(was[v] < 0 || mate[v] >= 0);
	}
}
