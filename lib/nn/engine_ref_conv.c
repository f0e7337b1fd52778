#include "nn/engine_ref.h"

#include <string.h>

/* Where one window lies: input row y0 + ky, column x0 + kx. */
struct window {
	int kernel, y0, x0;
};

static struct window window_at(const struct layer *l, int y, int x)
{
	const int stride = l->arg[CONV_STRIDE], pad = l->arg[CONV_PAD];

	return (struct window){l->arg[CONV_KERNEL], y * stride - pad,
			       x * stride - pad};
}

/* sum over the window of weight * in */
static double window_dot(const struct layer *l, const struct window *at,
			 const float *weight, const float *in)
{
	const int k = at->kernel, h = l->in.h, w = l->in.w;
	double sum = 0;

	for (int c = 0; c < l->in.c; c++, in += h * w)
		for (int ky = 0; ky < k; ky++)
			for (int kx = 0; kx < k; kx++, weight++) {
				const int y = at->y0 + ky, x = at->x0 + kx;

				if (y >= 0 && y < h && x >= 0 && x < w)
					sum += (double)*weight *
					       (double)in[y * w + x];
			}
	return sum;
}

/* The transposed: dweight += d * in, din += d * weight. */
static void window_spread(const struct layer *l, const struct window *at,
			  const float *weight, const float *in, float d,
			  float *dweight, float *din)
{
	const int k = at->kernel, h = l->in.h, w = l->in.w;

	for (int c = 0; c < l->in.c; c++) {
		for (int i = 0; i < k * k; i++, weight++, dweight++) {
			const int y = at->y0 + i / k, x = at->x0 + i % k;

			if (y < 0 || y >= h || x < 0 || x >= w)
				continue;
			*dweight += d * in[y * w + x];
			if (din)
				din[y * w + x] += d * *weight;
		}
		in += h * w;
		din = din ? din + h * w : NULL;
	}
}

void engine_ref_conv_forward(const struct work *w)
{
	const struct layer *l = w->layer;
	const size_t in = shape_len(&l->in);
	const int k = l->arg[CONV_KERNEL];
	const size_t each = (size_t)l->in.c * (size_t)(k * k);
	const float *bias = l->arg[CONV_NOBIAS]
				    ? NULL
				    : w->params + (size_t)l->out.c * each;
	float *out = w->out;

	for (size_t i = 0; i < (size_t)w->n; i++)
		for (int o = 0; o < l->out.c; o++)
			for (int p = 0; p < l->out.h * l->out.w; p++) {
				struct window at = window_at(l, p / l->out.w,
							     p % l->out.w);
				double sum = window_dot(
					l, &at, w->params + (size_t)o * each,
					w->in + i * in);

				*out++ = (float)(sum +
						 (bias ? (double)bias[o] : 0));
			}
}

void engine_ref_conv_backward(const struct work *w)
{
	const struct layer *l = w->layer;
	const size_t in = shape_len(&l->in);
	const int k = l->arg[CONV_KERNEL];
	const size_t each = (size_t)l->in.c * (size_t)(k * k);
	const size_t weights = (size_t)l->out.c * each;
	const bool biased = !l->arg[CONV_NOBIAS];
	const float *dout = w->dout;

	memset(w->grads, 0,
	       (weights + (biased ? (size_t)l->out.c : 0)) * sizeof(float));
	if (w->din)
		memset(w->din, 0, (size_t)w->n * in * sizeof(float));
	for (size_t i = 0; i < (size_t)w->n; i++)
		for (size_t o = 0; o < (size_t)l->out.c; o++)
			for (int p = 0; p < l->out.h * l->out.w; p++, dout++) {
				struct window at = window_at(l, p / l->out.w,
							     p % l->out.w);

				window_spread(l, &at, w->params + o * each,
					      w->in + i * in, *dout,
					      w->grads + o * each,
					      w->din ? w->din + i * in : NULL);
				if (biased)
					w->grads[weights + o] += *dout;
			}
}
