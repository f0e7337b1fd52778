/* loss.h - softmax cross-entropy over rows of logits; pure. */
#ifndef NN_LOSS_H
#define NN_LOSS_H

#include <stddef.h>
#include <stdint.h>

/* The sum of -log softmax(logits)[label] over n rows. *correct: rows whose
 * first highest logit is the label's. Where dlogits is not NULL it gets the
 * gradient of the mean: (softmax - one at the label) / n. Labels are below
 * classes. */
double loss_softmax(const float *logits, const int32_t *labels, int n,
		    int classes, float *dlogits, size_t *correct);

#endif
