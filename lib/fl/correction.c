#include "fl/correction.h"

#include <math.h>

/* What a gradient of 1 in every step moves the model by, over the rate. */
double correction_reach(int64_t steps, double momentum, double prox)
{
	const double n = (double)steps;
	double velocity = 0, moved = 0;

	if (prox == 0)
		return momentum == 0 ? n
				     : (n - momentum * (1 - pow(momentum, n)) /
						    (1 - momentum)) /
					       (1 - momentum);
	for (int64_t i = 0; i < steps; i++) {
		velocity = momentum * velocity + 1 - prox * moved;
		moved += velocity;
		if (fabs(velocity) < 1e-16 * moved &&
		    fabs(1 - prox * moved) < 1e-12)
			break; /* it stays there */
	}
	return moved;
}

void correction_scaffold(const float *c, const float *own, size_t n,
			 float *shift)
{
	for (size_t i = 0; i < n; i++)
		shift[i] = c[i] - own[i];
}

void correction_scaffold_end(const float *x, const float *y, const float *c,
			     float *own, size_t n, double lr, double reach,
			     float *control)
{
	const float by = (float)(1 / (lr * reach));

	for (size_t i = 0; i < n; i++) {
		const float change = (x[i] - y[i]) * by - c[i];

		own[i] += change;
		control[i] = change;
	}
}

void correction_dyn(const float *own, size_t n, float *shift)
{
	for (size_t i = 0; i < n; i++)
		shift[i] = -own[i];
}

void correction_dyn_end(const float *x, const float *y, float *own, size_t n,
			double dyn)
{
	const float by = (float)dyn;

	for (size_t i = 0; i < n; i++)
		own[i] -= by * (y[i] - x[i]);
}
