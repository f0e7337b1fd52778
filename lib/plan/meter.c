#include "plan/meter.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

enum { TWICE = 2 }; /* as fast, in half octaves */

/* How far (in half octaves) an estimate may stray from its committed level
 * before that is corrected. */
static const double STRAY = 0.75;

static struct meter_estimate *estimate_of(const struct meter *m, int64_t from,
					  int64_t to)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->estimates[i].from == from && m->estimates[i].to == to)
			return &m->estimates[i];
	return NULL;
}

void meter_measured(struct meter *m, int64_t from, int64_t to, double bps)
{
	struct meter_estimate *e = estimate_of(m, from, to);

	if (!isfinite(bps) || bps <= 0)
		return;
	if (e) {
		cusum_add(&e->speed, 2 * log2(bps));
		e->times++;
		return;
	}
	m->estimates = mem_grow(m->estimates, &m->cap, m->n + 1,
				sizeof(*m->estimates));
	e = &m->estimates[m->n++];
	*e = (struct meter_estimate){.from = from, .to = to, .times = 1};
	cusum_begin(&e->speed, 2 * log2(bps));
}

size_t meter_times(const struct meter *m, int64_t a, int64_t b)
{
	const struct meter_estimate *x = estimate_of(m, a, b);
	const struct meter_estimate *y = estimate_of(m, b, a);

	if (!x || !y)
		return x ? x->times : y ? y->times : 0;
	if (x->speed.level > y->speed.level + TWICE)
		return y->times;
	if (y->speed.level > x->speed.level + TWICE)
		return x->times;
	return x->times + y->times;
}

static bool worth_it(const struct meter_estimate *e, const struct bandwidth *b)
{
	const struct bandwidth_cell *cell = bandwidth_find(b, e->from, e->to);

	return !cell || fabs(e->speed.level - cell->level) > STRAY;
}

size_t meter_delta(const struct meter *m, const struct bandwidth *b,
		   struct bandwidth_cell **out)
{
	size_t n = 0;

	*out = mem_zero(m->n + 1, sizeof(**out));
	for (size_t i = 0; i < m->n; i++) {
		const struct meter_estimate *e = &m->estimates[i];

		if (worth_it(e, b))
			(*out)[n++] = (struct bandwidth_cell){
				e->from, e->to,
				(int32_t)lround(e->speed.level)};
	}
	return n;
}

void meter_release(struct meter *m)
{
	free(m->estimates);
	*m = (struct meter){0};
}
