#include "fl/aggregate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fl/aggregate_impl.h"

/* Of an update; sums of products with float32 values stay finite. */
static const double weight_most = 1e18;

static const struct aggregate_rule rules[] = {
	{"fedavg", 0, 0, aggregate_sgd},
	{"fedprox", AGGREGATE_PROX, 0, aggregate_sgd},
	{"fedavgm", 0, 1, aggregate_avgm},
	{"fedadagrad", 0, 2, aggregate_adagrad},
	{"fedyogi", 0, 2, aggregate_yogi},
	{"fedadam", 0, 2, aggregate_adam},
};

static const struct aggregate_rule *rule_of(const char *name)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (!strcmp(rules[i].name, name))
			return &rules[i];
	return NULL;
}

static int check_opts(const struct aggregate_opts *o, struct err *err)
{
	const struct {
		const char *name;
		double value, least, below;
	} bounds[] = {
		{"learning rate", o->lr, 0, 1e6}, {"beta1", o->beta1, 0, 1},
		{"beta2", o->beta2, 0, 1},        {"tau", o->tau, 1e-30, 1e30},
		{"clip", o->clip, 0, INFINITY},
	};

	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		if (!(bounds[i].value >= bounds[i].least &&
		      bounds[i].value < bounds[i].below))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "aggregation with %s %g: expected %g to "
				       "below %g",
				       bounds[i].name, bounds[i].value,
				       bounds[i].least, bounds[i].below);
	return 0;
}

int aggregate_open(struct aggregate **out, const char *rule,
		   const struct aggregate_opts *opts, size_t n, size_t trained,
		   struct err *err)
{
	const struct aggregate_rule *r = rule_of(rule);
	struct aggregate *a;

	if (!r)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "no rule of aggregation is called \"%s\": "
			       "expected one of " AGGREGATE_RULES,
			       rule);
	if (check_opts(opts, err))
		return (int)err->code;
	a = mem_zero(1, sizeof(*a));
	a->rule = r;
	a->o = *opts;
	a->n = n;
	a->trained = trained;
	a->sum = mem_zero(n + 1, sizeof(*a->sum));
	for (int k = 0; k < r->moments; k++)
		a->moment[k] = mem_zero(trained + 1, sizeof(*a->moment[k]));
	for (size_t i = 0; r->moments > 1 && i < trained; i++)
		a->moment[1][i] = (float)(opts->tau * opts->tau);
	*out = a;
	return 0;
}

void aggregate_free(struct aggregate *a)
{
	if (!a)
		return;
	free(a->moment[0]);
	free(a->moment[1]);
	free(a->sum);
	free(a);
}

unsigned aggregate_needs(const struct aggregate *a)
{
	return a->rule->needs;
}

size_t aggregate_count(const struct aggregate *a)
{
	return a->count;
}

size_t aggregate_least(const struct aggregate *a)
{
	(void)a;
	return 1;
}

void aggregate_begin(struct aggregate *a, const float *global)
{
	a->global = global;
	a->count = a->clipped = 0;
	a->weight = 0;
	a->first = a->rest = (struct aggregate_tally){0};
	memset(a->sum, 0, a->n * sizeof(*a->sum));
}

/* ---- an update ---- */

static int refuse(const struct aggregate_update *u, struct err *err,
		  const char *why)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "update of client %lld: %s",
		       (long long)u->client, why);
}

static int check_form(const struct aggregate *a,
		      const struct aggregate_update *u, struct err *err)
{
	const double most = a->o.weight_max > 0 ? a->o.weight_max : weight_most;

	if (!a->global)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "update of client %lld: no round is open",
			       (long long)u->client);
	if (u->n != a->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "update of client %lld: %zu values, where the "
			       "model has %zu",
			       (long long)u->client, u->n, a->n);
	if (!(u->weight > 0 && u->weight <= most))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "update of client %lld: weight %g, expected "
			       "above 0 to %g",
			       (long long)u->client, u->weight, most);
	return 0;
}

/* How much shorter the update is made: *share of its length. */
static int check_length(const struct aggregate *a,
			const struct aggregate_update *u, double *share,
			struct err *err)
{
	double norm;

	*share = 1;
	if (a->o.clip <= 0 && a->o.norm_max <= 0)
		return 0;
	norm = sqrt(aggregate_square(u->values, u->delta ? NULL : a->global,
				     a->trained));
	if (!isfinite(norm))
		return refuse(u, err, "a value is not finite");
	if (a->o.norm_max > 0 && norm > a->o.norm_max)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "update of client %lld: it is %g long, where at "
			       "most %g is allowed",
			       (long long)u->client, norm, a->o.norm_max);
	if (a->o.clip > 0 && norm > a->o.clip)
		*share = a->o.clip / norm;
	return 0;
}

static void count_in(struct aggregate_tally *t, double coef, double share,
		     bool delta)
{
	t->coef += coef;
	t->absolute += delta ? 0 : coef * share;
}

int aggregate_admit(struct aggregate *a, const struct aggregate_update *u,
		    struct err *err)
{
	const size_t rest = a->n - a->trained;
	const double room = a->count ? 0x1p20 * a->first.coef : INFINITY;
	double share;

	if (check_form(a, u, err) || check_length(a, u, &share, err))
		return (int)err->code;
	if (!aggregate_is_finite(u->values + a->trained, rest) ||
	    !aggregate_add(a->sum, u->values, a->trained, u->weight * share,
			   room))
		return refuse(u, err, "a value is not finite");
	aggregate_add(a->sum + a->trained, u->values + a->trained, rest,
		      u->weight, INFINITY);
	count_in(&a->first, u->weight, share, u->delta);
	count_in(&a->rest, u->weight, 1, u->delta);
	a->count++;
	a->weight += u->weight;
	a->clipped += share < 1;
	return 0;
}

/* ---- the next model ---- */

/* Values from at on, len of them, and what they become. */
struct tile {
	size_t at, len;
	float x[AGGREGATE_TILE], moment[2][AGGREGATE_TILE];
	double d[AGGREGATE_TILE]; /* the updates' mean difference */
};

static void fill(struct tile *t, const struct aggregate *a, const float *global)
{
	const bool first = t->at < a->trained;
	const struct aggregate_tally *of = first ? &a->first : &a->rest;
	const size_t end = first ? a->trained : a->n;
	const double keep = of->absolute / of->coef;

	t->len = end - t->at < AGGREGATE_TILE ? end - t->at : AGGREGATE_TILE;
	memcpy(t->x, global + t->at, t->len * sizeof(*t->x));
	for (int k = 0; k < a->rule->moments && first; k++)
		memcpy(t->moment[k], a->moment[k] + t->at,
		       t->len * sizeof(*t->x));
	for (size_t i = 0; i < t->len; i++)
		t->d[i] = a->sum[t->at + i] / of->coef - keep * (double)t->x[i];
}

static void step(struct tile *t, const struct aggregate *a)
{
	const struct aggregate_opts mean = {.lr = 1};

	if (t->at < a->trained)
		a->rule->step(&a->o, t->x, t->moment[0], t->moment[1], t->d,
			      t->len);
	else
		aggregate_sgd(&mean, t->x, NULL, NULL, t->d, t->len);
}

static bool is_finite(const struct tile *t, const struct aggregate *a)
{
	bool ok = aggregate_is_finite(t->x, t->len);

	for (int k = 0; k < a->rule->moments && t->at < a->trained; k++)
		ok = ok && aggregate_is_finite(t->moment[k], t->len);
	return ok;
}

static void keep(const struct tile *t, struct aggregate *a, float *global)
{
	memcpy(global + t->at, t->x, t->len * sizeof(*t->x));
	for (int k = 0; k < a->rule->moments && t->at < a->trained; k++)
		memcpy(a->moment[k] + t->at, t->moment[k],
		       t->len * sizeof(*t->x));
}

/* All steps once to see that they are finite, then once more to keep them: a
 * round that fails leaves everything as it was. */
static bool steps(struct aggregate *a, float *global, bool sure, double *moved)
{
	struct tile t;

	for (t.at = 0; t.at < a->n; t.at += t.len) {
		fill(&t, a, global);
		step(&t, a);
		if (!sure && !is_finite(&t, a))
			return false;
		if (!sure)
			continue;
		*moved += aggregate_square(t.x, global + t.at, t.len);
		keep(&t, a, global);
	}
	return true;
}

int aggregate_finish(struct aggregate *a, float *global,
		     struct aggregate_facts *facts, struct err *err)
{
	double moved = 0;

	if (!a->global || a->count < aggregate_least(a))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "aggregation by %s: %zu updates, needs %zu",
			       a->rule->name, a->count, aggregate_least(a));
	if (!steps(a, global, false, NULL))
		return err_set(err, ERR_ABORTED,
			       "aggregation by %s: the next model is not "
			       "finite: lr %g is too high",
			       a->rule->name, a->o.lr);
	steps(a, global, true, &moved);
	a->global = NULL;
	if (facts)
		*facts = (struct aggregate_facts){.updates = a->count,
						  .weight = a->weight,
						  .moved = sqrt(moved),
						  .clipped = a->clipped};
	return 0;
}
