#include "nn/loss.h"

#include <math.h>

static int highest(const float *row, int classes)
{
	int best = 0;

	for (int c = 1; c < classes; c++)
		if (row[c] > row[best])
			best = c;
	return best;
}

double loss_softmax(const float *logits, const int32_t *labels, int n,
		    int classes, float *dlogits, size_t *correct)
{
	double loss = 0;

	*correct = 0;
	for (int i = 0; i < n; i++) {
		const float *row = logits + (size_t)i * (size_t)classes;
		const int best = highest(row, classes);
		const float top = row[best];
		double sum = 0;

		for (int c = 0; c < classes; c++)
			sum += (double)expf(row[c] - top);
		loss += log(sum) - (double)(row[labels[i]] - top);
		*correct += best == labels[i];
		if (!dlogits)
			continue;
		for (int c = 0; c < classes; c++, dlogits++)
			*dlogits = (float)((expf(row[c] - top) / sum -
					    (c == labels[i])) /
					   n);
	}
	return loss;
}
