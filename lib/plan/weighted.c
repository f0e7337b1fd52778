#include "plan/weighted.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plan/matching.h"
#include "plan/weighted_impl.h"

/* Of the complete graph so many edges of each vertex are looked at first. */
enum { NEAR = 12 };

int weighted_tail(const struct weighted *w, int arc)
{
	return w->head[arc ^ 1];
}

bool weighted_even(const struct weighted *w, int v)
{
	return w->blossom[w->top[v]].label == EVEN;
}

/* Not below 0 unless both ends lie in one blossom. */
static int64_t slack(const struct weighted *w, int arc)
{
	return w->blossom[w->head[arc]].dual +
	       w->blossom[w->head[arc ^ 1]].dual - 2 * w->weight[arc / 2];
}

int weighted_best(const struct weighted *w, int v)
{
	int best = -1;

	for (int i = w->from[v]; i < w->from[v + 1]; i++) {
		int arc = w->out[i] ^ 1, tail = weighted_tail(w, arc);

		if (weighted_even(w, tail) && w->top[tail] != w->top[v] &&
		    (best < 0 || slack(w, arc) < slack(w, best)))
			best = arc;
	}
	return best;
}

/* ---- a search's life ---- */

static void take_edges(struct weighted *w, const struct weighted_edge *edges)
{
	int *next = mem_zero(w->n + 1, sizeof(*next));

	for (size_t k = 0; k < w->nedges; k++) {
		w->head[2 * k] = edges[k].b;
		w->head[2 * k + 1] = edges[k].a;
		w->weight[k] = edges[k].weight;
		w->from[edges[k].a + 1]++;
		w->from[edges[k].b + 1]++;
	}
	for (size_t v = 0; v < w->n; v++) {
		w->from[v + 1] += w->from[v];
		next[v] = w->from[v];
	}
	for (int arc = 0; arc < 2 * (int)w->nedges; arc++)
		w->out[next[weighted_tail(w, arc)]++] = arc;
	free(next);
}

static void search_open(struct weighted *w, size_t n,
			const struct weighted_edge *edges, size_t nedges)
{
	*w = (struct weighted){.n = n, .nedges = nedges};
	w->from = mem_zero(n + 1, sizeof(*w->from));
	w->out = mem_zero(2 * nedges + 1, sizeof(*w->out));
	w->head = mem_zero(2 * nedges + 1, sizeof(*w->head));
	w->weight = mem_zero(nedges + 1, sizeof(*w->weight));
	w->mate = mem_zero(n + 1, sizeof(*w->mate));
	w->top = mem_zero(n + 1, sizeof(*w->top));
	w->best = mem_zero(n + 1, sizeof(*w->best));
	w->queue = mem_zero(n + 1, sizeof(*w->queue));
	w->due = mem_zero(n + 1, sizeof(*w->due));
	w->blossom = mem_zero(2 * n + 1, sizeof(*w->blossom));
	w->unused = mem_zero(n + 1, sizeof(*w->unused));
	for (size_t b = 2 * n; b-- > n;)
		w->unused[w->nunused++] = (int)b;
	take_edges(w, edges);
}

static void search_release(struct weighted *w)
{
	for (size_t b = w->n; b < 2 * w->n; b++) {
		free(w->blossom[b].child);
		free(w->blossom[b].link);
	}
	free(w->from);
	free(w->out);
	free(w->head);
	free(w->weight);
	free(w->mate);
	free(w->top);
	free(w->best);
	free(w->queue);
	free(w->due);
	free(w->blossom);
	free(w->unused);
}

/* ---- the search ---- */

static void begin(struct weighted *w)
{
	int64_t most = 0;

	for (size_t k = 0; k < w->nedges; k++)
		if (w->weight[k] > most)
			most = w->weight[k];
	for (size_t v = 0; v < w->n; v++) {
		w->blossom[v] = (struct blossom){
			.parent = -1,
			.base = (int)v,
			.dual = most,
		};
		w->mate[v] = -1;
		w->top[v] = (int)v;
	}
	for (size_t v = 0; v < w->n; v++)
		weighted_label(w, (int)v, EVEN, -1);
}

static void grow(struct weighted *w, int arc)
{
	int odd = w->top[w->head[arc]];
	int out = w->mate[w->blossom[odd].base];

	weighted_label(w, odd, ODD, arc);
	weighted_label(w, w->top[w->head[out]], EVEN, out);
}

/* An arc without slack, from an even vertex to another blossom. */
static void use(struct weighted *w, int arc)
{
	const struct blossom *a = &w->blossom[w->top[weighted_tail(w, arc)]];
	const struct blossom *b = &w->blossom[w->top[w->head[arc]]];

	if (b->label == FREE)
		grow(w, arc);
	else if (b->label == EVEN && a->root == b->root)
		weighted_shrink(w, arc);
	else if (b->label == EVEN)
		weighted_augment(w, arc);
}

static void note(struct weighted *w, int v, int arc)
{
	if (w->best[v] < 0 || slack(w, arc) < slack(w, w->best[v]))
		w->best[v] = arc;
}

/* Look at the arcs out of an even vertex. */
static void look(struct weighted *w, int v)
{
	for (int i = w->from[v]; i < w->from[v + 1]; i++) {
		int arc = w->out[i], to = w->head[arc];

		if (w->top[to] == w->top[v])
			continue;
		if (weighted_even(w, to))
			note(w, v, arc ^ 1);
		else
			note(w, to, arc);
		if (slack(w, arc))
			continue;
		use(w, arc);
		if (!weighted_even(w, v))
			return;
	}
}

/* Its best arc, or -1 if it has none that matters now. */
static int best_of(struct weighted *w, int v)
{
	const struct blossom *t = &w->blossom[w->top[v]];
	int arc = w->best[v];

	if (t->label == ODD)
		return -1;
	if (t->label == EVEN && arc >= 0 &&
	    (!weighted_even(w, weighted_tail(w, arc)) ||
	     w->top[weighted_tail(w, arc)] == w->top[v]))
		arc = w->best[v] = weighted_best(w, v);
	return arc;
}

/* Vertex v has something due when duals have moved by delta. */
static void due(struct weighted *w, int v, int64_t delta)
{
	if (delta > w->delta)
		return;
	if (delta < w->delta)
		w->ndue = 0;
	w->delta = delta;
	w->due[w->ndue++] = v;
}

/* How far the duals of even vertices may fall, and those of odd ones rise,
 * until an arc has no slack any more, or a blossom's dual is 0: w->delta,
 * INT64_MAX for ever. */
static void find_due(struct weighted *w)
{
	w->delta = INT64_MAX;
	w->ndue = 0;
	for (int v = 0; v < (int)w->n; v++) {
		const struct blossom *t = &w->blossom[w->top[v]];
		int arc = best_of(w, v);

		if (arc >= 0)
			due(w, v, slack(w, arc) / (t->label == EVEN ? 2 : 1));
		else if (t->label == ODD && t->n && t->base == v)
			due(w, v, t->dual);
	}
}

/* The least dual of an even vertex, which that of the free ones is. */
static int64_t least_dual(const struct weighted *w)
{
	int64_t least = INT64_MAX;

	for (int v = 0; v < (int)w->n; v++)
		if (weighted_even(w, v) && w->blossom[v].dual < least)
			least = w->blossom[v].dual;
	return least;
}

static void shift(struct weighted *w)
{
	int64_t delta = w->delta;

	for (size_t v = 0; v < w->n; v++) {
		struct blossom *t = &w->blossom[w->top[v]];

		if (t->label == FREE)
			continue;
		w->blossom[v].dual += t->label == EVEN ? -delta : delta;
		if (t->n && t->base == (int)v) /* once a blossom */
			t->dual += t->label == EVEN ? delta : -delta;
	}
}

static void use_due(struct weighted *w)
{
	for (size_t i = 0; i < w->ndue; i++) {
		int v = w->due[i], t = w->top[v], arc = best_of(w, v);

		if (arc >= 0 && !slack(w, arc))
			use(w, arc);
		else if (w->blossom[t].label == ODD && w->blossom[t].n &&
			 !w->blossom[t].dual)
			weighted_expand(w, t);
	}
}

static void search(struct weighted *w, bool most)
{
	begin(w);
	for (;;) {
		while (w->queued)
			look(w, w->queue[--w->queued]);
		find_due(w);
		if (w->delta == INT64_MAX ||
		    (!most && least_dual(w) <= w->delta))
			return;
		shift(w);
		use_due(w);
	}
}

static size_t result(const struct weighted *w, int *mate)
{
	for (size_t v = 0; v < w->n; v++)
		mate[v] = w->mate[v] < 0 ? MATCHING_NONE : w->head[w->mate[v]];
	return matching_size(w->n, mate);
}

size_t weighted_match(size_t n, const struct weighted_edge *edges,
		      size_t nedges, bool most, int *mate)
{
	struct weighted w;
	size_t pairs;

	search_open(&w, n, edges, nedges);
	search(&w, most);
	pairs = result(&w, mate);
	search_release(&w);
	return pairs;
}

/* ---- the complete graph: few edges first, then those that were missed ---- */

struct pool {
	struct weighted_edge *edge;
	size_t n, cap;
	size_t vertices;
	unsigned char *has; /* by both ends */
};

static void pool_add(struct pool *p, const int64_t *weight, size_t a, size_t b)
{
	size_t n = p->vertices;

	if (p->has[a * n + b])
		return;
	p->has[a * n + b] = p->has[b * n + a] = 1;
	p->edge = mem_grow(p->edge, &p->cap, p->n + 1, sizeof(*p->edge));
	p->edge[p->n++] =
		(struct weighted_edge){(int)a, (int)b, weight[a * n + b]};
}

/* The NEAR heaviest edges of a vertex; of equal ones those to the vertices
 * after it, or all would go to the same few. */
static void pool_add_near(struct pool *p, const int64_t *weight, size_t v)
{
	size_t near[NEAR], found = 0, n = p->vertices;
	const int64_t *row = weight + v * n;

	for (size_t step = 1; step < n; step++) {
		size_t to = (v + step) % n, i = found;

		if (found == NEAR && row[to] <= row[near[i - 1]])
			continue;
		i = found < NEAR ? found++ : NEAR - 1;
		for (; i && row[near[i - 1]] < row[to]; i--)
			near[i] = near[i - 1];
		near[i] = to;
	}
	for (size_t i = 0; i < found; i++)
		pool_add(p, weight, v, near[i]);
}

static int64_t dual_of_both(const struct weighted *w, int a, int b)
{
	int64_t sum = 0;

	for (int t = w->blossom[a].parent; t >= 0; t = w->blossom[t].parent)
		for (int s = w->blossom[b].parent; s >= 0;
		     s = w->blossom[s].parent)
			if (s == t)
				sum += w->blossom[t].dual;
	return sum;
}

/* Add the edges whose slack would be below 0: without any, w is the answer
 * for the complete graph too (complementary slackness). False if some were. */
static bool pool_complete(struct pool *p, const struct weighted *w,
			  const int64_t *weight)
{
	size_t n = p->vertices, before = p->n;

	for (size_t a = 0; a < n; a++)
		for (size_t b = a + 1; b < n; b++) {
			int64_t s = w->blossom[a].dual + w->blossom[b].dual -
				    2 * weight[a * n + b];

			if (s < 0 && !p->has[a * n + b] &&
			    s + 2 * dual_of_both(w, (int)a, (int)b) < 0)
				pool_add(p, weight, a, b);
		}
	return p->n == before;
}

/* A first pool may be unable to pair all. */
static void pool_add_all(struct pool *p, const int64_t *weight)
{
	for (size_t a = 0; a < p->vertices; a++)
		for (size_t b = a + 1; b < p->vertices; b++)
			pool_add(p, weight, a, b);
}

size_t weighted_match_all(size_t n, const int64_t *weight, int *mate)
{
	struct pool p = {.vertices = n, .has = mem_zero(n * n + 1, 1)};
	size_t pairs;
	bool done;

	for (size_t v = 0; v < n; v++)
		pool_add_near(&p, weight, v);
	do {
		struct weighted w;

		search_open(&w, n, p.edge, p.n);
		search(&w, true);
		pairs = result(&w, mate);
		done = pairs == n / 2 && pool_complete(&p, &w, weight);
		search_release(&w);
		if (pairs < n / 2)
			pool_add_all(&p, weight);
	} while (!done);
	free(p.edge);
	free(p.has);
	return pairs;
}
