/* correction.h - the clients' part of the rules of aggregate.h that correct for
 * data which differ between clients: what is added to each gradient of the
 * local steps (struct learner_steps' shift), and what is remembered of them.
 * Pure.
 *
 * SCAFFOLD: shift = c - c_i. After the steps, with y the model that x became,
 * c_i' = c_i - c + (x - y) / (lr reach), option II of the paper; c_i' - c_i
 * goes to the server as the update's control. FedDyn: shift = -g_i, and the
 * steps' prox is dyn. After them g_i' = g_i - dyn (y - x).
 *
 * c is what the server sends beside x; c_i or g_i is the client's own, zero
 * before its first round, and it must survive the client's restart. */
#ifndef FL_CORRECTION_H
#define FL_CORRECTION_H

#include <stddef.h>
#include <stdint.h>

/* How far steps of SGD reach: the sum of the factors with which their gradients
 * enter the model, over the rate; as many as there are steps when momentum and
 * prox are 0. prox is that of the steps times their rate (FedNova, arXiv
 * 2007.07481, section 4: the l1 norm of a). */
double correction_reach(int64_t steps, double momentum, double prox);

/* Put into shift, of n values, what SCAFFOLD adds to each gradient. */
void correction_scaffold(const float *c, const float *own, size_t n,
			 float *shift);

/* After the steps, of that reach at that rate: own becomes c_i', and control
 * the difference. control may be c. */
void correction_scaffold_end(const float *x, const float *y, const float *c,
			     float *own, size_t n, double lr, double reach,
			     float *control);

/* The same for FedDyn. */
void correction_dyn(const float *own, size_t n, float *shift);
void correction_dyn_end(const float *x, const float *y, float *own, size_t n,
			double dyn);

#endif
