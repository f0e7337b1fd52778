#include "nn/optim.h"

#include <math.h>

#include "nn/vector.h"

/* A velocity below this is zero. Where gradients vanish (a pixel that is black
 * in every image) it would decay into denormal numbers, which processors
 * compute some hundred times slower; no weight of usual size feels it. */
static const float still = 1e-30F;

#define INLINE static inline __attribute__((always_inline))

/* The flags are known where this is called, so the loop has no branch. */
INLINE void step(const struct sgd *o, float *restrict p, float *restrict v,
		 const float *restrict g, const float *anchor, bool nesterov,
		 bool prox, size_t n)
{
	const float lr = o->lr, momentum = o->momentum;
	const float decay = o->weight_decay, hold = o->prox;

	for (size_t i = 0; i < n; i++) {
		float slope = g[i] + decay * p[i];
		float next;

		if (prox)
			slope += hold * (p[i] - anchor[i]);
		next = momentum * v[i] + slope;
		v[i] = fabsf(next) < still ? 0 : next;
		p[i] -= lr * (nesterov ? slope + momentum * v[i] : v[i]);
	}
}

INLINE void steps(const struct sgd *o, float *restrict p, float *restrict v,
		  const float *restrict g, const float *anchor, bool nesterov,
		  bool prox, size_t n)
{
	size_t i = 0;

	for (; i + VECTOR_BLOCK <= n; i += VECTOR_BLOCK)
		step(o, p + i, v + i, g + i, prox ? anchor + i : NULL, nesterov,
		     prox, VECTOR_BLOCK);
	step(o, p + i, v + i, g + i, prox ? anchor + i : NULL, nesterov, prox,
	     n - i);
}

VECTOR void sgd_step(const struct sgd *o, float *restrict params,
		     float *restrict velocity, const float *restrict grads,
		     const float *anchor, size_t n)
{
	const bool prox = o->prox != 0;

	if (!prox && !o->nesterov)
		steps(o, params, velocity, grads, NULL, false, false, n);
	else if (!prox)
		steps(o, params, velocity, grads, NULL, true, false, n);
	else
		steps(o, params, velocity, grads, anchor, o->nesterov, true, n);
}

/* Parameters from i on that are decayed alike: their values, and in *next the
 * first that is not. */
static size_t run_of(const struct model *m, int i, int *next)
{
	size_t len = 0;

	for (*next = i; *next < m->n_params; ++*next) {
		if (m->params[*next].no_decay != m->params[i].no_decay)
			break;
		len += m->params[*next].len;
	}
	return len;
}

void sgd_model(const struct sgd *o, const struct model *m, float *params,
	       float *velocity, const float *grads, const float *anchor)
{
	struct sgd bare = *o;

	bare.weight_decay = 0;
	if (o->weight_decay == 0) {
		sgd_step(o, params, velocity, grads, anchor, m->n);
		return;
	}
	for (int i = 0, next; i < m->n_params; i = next) {
		const size_t len = run_of(m, i, &next);
		const size_t at = m->params[i].at;

		sgd_step(m->params[i].no_decay ? &bare : o, params + at,
			 velocity + at, grads + at, anchor ? anchor + at : NULL,
			 len);
	}
}

double schedule_rate(const struct schedule *s, double lr, int64_t round)
{
	if (s->every > 0)
		lr *= pow(s->decay, (double)(round / s->every));
	if (s->rounds > 0)
		lr *= (1 +
		       cos(M_PI * fmin(1, (double)round / (double)s->rounds))) /
		      2;
	return lr;
}
