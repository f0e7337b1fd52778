#include "nn/optim.h"

#include <math.h>

#include "nn/vector.h"

/* A velocity below this is zero. Where gradients vanish (a pixel that is black
 * in every image) it would decay into denormal numbers, which processors
 * compute some hundred times slower; no weight of usual size feels it. */
static const float still = 1e-30F;

static inline __attribute__((always_inline)) void
step(const struct sgd *o, float *restrict p, float *restrict v,
     const float *restrict g, size_t n)
{
	const float lr = o->lr, momentum = o->momentum;
	const float decay = o->weight_decay;

	for (size_t i = 0; i < n; i++) {
		float next = momentum * v[i] + (g[i] + decay * p[i]);

		v[i] = fabsf(next) < still ? 0 : next;
		p[i] -= lr * v[i];
	}
}

VECTOR void sgd_step(const struct sgd *o, float *restrict params,
		     float *restrict velocity, const float *restrict grads,
		     size_t n)
{
	size_t i = 0;

	for (; i + VECTOR_BLOCK <= n; i += VECTOR_BLOCK)
		step(o, params + i, velocity + i, grads + i, VECTOR_BLOCK);
	step(o, params + i, velocity + i, grads + i, n - i);
}
