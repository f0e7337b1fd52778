/* optim.h - the optimiser's step on flat vectors, and its rate; pure. */
#ifndef NN_OPTIM_H
#define NN_OPTIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/model.h"

/* SGD as torch.optim.SGD has it (dampening 0): with g the gradient,
 * g = g + prox (p - anchor) + weight_decay p
 * v = momentum v + g
 * p = p - lr (nesterov ? g + momentum v : v)
 * prox is FedProx's mu (Li et al. 2020): it holds local steps near the anchor,
 * the model that they began with. A v below 1e-30 is made zero. */
struct sgd {
	float lr, momentum, weight_decay, prox;
	bool nesterov;
};

/* One step of n values. velocity is zero before the first step; anchor is of no
 * meaning without prox. The vectors do not overlap, but anchor may be any. */
void sgd_step(const struct sgd *o, float *restrict params,
	      float *restrict velocity, const float *restrict grads,
	      const float *anchor, size_t n);

/* One step of all of m's parameters. Weight decay leaves batch normalisation
 * alone. */
void sgd_model(const struct sgd *o, const struct model *m, float *params,
	       float *velocity, const float *grads, const float *anchor);

/* How the rate falls from round to round; zero is not at all. */
struct schedule {
	double decay;   /* the rate is multiplied by it … */
	int64_t every;  /* … after so many rounds, as StepLR; 0: never */
	int64_t rounds; /* half a cosine over so many, as CosineAnnealingLR;
			   0: none */
};

/* The rate in a round, from 0, of which lr is the first. */
double schedule_rate(const struct schedule *s, double lr, int64_t round);

#endif
