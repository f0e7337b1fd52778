/* staleness.h - what an update is still worth that was made from an older
 * model. Pure.
 *
 * s is how many versions the model has moved on since. Weights (FedAsync, Xie
 * et al. 2019, arXiv 1903.03934, 5.2; the hinge as FedLab computes it, where
 * the paper has 1 / (a (s - b) + 1)):
 *
 * constant        1
 * hinge:a:b       1 up to s = b, then 1 / (a (s - b + 1)); a 10, b 4
 * polynomial:a    (s + 1)^-a; a 0.5, which is FedBuff's too */
#ifndef FL_STALENESS_H
#define FL_STALENESS_H

#include <stdint.h>

#include "base/err.h"

enum staleness_kind {
	STALENESS_CONSTANT,
	STALENESS_HINGE,
	STALENESS_POLYNOMIAL
};

struct staleness {
	enum staleness_kind kind;
	double a, b;
};

/* Understand "constant", "hinge", "hinge:A", "hinge:A:B", "polynomial",
 * "polynomial:A", with A positive and B at least 0; else INVALID_ARGUMENT. */
int staleness_parse(struct staleness *out, const char *text,
		    struct err *err) MUST_CHECK;

/* The weight at s >= 0, above 0 and at most 1. (A hinge whose a is below 1
 * is held at 1 where it would be above.) */
double staleness_weight(const struct staleness *how, int64_t s);

#endif
