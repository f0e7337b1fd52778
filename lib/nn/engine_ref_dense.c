#include "nn/engine_ref.h"

#include <string.h>

/* out = in * weight^T + bias */
void engine_ref_dense_forward(const struct work *w)
{
	const size_t in = shape_len(&w->layer->in);
	const size_t out = shape_len(&w->layer->out);
	const float *bias = w->params + in * out;

	for (size_t i = 0; i < (size_t)w->n; i++)
		for (size_t o = 0; o < out; o++) {
			const float *x = w->in + i * in;
			const float *weight = w->params + o * in;
			double sum = (double)bias[o];

			for (size_t k = 0; k < in; k++)
				sum += (double)x[k] * (double)weight[k];
			w->out[i * out + o] = (float)sum;
		}
}

/* dweight = dout^T * in; dbias = column sums of dout; din = dout * weight */
void engine_ref_dense_backward(const struct work *w)
{
	const size_t in = shape_len(&w->layer->in);
	const size_t out = shape_len(&w->layer->out);
	float *dbias = w->grads + in * out;

	memset(w->grads, 0, (in * out + out) * sizeof(float));
	if (w->din)
		memset(w->din, 0, (size_t)w->n * in * sizeof(float));
	for (size_t i = 0; i < (size_t)w->n; i++)
		for (size_t o = 0; o < out; o++) {
			const float d = w->dout[i * out + o];

			dbias[o] += d;
			for (size_t k = 0; k < in; k++)
				w->grads[o * in + k] += d * w->in[i * in + k];
			for (size_t k = 0; w->din && k < in; k++)
				w->din[i * in + k] += d * w->params[o * in + k];
		}
}
