#include "plan/shape.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "plan/parts.h"

enum {
	DRAWS_MAX = 200, /* of random graphs that are not connected */
	SWAPS = 10,       /* an edge, so that a regular graph is by chance */
};

struct drawing {
	size_t n;
	unsigned char *edge;
	struct rand r;
};

static void join(struct drawing *d, size_t i, size_t j)
{
	d->edge[i * d->n + j] = d->edge[j * d->n + i] = 1;
}

static void cut(struct drawing *d, size_t i, size_t j)
{
	d->edge[i * d->n + j] = d->edge[j * d->n + i] = 0;
}

static bool joined(const struct drawing *d, size_t i, size_t j)
{
	return d->edge[i * d->n + j];
}

static bool connected(const struct drawing *d)
{
	int *part = mem_zero(d->n, sizeof(*part));
	size_t count;

	parts_init(part, d->n);
	for (size_t i = 0; i < d->n; i++)
		for (size_t j = i + 1; j < d->n; j++)
			if (joined(d, i, j))
				parts_join(part, (int)i, (int)j);
	count = parts_count(part, d->n);
	free(part);
	return count == 1;
}

/* ---- grid ---- */

static size_t most_square(size_t n)
{
	size_t rows = (size_t)sqrt((double)n);

	while (n % rows)
		rows--;
	return rows;
}

static int make_grid(struct drawing *d, size_t rows, struct err *err)
{
	size_t columns;

	if (!rows)
		rows = most_square(d->n);
	if (d->n % rows)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a grid of %zu cannot have %zu rows", d->n,
			       rows);
	columns = d->n / rows;
	for (size_t v = 0; v < d->n; v++) {
		if ((v + 1) % columns)
			join(d, v, v + 1);
		if (v + columns < d->n)
			join(d, v, v + columns);
	}
	return 0;
}

/* ---- regular ---- */

/* Each with the degree/2 on either side, and with who is opposite if that is
 * odd. */
static void circulant(struct drawing *d, size_t degree)
{
	for (size_t v = 0; v < d->n; v++) {
		for (size_t k = 1; k <= degree / 2; k++)
			join(d, v, (v + k) % d->n);
		if (degree % 2)
			join(d, v, (v + d->n / 2) % d->n);
	}
}

struct edge {
	size_t a, b;
};

static struct edge *edges_of(const struct drawing *d, size_t *n)
{
	struct edge *all = mem_zero(d->n * d->n / 2 + 1, sizeof(*all));

	*n = 0;
	for (size_t i = 0; i < d->n; i++)
		for (size_t j = i + 1; j < d->n; j++)
			if (joined(d, i, j))
				all[(*n)++] = (struct edge){i, j};
	return all;
}

/* Two edges exchange an end, which leaves every degree; not where that would
 * make a loop, or an edge twice. */
static void swap_ends(struct drawing *d, struct edge *all, size_t n)
{
	struct edge *e = &all[rand_below(&d->r, n)];
	struct edge *f = &all[rand_below(&d->r, n)];
	size_t c = f->a, to = f->b;

	if (rand_below(&d->r, 2)) {
		c = f->b;
		to = f->a;
	}
	if (e->a == c || e->a == to || e->b == c || e->b == to ||
	    joined(d, e->a, to) || joined(d, c, e->b))
		return;
	cut(d, e->a, e->b);
	cut(d, c, to);
	join(d, e->a, to);
	join(d, c, e->b);
	*f = (struct edge){c, e->b};
	e->b = to;
}

static int check_degree(size_t n, size_t degree, struct err *err)
{
	if (degree >= n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "none of %zu can have %zu neighbours", n,
			       degree);
	if (n * degree % 2)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%zu times %zu neighbours is odd, and every "
			       "edge has two ends",
			       n, degree);
	if (degree < 2 && n > 2)
		return err_set(
			err, ERR_INVALID_ARGUMENT,
			"with %zu neighbours each, %zu are not connected",
			degree, n);
	return 0;
}

static int make_regular(struct drawing *d, size_t degree, struct err *err)
{
	struct edge *all;
	size_t n;

	if (check_degree(d->n, degree, err))
		return (int)err->code;
	circulant(d, degree);
	all = edges_of(d, &n);
	do {
		for (size_t i = 0; i < SWAPS * n; i++)
			swap_ends(d, all, n);
	} while (!connected(d));
	free(all);
	return 0;
}

/* ---- random ---- */

static void draw(struct drawing *d, double p)
{
	memset(d->edge, 0, d->n * d->n);
	for (size_t i = 0; i < d->n; i++)
		for (size_t j = i + 1; j < d->n; j++)
			if (rand_unit(&d->r) < p)
				join(d, i, j);
}

static int make_random(struct drawing *d, double p, struct err *err)
{
	double enough = 2 * log((double)d->n) / (double)d->n;

	if (p == 0)
		p = enough < 1 ? enough : 1;
	if (!(p > 0 && p <= 1))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "an edge's probability is %g, not above 0 and "
			       "at most 1",
			       p);
	for (int i = 0; i < DRAWS_MAX; i++) {
		draw(d, p);
		if (connected(d))
			return 0;
	}
	return err_set(err, ERR_ABORTED,
		       "of %d random graphs of %zu with probability %g none "
		       "was connected; %.2g would do",
		       DRAWS_MAX, d->n, p, enough < 1 ? enough : 1);
}

int shape_make(const struct shape *s, unsigned char *edge, struct err *err)
{
	struct drawing d = {s->n, edge, {s->seed}};

	if (s->n < 2 || s->n > SHAPE_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a topology of %zu trainers, not 2 to %d", s->n,
			       SHAPE_MAX);
	switch (s->kind) {
	case SHAPE_RING:
		circulant(&d, 2);
		return 0;
	case SHAPE_STAR:
		for (size_t v = 1; v < s->n; v++)
			join(&d, 0, v);
		return 0;
	case SHAPE_FULL:
		for (size_t v = 1; v < s->n; v++)
			for (size_t w = 0; w < v; w++)
				join(&d, v, w);
		return 0;
	case SHAPE_GRID:
		return make_grid(&d, s->rows, err);
	case SHAPE_REGULAR:
		return make_regular(&d, s->degree, err);
	case SHAPE_RANDOM:
		return make_random(&d, s->probability, err);
	}
	return 0;
}
