/* aggregate_finish.c - what was admitted becomes the next model. */
#include <math.h>
#include <string.h>

#include "fl/aggregate_impl.h"
#include "nn/vector.h"

VECTOR static void differ(struct aggregate_tile *t, const double *restrict sum,
			  double absolute, double scale)
{
	for (size_t i = 0; i < AGGREGATE_TILE; i++)
		t->d[i] = scale * (sum[i] - absolute * (double)t->x[i]);
}

static void fill(struct aggregate_tile *t, const struct aggregate *a,
		 const float *global)
{
	const bool first = t->at < a->trained;
	const size_t end = first ? a->trained : a->n;
	const struct aggregate_tally *of = first ? &a->first : &a->rest;
	const double scale =
		first && a->rule->scale ? a->rule->scale(a) : 1 / of->coef;

	t->len = end - t->at < AGGREGATE_TILE ? end - t->at : AGGREGATE_TILE;
	memcpy(t->x, global + t->at, t->len * sizeof(*t->x));
	for (int k = 0; k < 2 && a->moment[k] && first; k++)
		memcpy(t->moment[k], a->moment[k] + t->at,
		       t->len * sizeof(*t->x));
	differ(t, a->sum + t->at, of->absolute, scale);
}

/* Running means are averaged, whatever the rule. */
static void step(const struct aggregate *a, struct aggregate_tile *t)
{
	if (t->at < a->trained)
		a->rule->step(a, t);
	else
		for (size_t i = 0; i < t->len; i++)
			t->x[i] = (float)((double)t->x[i] + t->d[i]);
}

static bool is_finite(const struct aggregate *a, const struct aggregate_tile *t)
{
	bool ok = aggregate_is_finite(t->x, t->len);

	for (int k = 0; k < 2 && a->moment[k] && t->at < a->trained; k++)
		ok = ok && aggregate_is_finite(t->moment[k], t->len);
	return ok;
}

static void keep(struct aggregate *a, const struct aggregate_tile *t,
		 float *global)
{
	memcpy(global + t->at, t->x, t->len * sizeof(*t->x));
	for (int k = 0; k < 2 && a->moment[k] && t->at < a->trained; k++)
		memcpy(a->moment[k] + t->at, t->moment[k],
		       t->len * sizeof(*t->x));
}

/* All steps once to see that they are finite, then once more to keep them: a
 * round that fails leaves everything as it was. */
static bool steps(struct aggregate *a, float *global, bool sure, double *moved)
{
	struct aggregate_tile t = {0};

	for (t.at = 0; t.at < a->n; t.at += t.len) {
		fill(&t, a, global);
		step(a, &t);
		if (!sure && !is_finite(a, &t))
			return false;
		if (!sure)
			continue;
		*moved += aggregate_square(t.x, global + t.at, t.len);
		keep(a, &t, global);
	}
	return true;
}

/* Models, and a step no further than to their mean: that cannot overflow. */
static bool stays_between(const struct aggregate *a)
{
	return a->rule->step == aggregate_sgd && !a->rule->scale &&
	       a->o.lr <= 1 && a->first.absolute == a->first.coef &&
	       a->rest.absolute == a->rest.coef;
}

int aggregate_finish(struct aggregate *a, float *global,
		     struct aggregate_facts *facts, struct err *err)
{
	double moved = 0;

	if (!a->global || a->count < aggregate_least(a))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "aggregation by %s: %zu updates, needs %zu",
			       a->rule->name, a->count, aggregate_least(a));
	if (a->rule->centre) {
		a->rule->centre(a);
		a->first = a->rest = (struct aggregate_tally){1, 1};
	}
	if (!stays_between(a) && !steps(a, global, false, NULL))
		return err_set(err, ERR_ABORTED,
			       "aggregation by %s: the next model is not "
			       "finite: lr %g is too high",
			       a->rule->name, a->o.lr);
	steps(a, global, true, &moved);
	a->global = NULL;
	if (facts)
		*facts = (struct aggregate_facts){
			.updates = a->count,
			.weight = a->weight,
			.moved = sqrt(moved),
			.clipped = a->clipped,
			.chosen = a->n_chosen ? a->chosen : NULL,
			.n_chosen = a->n_chosen,
		};
	return 0;
}
