/* aggregate_admit.c - an update is looked at, and becomes part of a round. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "fl/aggregate_impl.h"

/* Of weight: sums of products with float32 values stay finite. */
static const double weight_most = 1e18;

/* Of local steps: correction_reach() may go through them. */
static const int64_t steps_most = 1000000;

static int refuse(const struct aggregate_update *u, struct err *err,
		  const char *why)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "update of client %lld: %s",
		       (long long)u->client, why);
}

/* Of n values that do not fit. */
static int refuse_values(const struct aggregate_update *u, const float *x,
			 size_t n, struct err *err)
{
	if (!aggregate_is_finite(x, n))
		return refuse(u, err, "a value is not finite");
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "update of client %lld: a value is beyond +-%g",
		       (long long)u->client, (double)AGGREGATE_VALUE_MAX);
}

static int check_place(const struct aggregate *a,
		       const struct aggregate_update *u, struct err *err)
{
	if (!a->global)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "update of client %lld: no round is open",
			       (long long)u->client);
	if (a->count >= aggregate_most(a))
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "update of client %lld: by %s a round has at "
			       "most %zu updates",
			       (long long)u->client, a->rule->name,
			       aggregate_most(a));
	if (u->n != a->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "update of client %lld: %zu values, where the "
			       "model has %zu",
			       (long long)u->client, u->n, a->n);
	return 0;
}

static int check_numbers(const struct aggregate *a,
			 const struct aggregate_update *u, struct err *err)
{
	const double most = a->o.weight_max > 0 ? a->o.weight_max : weight_most;
	const unsigned needs = a->rule->needs;

	if (!(u->weight > 0 && u->weight <= most))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "update of client %lld: weight %g, expected "
			       "above 0 to %g",
			       (long long)u->client, u->weight, most);
	if (needs & AGGREGATE_STEPS && (u->steps < 1 || u->steps > steps_most))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "update of client %lld: %lld local steps, "
			       "expected 1 to %lld",
			       (long long)u->client, (long long)u->steps,
			       (long long)steps_most);
	if (needs & AGGREGATE_LOSS && !(u->loss >= 0 && isfinite(u->loss)))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "update of client %lld: loss %g, expected a "
			       "finite one from 0",
			       (long long)u->client, u->loss);
	return 0;
}

static int check_parts(const struct aggregate *a,
		       const struct aggregate_update *u, struct err *err)
{
	const unsigned needs = a->rule->needs;

	if (u->staleness && !(needs & AGGREGATE_STALENESS && u->staleness > 0))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "update of client %lld: it is of a model %lld "
			       "versions ago",
			       (long long)u->client, (long long)u->staleness);
	if (u->staleness && needs & AGGREGATE_DELTA && !u->delta)
		return refuse(u, err,
			      "it is of an older model, and not a difference "
			      "to it");
	if (!(needs & AGGREGATE_CONTROL))
		return 0;
	if (!u->control)
		return refuse(u, err, "it has no control variate");
	if (!aggregate_fits(u->control, a->trained))
		return refuse(u, err,
			      "a value of its control variate is not finite, "
			      "or too large");
	return 0;
}

/* How long the update is, and how much shorter it is made: *share of that. */
static int check_length(const struct aggregate *a,
			const struct aggregate_update *u, double *square,
			double *share, struct err *err)
{
	double norm;

	*share = 1;
	if (a->o.clip <= 0 && a->o.norm_max <= 0 && !a->rule->measures)
		return 0;
	*square = aggregate_square(u->values, u->delta ? NULL : a->global,
				   a->trained);
	norm = sqrt(*square);
	if (!isfinite(norm))
		return refuse(u, err, "a value is not finite");
	if (a->o.norm_max > 0 && norm > a->o.norm_max)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "update of client %lld: it is %g long, where at "
			       "most %g is allowed",
			       (long long)u->client, norm, a->o.norm_max);
	if (a->o.clip > 0 && norm > a->o.clip) {
		*share = a->o.clip / norm;
		*square = a->o.clip * a->o.clip;
	}
	return 0;
}

static void count_in(struct aggregate_tally *t, double coef, double share,
		     bool delta)
{
	t->coef += coef;
	t->absolute += delta ? 0 : coef * share;
}

static int add(struct aggregate *a, const struct aggregate_update *u, double c,
	       double share, struct err *err)
{
	const double room = a->count ? 0x1p20 * a->first.coef : INFINITY;
	const size_t rest = a->n - a->trained;
	const bool fresh = !a->count;

	if (!aggregate_fits(u->values + a->trained, rest) ||
	    !aggregate_add(a->sum, fresh, u->values, a->trained, c * share,
			   room))
		return refuse_values(u, u->values, a->n, err);
	aggregate_add(a->sum + a->trained, fresh, u->values + a->trained, rest,
		      u->weight, INFINITY);
	if (a->control)
		aggregate_add(a->control, fresh, u->control, a->trained, 1,
			      INFINITY);
	count_in(&a->first, c, share, u->delta);
	count_in(&a->rest, u->weight, 1, u->delta);
	return 0;
}

/* The model that the client has come to, its way there made shorter. */
static void go(float *row, const struct aggregate *a,
	       const struct aggregate_update *u, double share)
{
	for (size_t i = 0; i < a->n; i++) {
		const double x = (double)a->global[i];
		const double d = (double)u->values[i] - (u->delta ? 0 : x);

		row[i] = (float)(x + (i < a->trained ? share : 1) * d);
	}
}

void aggregate_grow(struct aggregate *a, size_t rows)
{
	size_t cap = a->rows, clients = a->rows;

	if (rows <= a->rows)
		return;
	a->row = mem_grow(a->row, &cap, rows, sizeof(*a->row));
	a->client = mem_grow(a->client, &clients, rows, sizeof(*a->client));
	while (a->rows < rows)
		a->row[a->rows++] = mem_zero(a->n + 1, sizeof(float));
}

static int hold(struct aggregate *a, const struct aggregate_update *u,
		double share, struct err *err)
{
	float *row;

	aggregate_grow(a, a->count + 1);
	row = a->row[a->count];
	if (u->delta || share < 1)
		go(row, a, u, share);
	else
		memcpy(row, u->values, a->n * sizeof(*row));
	if (!aggregate_fits(row, a->n))
		return refuse_values(u, row, a->n, err);
	a->client[a->count] = u->client;
	return 0;
}

int aggregate_admit(struct aggregate *a, const struct aggregate_update *u,
		    struct err *err)
{
	struct aggregate_coef coef = {a->rule->by_weight ? u->weight : 1, 0};
	double square = 0, share;

	if (check_place(a, u, err) || check_numbers(a, u, err) ||
	    check_parts(a, u, err) || check_length(a, u, &square, &share, err))
		return (int)err->code;
	if (a->rule->coef && a->rule->coef(a, u, square, &coef, err))
		return (int)err->code;
	if (a->rule->centre ? hold(a, u, share, err)
			    : add(a, u, coef.c, share, err))
		return (int)err->code;
	a->aside += coef.aside;
	a->count++;
	a->weight += u->weight;
	a->clipped += share < 1;
	return 0;
}
