/* scores.h - what clients say of a model, each of test data of its own, as one:
 * means that weigh a client by its examples. Pure. */
#ifndef FL_SCORES_H
#define FL_SCORES_H

#include <stdint.h>

#include "base/err.h"

/* Of one client; both are means over its examples. */
struct score {
	int64_t examples;
	double loss, accuracy; /* NAN: it does not say */
};

/* That most examples at most, finite losses and accuracies from 0 to 1 are
 * told, and one of the two at all; else INVALID_ARGUMENT. */
int scores_check(const struct score *s, int64_t most,
		 struct err *err) MUST_CHECK;

/* Zero is a fresh one. */
struct scores {
	int64_t n, examples;   /* clients that were added, and theirs */
	int64_t with_loss;     /* examples whose loss is in the sum … */
	int64_t with_accuracy; /* … and accuracy */
	double loss_sum, accuracy_sum;
};

/* What scores_check() has passed. */
void scores_add(struct scores *t, const struct score *s);

/* NAN: nobody has said. */
double scores_loss(const struct scores *t);
double scores_accuracy(const struct scores *t);

#endif
