/* aggregate_opt.c - the server's step by the updates' mean difference. */
#include <math.h>

#include "fl/aggregate_impl.h"

void aggregate_sgd(const struct aggregate *a, struct aggregate_tile *t)
{
	for (size_t i = 0; i < t->len; i++)
		t->x[i] = (float)((double)t->x[i] + a->o.lr * t->d[i]);
}

void aggregate_avgm(const struct aggregate *a, struct aggregate_tile *t)
{
	float *m = t->moment[0];

	for (size_t i = 0; i < t->len; i++) {
		m[i] = (float)(a->o.beta1 * (double)m[i] + t->d[i]);
		t->x[i] = (float)((double)t->x[i] + a->o.lr * (double)m[i]);
	}
}

/* What the three adaptive rules have in common, once v is known. */
static void adapt(const struct aggregate_opts *o, struct aggregate_tile *t)
{
	float *m = t->moment[0];
	const float *v = t->moment[1];

	for (size_t i = 0; i < t->len; i++) {
		const double root = sqrt((double)v[i]) + o->tau;

		m[i] = (float)(o->beta1 * (double)m[i] +
			       (1 - o->beta1) * t->d[i]);
		t->x[i] =
			(float)((double)t->x[i] + o->lr * (double)m[i] / root);
	}
}

void aggregate_adagrad(const struct aggregate *a, struct aggregate_tile *t)
{
	float *v = t->moment[1];

	for (size_t i = 0; i < t->len; i++)
		v[i] = (float)((double)v[i] + t->d[i] * t->d[i]);
	adapt(&a->o, t);
}

void aggregate_yogi(const struct aggregate *a, struct aggregate_tile *t)
{
	float *v = t->moment[1];

	for (size_t i = 0; i < t->len; i++) {
		const double square = t->d[i] * t->d[i], was = (double)v[i];
		const double sign = (was > square) - (was < square);

		v[i] = (float)(was - (1 - a->o.beta2) * square * sign);
	}
	adapt(&a->o, t);
}

void aggregate_adam(const struct aggregate *a, struct aggregate_tile *t)
{
	const double beta2 = a->o.beta2;
	float *v = t->moment[1];

	for (size_t i = 0; i < t->len; i++)
		v[i] = (float)(beta2 * (double)v[i] +
			       (1 - beta2) * t->d[i] * t->d[i]);
	adapt(&a->o, t);
}
