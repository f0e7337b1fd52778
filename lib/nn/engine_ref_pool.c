#include "nn/engine_ref.h"

#include <math.h>
#include <string.h>

/* Where in its channel the highest value of window (y, x) lies; the first, as
 * PyTorch takes it. */
static int highest(const struct layer *l, const float *in, int y, int x)
{
	const int k = l->arg[POOL_KERNEL], stride = layer_pool_stride(l);
	const int y0 = y * stride - l->arg[POOL_PAD];
	const int x0 = x * stride - l->arg[POOL_PAD];
	float top = -INFINITY;
	int at = -1;

	for (int i = 0; i < k * k; i++) {
		const int r = y0 + i / k, c = x0 + i % k;

		if (r < 0 || r >= l->in.h || c < 0 || c >= l->in.w)
			continue;
		if (at < 0 || in[r * l->in.w + c] > top) {
			at = r * l->in.w + c;
			top = in[at];
		}
	}
	return at;
}

void engine_ref_maxpool_forward(const struct work *w)
{
	const struct layer *l = w->layer;
	const int side = l->in.h * l->in.w, outs = l->out.h * l->out.w;
	float *out = w->out;

	for (int i = 0; i < w->n * l->in.c; i++) {
		const float *in = w->in + (size_t)i * (size_t)side;

		for (int p = 0; p < outs; p++)
			*out++ = in[highest(l, in, p / l->out.w, p % l->out.w)];
	}
}

void engine_ref_maxpool_backward(const struct work *w)
{
	const struct layer *l = w->layer;
	const int side = l->in.h * l->in.w, outs = l->out.h * l->out.w;
	const float *dout = w->dout;

	if (!w->din)
		return;
	memset(w->din, 0, (size_t)w->n * shape_len(&l->in) * sizeof(float));
	for (int i = 0; i < w->n * l->in.c; i++) {
		const size_t at = (size_t)i * (size_t)side;

		for (int p = 0; p < outs; p++)
			w->din[at + (size_t)highest(l, w->in + at, p / l->out.w,
						    p % l->out.w)] += *dout++;
	}
}

void engine_ref_avgpool_forward(const struct work *w)
{
	const int side = w->layer->in.h * w->layer->in.w;

	for (int i = 0; i < w->n * w->layer->in.c; i++) {
		double sum = 0;

		for (int p = 0; p < side; p++)
			sum += (double)w->in[(size_t)i * (size_t)side +
					     (size_t)p];
		w->out[i] = (float)(sum / side);
	}
}

void engine_ref_avgpool_backward(const struct work *w)
{
	const int side = w->layer->in.h * w->layer->in.w;
	float *din = w->din;

	for (int i = 0; din && i < w->n * w->layer->in.c; i++)
		for (int p = 0; p < side; p++)
			*din++ = w->dout[i] / (float)side;
}
