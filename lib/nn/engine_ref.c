/* engine_ref.c - the reference: loops as the formulas have them, no tricks.
 * The oracle of the tests, and the engine where oneDNN does not exist. */
#include "nn/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/engine_ref.h"
#include "nn/shortcut.h"

struct ref {
	const struct model *model;
	float **act;  /* act[i]: the output of layer i */
	float **diff; /* diff[i]: the gradient with respect to it */
	int room;     /* examples that act and diff have room for */
};

static size_t rows_size(const struct work *w)
{
	return (size_t)w->n * shape_len(&w->layer->in) * sizeof(float);
}

static void relu_forward(const struct work *w)
{
	const size_t len = rows_size(w) / sizeof(float);

	for (size_t i = 0; i < len; i++)
		w->out[i] = w->in[i] > 0 ? w->in[i] : 0;
}

static void relu_backward(const struct work *w)
{
	const size_t len = rows_size(w) / sizeof(float);

	for (size_t i = 0; w->din && i < len; i++)
		w->din[i] = w->in[i] > 0 ? w->dout[i] : 0;
}

static void flatten_forward(const struct work *w)
{
	memcpy(w->out, w->in, rows_size(w));
}

static void flatten_backward(const struct work *w)
{
	if (w->din)
		memcpy(w->din, w->dout, rows_size(w));
}

static void add_forward(const struct work *w)
{
	const struct layer *l = w->layer;

	memcpy(w->out, w->in, rows_size(w));
	shortcut_add(w->out, w->skip, &l->out, &l->skip, w->n);
}

static const struct {
	layer_forward_fn *forward;
	layer_backward_fn *backward;
} rows[LAYER_KINDS] = {
	[LAYER_DENSE] = {engine_ref_dense_forward, engine_ref_dense_backward},
	[LAYER_RELU] = {relu_forward, relu_backward},
	[LAYER_CONV] = {engine_ref_conv_forward, engine_ref_conv_backward},
	[LAYER_MAXPOOL] = {engine_ref_maxpool_forward,
			   engine_ref_maxpool_backward},
	[LAYER_AVGPOOL] = {engine_ref_avgpool_forward,
			   engine_ref_avgpool_backward},
	[LAYER_FLATTEN] = {flatten_forward, flatten_backward},
	[LAYER_BATCHNORM] = {engine_ref_batchnorm_forward,
			     engine_ref_batchnorm_backward},
	[LAYER_LRN] = {engine_ref_lrn_forward, engine_ref_lrn_backward},
	/* what was remembered gets its share in add_skipped() */
	[LAYER_ADD] = {add_forward, flatten_backward},
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

static void ref_threads(void *state, int threads)
{
	(void)state;
	(void)threads;
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

/* What goes into layer i. */
static const float *input_of(const struct ref *ref, int i, const float *x)
{
	return i ? ref->act[i - 1] : x;
}

static struct work work_of(const struct ref *ref, int i, const float *values,
			   const float *x, int n)
{
	const struct model *m = ref->model;
	const struct layer *l = &m->layers[i];

	return (struct work){
		.layer = l,
		.n = n,
		.params = l->kind->params ? values + m->params[l->param].at
					  : NULL,
		.in = input_of(ref, i, x),
		.skip = input_of(ref, l->from, x),
		.out = ref->act[i],
	};
}

static int ref_forward(void *state, float *values, const float *x, int n,
		       bool training, const float **logits, struct err *err)
{
	struct ref *ref = state;
	const struct model *m = ref->model;

	(void)err;
	make_room(ref, n);
	for (int i = 0; i < m->n_layers; i++) {
		struct work w = work_of(ref, i, values, x, n);

		w.training = training;
		if (w.layer->kind->id == LAYER_BATCHNORM)
			w.buffers = values + m->buffers[w.layer->buffer].at;
		rows[w.layer->kind->id].forward(&w);
	}
	*logits = ref->act[m->n_layers - 1];
	return 0;
}

/* What went into layer i was also added elsewhere: dout there counts here. */
static void add_skipped(const struct ref *ref, int i, const float *dlogits,
			int n)
{
	const struct model *m = ref->model;

	for (int k = i + 1; k < m->n_layers; k++) {
		const struct layer *l = &m->layers[k];

		if (l->kind->id == LAYER_ADD && l->from == i)
			shortcut_back(ref->diff[i - 1],
				      k == m->n_layers - 1 ? dlogits
							   : ref->diff[k],
				      &l->skip, &l->out, n);
	}
}

static int ref_backward(void *state, const float *values, const float *x,
			const float *dlogits, int n, float *grads,
			struct err *err)
{
	struct ref *ref = state;
	const int last = ref->model->n_layers - 1;

	(void)err;
	for (int i = last; i >= 0; i--) {
		struct work w = work_of(ref, i, values, x, n);

		w.dout = i == last ? dlogits : ref->diff[i];
		w.din = i ? ref->diff[i - 1] : NULL;
		if (w.params)
			w.grads = grads + (w.params - values);
		rows[w.layer->kind->id].backward(&w);
		if (i)
			add_skipped(ref, i, dlogits, n);
	}
	return 0;
}

const struct engine engine_ref = {"ref",       ref_open,    ref_close,
				  ref_threads, ref_forward, ref_backward};
