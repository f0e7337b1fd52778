/* engine_dnnl.c - layers by oneDNN's primitives, prepared once per size of
 * batch. Parameters and gradients stay in the caller's flat vectors. */
#include "nn/engine.h"

#include <stdlib.h>

#include "base/mem.h"
#include "nn/op.h"

/* Sizes of batch in use: training, the end of an epoch, evaluation, its end. */
enum { PLANS = 4 };

/* OpenMP API 5.0, section 3.2.1; by hand, as clang lacks gcc's <omp.h>. It
 * holds for the calling thread only. */
extern void omp_set_num_threads(int threads);

struct onednn {
	const struct model *model;
	dnnl_engine_t engine;
	dnnl_stream_t stream;
	struct plan plan[PLANS];
	uint64_t calls;
	int threads;
};

static const struct {
	row_fn *forward, *backward;
} rows[LAYER_KINDS] = {
	[LAYER_DENSE] = {op_dense_forward, op_dense_backward},
	[LAYER_RELU] = {op_relu_forward, op_relu_backward},
	[LAYER_CONV] = {op_conv_forward, op_conv_backward},
	[LAYER_MAXPOOL] = {op_pool_forward, op_pool_backward},
	[LAYER_AVGPOOL] = {op_pool_forward, op_pool_backward},
	[LAYER_FLATTEN] = {op_flatten_forward, op_flatten_backward},
	[LAYER_BATCHNORM] = {op_batchnorm_forward, op_batchnorm_backward},
	[LAYER_LRN] = {op_lrn_forward, op_lrn_backward},
	[LAYER_ADD] = {op_add_forward, op_add_backward},
};

static void plan_release(struct plan *p)
{
	op_steps_release(&p->forward);
	op_steps_release(&p->backward);
	for (size_t i = 0; i < p->n_described; i++)
		dnnl_primitive_desc_destroy(p->described[i]);
	for (size_t i = 0; i < p->owned.n; i++)
		dnnl_memory_destroy(p->owned.m[i]);
	free(p->described);
	free(p->owned.m);
	free(p->input.m);
	free(p->dlogits.m);
	free(p->copies);
	free(p->act);
	free(p->diff);
	free(p->src);
	free(p->work[0]);
	free(p->work[1]);
	free(p->hint);
	free(p->value);
	free(p->grad);
	free(p->buffer);
	*p = (struct plan){0};
}

static int make_params(struct plan *p, dnnl_memory_t *out,
		       const struct param *params, int n, struct err *err)
{
	for (int i = 0; i < n; i++) {
		const dnnl_memory_desc_t desc =
			op_plain(params[i].dims, params[i].dim);

		if (op_memory(p, &out[i], &desc, DNNL_MEMORY_NONE, err))
			return (int)err->code;
	}
	return 0;
}

static void make_room(struct plan *p)
{
	const struct model *m = p->model;
	const size_t layers = (size_t)m->n_layers;

	p->act = mem_zero(layers + 1, sizeof(*p->act));
	p->diff = mem_zero(layers + 1, sizeof(*p->diff));
	p->src = mem_zero(layers, sizeof(*p->src));
	p->work[0] = mem_zero(layers, sizeof(*p->work[0]));
	p->work[1] = mem_zero(layers, sizeof(*p->work[1]));
	p->hint = mem_zero(layers, sizeof(*p->hint));
	p->value = mem_zero((size_t)m->n_params, sizeof(*p->value));
	p->grad = mem_zero((size_t)m->n_params, sizeof(*p->grad));
	p->buffer = mem_zero((size_t)m->n_buffers + 1, sizeof(*p->buffer));
}

static int make_forward(struct plan *p, struct err *err)
{
	const struct model *m = p->model;
	const dnnl_memory_desc_t in = op_examples(p, &m->in);
	const int64_t out[] = {p->n, m->classes};
	const dnnl_memory_desc_t logits = op_plain(2, out);

	if (make_params(p, p->value, m->params, m->n_params, err) ||
	    make_params(p, p->grad, m->params, m->n_params, err) ||
	    make_params(p, p->buffer, m->buffers, m->n_buffers, err) ||
	    op_input(p, &p->input, &p->act[0], &in, err))
		return (int)err->code;
	for (int i = 0; i < m->n_layers; i++)
		if (rows[m->layers[i].kind->id].forward(p, i, err))
			return (int)err->code;
	return op_as(p, &p->forward, p->act[m->n_layers], &logits, &p->logits,
		     err);
}

static int make_backward(struct plan *p, struct err *err)
{
	const struct model *m = p->model;

	if (op_input(p, &p->dlogits, &p->diff[m->n_layers], op_desc(p->logits),
		     err))
		return (int)err->code;
	for (int i = m->n_layers - 1; i >= 0; i--)
		if (rows[m->layers[i].kind->id].backward(p, i, err) ||
		    op_add_skipped(p, i, err))
			return (int)err->code;
	return 0;
}

/* The plan for n examples; the one longest unused makes place for a new one. */
static struct plan *plan_for(struct onednn *e, int n, bool training,
			     struct err *err)
{
	struct plan *old = &e->plan[0];

	for (struct plan *p = e->plan; p < e->plan + PLANS; p++) {
		if (p->n == n && p->training == training) {
			p->used = ++e->calls;
			return p;
		}
		if (p->used < old->used)
			old = p;
	}
	plan_release(old);
	old->model = e->model;
	old->engine = e->engine;
	old->n = n;
	old->training = training;
	make_room(old);
	if (make_forward(old, err) || (training && make_backward(old, err))) {
		plan_release(old);
		return NULL;
	}
	old->used = ++e->calls;
	return old;
}

static int run(const struct onednn *e, const struct plan *p,
	       const struct steps *s, struct err *err)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct op *op = &s->op[i];
		dnnl_status_t status = dnnl_success;

		if (op->plain)
			op->plain(p, op);
		else
			status = dnnl_primitive_execute(op->prim, e->stream,
							op->n, op->arg);
		if (status)
			return op_fail(status, "execute", err);
	}
	return 0;
}

static void point(dnnl_memory_t *memory, const struct param *params, int n,
		  const float *flat)
{
	for (int i = 0; i < n; i++)
		dnnl_memory_set_data_handle(memory[i],
					    (void *)(flat + params[i].at));
}

static void point_all(const struct memories *s, const float *at)
{
	for (size_t i = 0; i < s->n; i++)
		dnnl_memory_set_data_handle(s->m[i], (void *)at);
}

static void onednn_close(void *state)
{
	struct onednn *e = state;

	for (int i = 0; i < PLANS; i++)
		plan_release(&e->plan[i]);
	dnnl_stream_destroy(e->stream);
	dnnl_engine_destroy(e->engine);
	free(e);
}

static int onednn_open(void **state, const struct model *m, struct err *err)
{
	struct onednn *e = mem_zero(1, sizeof(*e));
	dnnl_status_t status;

	e->model = m;
	e->threads = 1;
	omp_set_num_threads(1);
	status = dnnl_engine_create(&e->engine, dnnl_cpu, 0);
	if (!status)
		status = dnnl_stream_create(&e->stream, e->engine,
					    dnnl_stream_default_flags);
	if (status) {
		onednn_close(e);
		return op_fail(status, "open", err);
	}
	*state = e;
	return 0;
}

/* Primitives are made for a number of threads. */
static void onednn_threads(void *state, int threads)
{
	struct onednn *e = state;

	for (int i = 0; i < PLANS && threads != e->threads; i++)
		plan_release(&e->plan[i]);
	e->threads = threads;
}

static int onednn_forward(void *state, float *values, const float *x, int n,
			  bool training, const float **logits, struct err *err)
{
	struct onednn *e = state;
	const struct model *m = e->model;
	struct plan *p;
	void *out;

	omp_set_num_threads(e->threads);
	p = plan_for(e, n, training, err);
	if (!p)
		return (int)err->code;
	point(p->value, m->params, m->n_params, values);
	point(p->buffer, m->buffers, m->n_buffers, values);
	point_all(&p->input, x);
	if (run(e, p, &p->forward, err))
		return (int)err->code;
	dnnl_memory_get_data_handle(p->logits, &out);
	*logits = out;
	return 0;
}

static int onednn_backward(void *state, const float *values, const float *x,
			   const float *dlogits, int n, float *grads,
			   struct err *err)
{
	struct onednn *e = state;
	const struct model *m = e->model;
	struct plan *p = plan_for(e, n, true, err);

	if (!p)
		return (int)err->code;
	point(p->value, m->params, m->n_params, values);
	point(p->grad, m->params, m->n_params, grads);
	point_all(&p->input, x);
	point_all(&p->dlogits, dlogits);
	return run(e, p, &p->backward, err);
}

const struct engine engine_dnnl = {"dnnl",         onednn_open,
				   onednn_close,   onednn_threads,
				   onednn_forward, onednn_backward};
