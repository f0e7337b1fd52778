/* aggregate_opt.c - the server's step by the updates' mean difference. */
#include <math.h>

#include "fl/aggregate_impl.h"
#include "nn/vector.h"

#define INLINE static inline __attribute__((always_inline))

VECTOR void aggregate_sgd(const struct aggregate *a, struct aggregate_tile *t)
{
	for (size_t i = 0; i < AGGREGATE_TILE; i++)
		t->x[i] = (float)((double)t->x[i] + a->o.lr * t->d[i]);
}

VECTOR void aggregate_avgm(const struct aggregate *a, struct aggregate_tile *t)
{
	float *m = t->moment[0];

	for (size_t i = 0; i < AGGREGATE_TILE; i++) {
		m[i] = (float)(a->o.beta1 * (double)m[i] + t->d[i]);
		t->x[i] = (float)((double)t->x[i] + a->o.lr * (double)m[i]);
	}
}

/* What the three adaptive rules have in common, once v is known. */
INLINE void adapt(const struct aggregate_opts *o, struct aggregate_tile *t)
{
	float *m = t->moment[0];
	const float *v = t->moment[1];

	for (size_t i = 0; i < AGGREGATE_TILE; i++) {
		const double root = sqrt((double)v[i]) + o->tau;

		m[i] = (float)(o->beta1 * (double)m[i] +
			       (1 - o->beta1) * t->d[i]);
		t->x[i] =
			(float)((double)t->x[i] + o->lr * (double)m[i] / root);
	}
}

VECTOR void aggregate_adagrad(const struct aggregate *a,
			      struct aggregate_tile *t)
{
	float *v = t->moment[1];

	for (size_t i = 0; i < AGGREGATE_TILE; i++)
		v[i] = (float)((double)v[i] + t->d[i] * t->d[i]);
	adapt(&a->o, t);
}

VECTOR void aggregate_yogi(const struct aggregate *a, struct aggregate_tile *t)
{
	float *v = t->moment[1];

	for (size_t i = 0; i < AGGREGATE_TILE; i++) {
		const double square = t->d[i] * t->d[i], was = (double)v[i];
		const double sign = (was > square) - (was < square);

		v[i] = (float)(was - (1 - a->o.beta2) * square * sign);
	}
	adapt(&a->o, t);
}

VECTOR void aggregate_adam(const struct aggregate *a, struct aggregate_tile *t)
{
	const double beta2 = a->o.beta2;
	float *v = t->moment[1];

	for (size_t i = 0; i < AGGREGATE_TILE; i++)
		v[i] = (float)(beta2 * (double)v[i] +
			       (1 - beta2) * t->d[i] * t->d[i]);
	adapt(&a->o, t);
}
