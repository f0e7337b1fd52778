/* optim.h - the optimiser's step on flat vectors; pure. */
#ifndef NN_OPTIM_H
#define NN_OPTIM_H

#include <stddef.h>

/* SGD as torch.optim.SGD has it (dampening 0):
 * v = momentum v + (g + weight_decay p); p = p - lr v. A v below 1e-30 is made
 * zero. */
struct sgd {
	float lr, momentum, weight_decay;
};

/* One step of n values. velocity is zero before the first step. The vectors
 * do not overlap. */
void sgd_step(const struct sgd *o, float *restrict params,
	      float *restrict velocity, const float *restrict grads, size_t n);

#endif
