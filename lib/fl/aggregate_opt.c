/* aggregate_opt.c - the server's step by the updates' mean difference d. */
#include <math.h>

#include "fl/aggregate_impl.h"
#include "nn/vector.h"

void aggregate_sgd(const struct aggregate_opts *o, float *x, float *m, float *v,
		   const double *d, size_t len)
{
	(void)m, (void)v;
	for (size_t i = 0; i < len; i++)
		x[i] = (float)((double)x[i] + o->lr * d[i]);
}

void aggregate_avgm(const struct aggregate_opts *o, float *x, float *m,
		    float *v, const double *d, size_t len)
{
	(void)v;
	for (size_t i = 0; i < len; i++) {
		m[i] = (float)(o->beta1 * (double)m[i] + d[i]);
		x[i] = (float)((double)x[i] + o->lr * (double)m[i]);
	}
}

/* What the three adaptive rules have in common, once v is known. */
static void adapt(const struct aggregate_opts *o, float *x, float *m,
		  const float *v, const double *d, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		m[i] = (float)(o->beta1 * (double)m[i] + (1 - o->beta1) * d[i]);
		x[i] = (float)((double)x[i] +
			       o->lr * (double)m[i] /
				       (sqrt((double)v[i]) + o->tau));
	}
}

void aggregate_adagrad(const struct aggregate_opts *o, float *x, float *m,
		       float *v, const double *d, size_t len)
{
	for (size_t i = 0; i < len; i++)
		v[i] = (float)((double)v[i] + d[i] * d[i]);
	adapt(o, x, m, v, d, len);
}

void aggregate_yogi(const struct aggregate_opts *o, float *x, float *m,
		    float *v, const double *d, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const double square = d[i] * d[i], was = (double)v[i];
		const double sign = (was > square) - (was < square);

		v[i] = (float)(was - (1 - o->beta2) * square * sign);
	}
	adapt(o, x, m, v, d, len);
}

void aggregate_adam(const struct aggregate_opts *o, float *x, float *m,
		    float *v, const double *d, size_t len)
{
	for (size_t i = 0; i < len; i++)
		v[i] = (float)(o->beta2 * (double)v[i] +
			       (1 - o->beta2) * d[i] * d[i]);
	adapt(o, x, m, v, d, len);
}
