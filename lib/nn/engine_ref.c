/* engine_ref.c - the reference: loops as the formulas have them, no tricks.
 * The oracle of the tests, and the engine where oneDNN does not exist. */
#include "nn/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct ref {
	const struct model *model;
	float **act;  /* act[i]: the output of layer i */
	float **diff; /* diff[i]: the gradient with respect to it */
	int room;     /* examples that act and diff have room for */
};

/* One layer of n examples: in and out are rows, dout and din the gradients
 * with respect to them. din is NULL where nobody needs it. */
struct work {
	const struct layer *layer;
	int n;
	const float *params; /* of this layer: its first value */
	float *grads;
	const float *in, *dout;
	float *out, *din;
};

/* out = in * weight^T + bias */
static void dense_forward(const struct work *w)
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
static void dense_backward(const struct work *w)
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

static void relu_forward(const struct work *w)
{
	const size_t len = (size_t)w->n * shape_len(&w->layer->in);

	for (size_t i = 0; i < len; i++)
		w->out[i] = w->in[i] > 0 ? w->in[i] : 0;
}

static void relu_backward(const struct work *w)
{
	const size_t len = (size_t)w->n * shape_len(&w->layer->in);

	for (size_t i = 0; w->din && i < len; i++)
		w->din[i] = w->in[i] > 0 ? w->dout[i] : 0;
}

static const struct {
	void (*forward)(const struct work *w);
	void (*backward)(const struct work *w);
} rows[LAYER_KINDS] = {
	[LAYER_DENSE] = {dense_forward, dense_backward},
	[LAYER_RELU] = {relu_forward, relu_backward},
};

static int ref_open(void **state, const struct model *m, struct err *err)
{
	struct ref *ref = mem_zero(1, sizeof(*ref));

	(void)err;
	ref->model = m;
	ref->act = mem_zero((size_t)m->n_layers, sizeof(*ref->act));
	ref->diff = mem_zero((size_t)m->n_layers, sizeof(*ref->diff));
	*state = ref;
	return 0;
}

static void ref_close(void *state)
{
	struct ref *ref = state;

	for (int i = 0; i < ref->model->n_layers; i++) {
		free(ref->act[i]);
		free(ref->diff[i]);
	}
	free(ref->act);
	free(ref->diff);
	free(ref);
}

static void make_room(struct ref *ref, int n)
{
	if (n <= ref->room)
		return;
	for (int i = 0; i < ref->model->n_layers; i++) {
		size_t len = (size_t)n * shape_len(&ref->model->layers[i].out);

		free(ref->act[i]);
		free(ref->diff[i]);
		ref->act[i] = mem_zero(len, sizeof(float));
		ref->diff[i] = mem_zero(len, sizeof(float));
	}
	ref->room = n;
}

static struct work work_of(const struct ref *ref, int i, const float *params,
			   const float *x, int n)
{
	const struct model *m = ref->model;
	const struct layer *l = &m->layers[i];

	return (struct work){
		.layer = l,
		.n = n,
		.params = l->kind->params ? params + m->params[l->param].at
					  : NULL,
		.in = i ? ref->act[i - 1] : x,
		.out = ref->act[i],
	};
}

static int ref_forward(void *state, const float *params, const float *x, int n,
		       const float **logits, struct err *err)
{
	struct ref *ref = state;
	const int last = ref->model->n_layers - 1;

	(void)err;
	make_room(ref, n);
	for (int i = 0; i <= last; i++) {
		struct work w = work_of(ref, i, params, x, n);

		rows[w.layer->kind->id].forward(&w);
	}
	*logits = ref->act[last];
	return 0;
}

static int ref_backward(void *state, const float *params, const float *x,
			const float *dlogits, int n, float *grads,
			struct err *err)
{
	struct ref *ref = state;
	const int last = ref->model->n_layers - 1;

	(void)err;
	for (int i = last; i >= 0; i--) {
		struct work w = work_of(ref, i, params, x, n);

		w.dout = i == last ? dlogits : ref->diff[i];
		w.din = i ? ref->diff[i - 1] : NULL;
		if (w.params)
			w.grads = grads + (w.params - params);
		rows[w.layer->kind->id].backward(&w);
	}
	return 0;
}

const struct engine engine_ref = {"ref", ref_open, ref_close, ref_forward,
				  ref_backward};
