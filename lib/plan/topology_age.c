/* topology_age.c - the matching of the greatest sum of ln speed + ln age, where
 * the age of a pair is how many rounds ago it met last, at most a window and
 * one: fast links, but not always the same. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "plan/matching.h"
#include "plan/topology_impl.h"
#include "plan/weighted.h"

/* Logarithms as integers, so that every machine adds them up alike. */
static const double UNIT = 1 << 20;

/* age[i * n + j]: a row of past that is not the newest is overwritten by newer
 * ones, so begin with the oldest. */
static int *ages(const struct topology_past *past)
{
	size_t n = past->n, w = past->window;
	int *age = mem_zero(n * n + 1, sizeof(*age));

	for (size_t i = 0; i < n * n; i++)
		age[i] = (int)w + 1;
	for (size_t back = past->rounds; back >= 1; back--) {
		const int *mate = past->mates + (past->next + w - back) % w * n;

		for (size_t v = 0; v < n; v++)
			if (mate[v] >= 0)
				age[v * n + (size_t)mate[v]] = (int)back;
	}
	return age;
}

static struct weighted_edge *weigh(const struct topology_round *a,
				   const unsigned char *edge, size_t *count)
{
	size_t n = a->n;
	struct topology_edge *order = topology_shuffle(n, edge, a->r, count);
	struct weighted_edge *out = mem_zero(*count + 1, sizeof(*out));
	int *age = ages(a->past);

	for (size_t k = 0; k < *count; k++) {
		size_t i = (size_t)order[k].a * n + (size_t)order[k].b;

		out[k] = (struct weighted_edge){
			.a = order[k].a,
			.b = order[k].b,
			.weight = (int64_t)llrint(
				UNIT * (log(a->bps[i]) + log(age[i]))),
		};
	}
	free(order);
	free(age);
	return out;
}

void topology_age(const struct topology_round *a, int *mate)
{
	size_t n = a->n, count;
	unsigned char *edge = mem_zero(n * n, 1);
	struct weighted_edge *edges;

	topology_edges(n, a->bps, 0, edge);
	topology_bye(a, edge);
	edges = weigh(a, edge, &count);
	weighted_match(n, edges, count, true, mate);
	free(edges);
	free(edge);
}
