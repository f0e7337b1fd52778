/* engine_ref_norm.c - batch normalisation (Ioffe, Szegedy 2015) and local
 * response normalisation across channels (Krizhevsky et al. 2012), with
 * PyTorch's definitions of both. */
#include "nn/engine_ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Mean and reciprocal deviation of channel c. */
struct moments {
	double mean, variance, rate;
};

static const float *channel(const struct layer *l, const float *rows, int i,
			    int c)
{
	const size_t side = (size_t)l->in.h * (size_t)l->in.w;

	return rows + ((size_t)i * (size_t)l->in.c + (size_t)c) * side;
}

static struct moments moments_of(const struct work *w, int c)
{
	const struct layer *l = w->layer;
	const int side = l->in.h * l->in.w;
	const double count = (double)w->n * side;
	struct moments m = {0, 0, 0};

	for (int i = 0; i < w->n; i++)
		for (int p = 0; p < side; p++)
			m.mean += (double)channel(l, w->in, i, c)[p] / count;
	for (int i = 0; i < w->n; i++)
		for (int p = 0; p < side; p++) {
			double d = (double)channel(l, w->in, i, c)[p] - m.mean;

			m.variance += d * d / count;
		}
	m.rate = 1 / sqrt(m.variance + LAYER_BATCHNORM_EPSILON);
	return m;
}

/* The running variance is of the unbiased estimate. */
static void move_buffers(const struct work *w, int c, const struct moments *m)
{
	const double k = LAYER_BATCHNORM_MOMENTUM;
	const double count = (double)w->n * w->layer->in.h * w->layer->in.w;
	const double scale = count > 1 ? count / (count - 1) : 1;
	float *mean = w->buffers + c, *var = mean + w->layer->in.c;

	*mean = (float)((1 - k) * (double)*mean + k * m->mean);
	*var = (float)((1 - k) * (double)*var + k * scale * m->variance);
}

static struct moments moments_for_use(const struct work *w, int c)
{
	const double variance = (double)w->buffers[w->layer->in.c + c];

	return (struct moments){(double)w->buffers[c], variance,
				1 / sqrt(variance + LAYER_BATCHNORM_EPSILON)};
}

void engine_ref_batchnorm_forward(const struct work *w)
{
	const struct layer *l = w->layer;
	const int side = l->in.h * l->in.w;

	for (int c = 0; c < l->in.c; c++) {
		struct moments m =
			w->training ? moments_of(w, c) : moments_for_use(w, c);
		const double weight = (double)w->params[c];
		const double bias = (double)w->params[l->in.c + c];

		if (w->training)
			move_buffers(w, c, &m);
		for (int i = 0; i < w->n; i++) {
			const float *in = channel(l, w->in, i, c);
			float *out = (float *)channel(l, w->out, i, c);

			for (int p = 0; p < side; p++)
				out[p] = (float)(((double)in[p] - m.mean) *
							 m.rate * weight +
						 bias);
		}
	}
}

void engine_ref_batchnorm_backward(const struct work *w)
{
	const struct layer *l = w->layer;
	const int side = l->in.h * l->in.w;
	const double count = (double)w->n * side;

	for (int c = 0; c < l->in.c; c++) {
		struct moments m = moments_of(w, c);
		double sum = 0, dot = 0;

		for (int i = 0; i < w->n * side; i++) {
			const int p = i % side;
			double d = (double)channel(l, w->dout, i / side, c)[p];

			sum += d;
			dot += d * m.rate *
			       ((double)channel(l, w->in, i / side, c)[p] -
				m.mean);
		}
		w->grads[c] = (float)dot;
		w->grads[l->in.c + c] = (float)sum;
		for (int i = 0; w->din && i < w->n * side; i++) {
			const int p = i % side;
			double d = (double)channel(l, w->dout, i / side, c)[p];
			double x = m.rate *
				   ((double)channel(l, w->in, i / side, c)[p] -
				    m.mean);

			((float *)channel(l, w->din, i / side, c))[p] =
				(float)((double)w->params[c] * m.rate *
					(d - sum / count - x * dot / count));
		}
	}
}

/* b^-0.75 by square roots, several times faster than powf. */
static inline float power(float b)
{
	const float root = sqrtf(b);

	return 1 / (root * sqrtf(root));
}

/* Channels first..last-1 of the window about c, as PyTorch pads: an even one
 * reaches farther down. */
struct reach {
	int first, last;
};

static struct reach reach_of(const struct layer *l, int c)
{
	const int size = l->arg[LRN_SIZE];
	struct reach r = {c - size / 2, c + (size - 1) / 2 + 1};

	r.first = r.first < 0 ? 0 : r.first;
	r.last = r.last > l->in.c ? l->in.c : r.last;
	return r;
}

/* base[p] = 1 + alpha/size * sum of squares in the window of channel c */
static void lrn_base(const struct layer *l, const float *in, int c,
		     float *restrict base)
{
	const int side = l->in.h * l->in.w;
	const float scale = l->real / (float)l->arg[LRN_SIZE];
	const struct reach r = reach_of(l, c);

	for (int p = 0; p < side; p++)
		base[p] = 1;
	for (int k = r.first; k < r.last; k++) {
		const float *x = in + (size_t)k * (size_t)side;

		for (int p = 0; p < side; p++)
			base[p] += scale * x[p] * x[p];
	}
}

static void lrn_scale(int side, const float *in, const float *restrict base,
		      float *restrict out)
{
	for (int p = 0; p < side; p++)
		out[p] = in[p] * power(base[p]);
}

void engine_ref_lrn_forward(const struct work *w)
{
	const struct layer *l = w->layer;
	const int side = l->in.h * l->in.w;
	float *base = mem_zero((size_t)side, sizeof(*base));

	for (int i = 0; i < w->n; i++)
		for (int c = 0; c < l->in.c; c++) {
			lrn_base(l, channel(l, w->in, i, 0), c, base);
			lrn_scale(side, channel(l, w->in, i, c), base,
				  (float *)channel(l, w->out, i, c));
		}
	free(base);
}

/* din[k] of every k in the window of c loses
 * 2 alpha beta / size * in[k] * dout[c] in[c] base[c]^(-beta - 1). */
static void lrn_back(const struct layer *l, const float *in, const float *dout,
		     int c, const float *restrict base, float *restrict din)
{
	const int side = l->in.h * l->in.w;
	const float scale =
		2 * l->real * (float)LAYER_LRN_BETA / (float)l->arg[LRN_SIZE];
	const struct reach r = reach_of(l, c);
	const size_t at = (size_t)c * (size_t)side;

	for (int p = 0; p < side; p++)
		din[at + (size_t)p] += dout[at + (size_t)p] * power(base[p]);
	for (int k = r.first; k < r.last; k++)
		for (int p = 0; p < side; p++) {
			const size_t j = (size_t)(k * side + p);
			const size_t i = at + (size_t)p;

			din[j] -= scale * in[j] * dout[i] * in[i] *
				  power(base[p]) / base[p];
		}
}

void engine_ref_lrn_backward(const struct work *w)
{
	const struct layer *l = w->layer;
	const int side = l->in.h * l->in.w;
	float *base;

	if (!w->din)
		return;
	base = mem_zero((size_t)side, sizeof(*base));
	memset(w->din, 0, (size_t)w->n * shape_len(&l->in) * sizeof(float));
	for (int i = 0; i < w->n; i++)
		for (int c = 0; c < l->in.c; c++) {
			lrn_base(l, channel(l, w->in, i, 0), c, base);
			lrn_back(l, channel(l, w->in, i, 0),
				 channel(l, w->dout, i, 0), c, base,
				 (float *)channel(l, w->din, i, 0));
		}
	free(base);
}
