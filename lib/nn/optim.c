#include "nn/optim.h"

/* A count that the compiler sees: it then uses vector instructions. */
enum { BLOCK = 64 };

static inline void step(const struct sgd *o, float *restrict p,
			float *restrict v, const float *restrict g, size_t n)
{
	const float lr = o->lr, momentum = o->momentum;
	const float decay = o->weight_decay;

	for (size_t i = 0; i < n; i++) {
		v[i] = momentum * v[i] + (g[i] + decay * p[i]);
		p[i] -= lr * v[i];
	}
}

void sgd_step(const struct sgd *o, float *restrict params,
	      float *restrict velocity, const float *restrict grads, size_t n)
{
	size_t i = 0;

	for (; i + BLOCK <= n; i += BLOCK)
		step(o, params + i, velocity + i, grads + i, BLOCK);
	step(o, params + i, velocity + i, grads + i, n - i);
}
