/* engine_dnnl.c - layers by oneDNN's primitives, prepared once per batch size.
 *
 * Formats are plain (rows of examples, weights [out][in]), so parameters and
 * gradients are used in place in the caller's flat vectors: for dense layers
 * that beats blocked weights, which cost a reorder each step. */
#include "nn/engine.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <dnnl.h>
#include <dnnl_debug.h>

#include "base/mem.h"

/* Sizes of batch in use: training, the end of an epoch, evaluation, its end. */
enum { PLANS = 4, OP_ARGS = 4 };

/* OpenMP API 5.0, section 3.2.1; by hand, as clang lacks gcc's <omp.h>. It
 * holds for the calling thread only. */
extern void omp_set_num_threads(int threads);

/* A prepared primitive and what it works on; prim is NULL where none is. */
struct op {
	dnnl_primitive_t prim;
	int n;
	dnnl_exec_arg_t arg[OP_ARGS];
};

/* All that a batch of n examples needs. act[i] and diff[i] are what goes into
 * layer i and the gradient with respect to it; act[layers] are the logits. */
struct plan {
	int n; /* 0: free */
	uint64_t used;
	dnnl_memory_t *act, *diff;                /* layers + 1 */
	dnnl_memory_t *value, *grad;              /* params */
	struct op *forward, *to_data, *to_params; /* layers */
};

struct onednn {
	const struct model *model;
	dnnl_engine_t engine;
	dnnl_stream_t stream;
	struct plan plan[PLANS];
	uint64_t calls;
};

static int fail(dnnl_status_t status, const char *what, struct err *err)
{
	return err_set(err,
		       status == dnnl_out_of_memory ? ERR_RESOURCE_EXHAUSTED
						    : ERR_INTERNAL,
		       "oneDNN: %s: %s", what, dnnl_status2str(status));
}

/* oneDNN silently falls back to a reference that is a thousand times slower;
 * on a machine that has better that is an error of ours. */
static int refuse_slow(const_dnnl_primitive_desc_t pd, const char *layer,
		       struct err *err)
{
	const char *name = "";

	dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
	if (strncmp(name, "ref", 3) ||
	    dnnl_get_effective_cpu_isa() < dnnl_cpu_isa_avx2)
		return 0;
	return err_set(err, ERR_INTERNAL, "oneDNN would compute %s by %s",
		       layer, name);
}

/* Fill in op from a descriptor. hint is the forward primitive's, for backward
 * ones; the descriptor is given to *keep where that is not NULL. */
static int make_op(const struct onednn *e, const struct layer *l, struct op *op,
		   const_dnnl_op_desc_t desc, const_dnnl_primitive_desc_t hint,
		   dnnl_primitive_desc_t *keep, struct err *err)
{
	dnnl_primitive_desc_t pd;
	dnnl_status_t status;

	status = dnnl_primitive_desc_create(&pd, desc, NULL, e->engine, hint);
	if (status)
		return fail(status, l->kind->name, err);
	if (refuse_slow(pd, l->kind->name, err)) {
		dnnl_primitive_desc_destroy(pd);
		return (int)err->code;
	}
	status = dnnl_primitive_create(&op->prim, pd);
	if (keep && !status)
		*keep = pd;
	else
		dnnl_primitive_desc_destroy(pd);
	return status ? fail(status, l->kind->name, err) : 0;
}

static void op_arg(struct op *op, int arg, dnnl_memory_t memory)
{
	op->arg[op->n++] = (dnnl_exec_arg_t){arg, memory};
}

static const dnnl_memory_desc_t *desc_of(dnnl_memory_t memory)
{
	const dnnl_memory_desc_t *desc = NULL;

	dnnl_memory_get_memory_desc(memory, &desc);
	return desc;
}

static void dense_args(const struct model *m, struct plan *p, int i)
{
	const int w = m->layers[i].param;

	op_arg(&p->forward[i], DNNL_ARG_SRC, p->act[i]);
	op_arg(&p->forward[i], DNNL_ARG_WEIGHTS, p->value[w]);
	op_arg(&p->forward[i], DNNL_ARG_BIAS, p->value[w + 1]);
	op_arg(&p->forward[i], DNNL_ARG_DST, p->act[i + 1]);
	op_arg(&p->to_data[i], DNNL_ARG_DIFF_DST, p->diff[i + 1]);
	op_arg(&p->to_data[i], DNNL_ARG_WEIGHTS, p->value[w]);
	op_arg(&p->to_data[i], DNNL_ARG_DIFF_SRC, p->diff[i]);
	op_arg(&p->to_params[i], DNNL_ARG_SRC, p->act[i]);
	op_arg(&p->to_params[i], DNNL_ARG_DIFF_DST, p->diff[i + 1]);
	op_arg(&p->to_params[i], DNNL_ARG_DIFF_WEIGHTS, p->grad[w]);
	op_arg(&p->to_params[i], DNNL_ARG_DIFF_BIAS, p->grad[w + 1]);
}

static int dense(const struct onednn *e, struct plan *p, int i, struct err *err)
{
	const struct layer *l = &e->model->layers[i];
	const dnnl_memory_desc_t *src = desc_of(p->act[i]);
	const dnnl_memory_desc_t *dst = desc_of(p->act[i + 1]);
	const dnnl_memory_desc_t *weight = desc_of(p->value[l->param]);
	const dnnl_memory_desc_t *bias = desc_of(p->value[l->param + 1]);
	dnnl_inner_product_desc_t d;
	dnnl_primitive_desc_t hint;
	int rc;

	dnnl_inner_product_forward_desc_init(&d, dnnl_forward_training, src,
					     weight, bias, dst);
	rc = make_op(e, l, &p->forward[i], &d, NULL, &hint, err);
	if (rc)
		return rc;
	dnnl_inner_product_backward_weights_desc_init(&d, src, weight, bias,
						      dst);
	rc = make_op(e, l, &p->to_params[i], &d, hint, NULL, err);
	dnnl_inner_product_backward_data_desc_init(&d, src, weight, dst);
	if (!rc && i)
		rc = make_op(e, l, &p->to_data[i], &d, hint, NULL, err);
	dnnl_primitive_desc_destroy(hint);
	dense_args(e->model, p, i);
	return rc;
}

static int relu(const struct onednn *e, struct plan *p, int i, struct err *err)
{
	const struct layer *l = &e->model->layers[i];
	const dnnl_memory_desc_t *data = desc_of(p->act[i]);
	dnnl_primitive_desc_t hint;
	dnnl_eltwise_desc_t d;
	int rc;

	dnnl_eltwise_forward_desc_init(&d, dnnl_forward_training,
				       dnnl_eltwise_relu, data, 0, 0);
	rc = make_op(e, l, &p->forward[i], &d, NULL, &hint, err);
	if (rc)
		return rc;
	dnnl_eltwise_backward_desc_init(&d, dnnl_eltwise_relu, data, data, 0,
					0);
	if (i)
		rc = make_op(e, l, &p->to_data[i], &d, hint, NULL, err);
	dnnl_primitive_desc_destroy(hint);
	op_arg(&p->forward[i], DNNL_ARG_SRC, p->act[i]);
	op_arg(&p->forward[i], DNNL_ARG_DST, p->act[i + 1]);
	op_arg(&p->to_data[i], DNNL_ARG_SRC, p->act[i]);
	op_arg(&p->to_data[i], DNNL_ARG_DIFF_DST, p->diff[i + 1]);
	op_arg(&p->to_data[i], DNNL_ARG_DIFF_SRC, p->diff[i]);
	return rc;
}

/* Prepare layer i's ops, once the plan's memories are there. */
static int (*const rows[LAYER_KINDS])(const struct onednn *e, struct plan *p,
				      int i, struct err *err) = {
	[LAYER_DENSE] = dense,
	[LAYER_RELU] = relu,
};

/* A memory of plain format; where at is NULL its own, else the caller's, set
 * before each use. */
static int make_memory(const struct onednn *e, dnnl_memory_t *out, int dims,
		       const int64_t *dim, void *at, struct err *err)
{
	static const dnnl_format_tag_t plain[] = {0, dnnl_a, dnnl_ab, dnnl_abc,
						  dnnl_abcd};
	dnnl_memory_desc_t desc;
	dnnl_status_t status;
	dnnl_dims_t d;

	memcpy(d, dim, (size_t)dims * sizeof(*dim));
	status = dnnl_memory_desc_init_by_tag(&desc, dims, d, dnnl_f32,
					      plain[dims]);
	if (!status)
		status = dnnl_memory_create(out, &desc, e->engine, at);
	return status ? fail(status, "memory", err) : 0;
}

/* Memories of the activations: the outermost are the caller's. */
static int make_acts(const struct onednn *e, struct plan *p, struct err *err)
{
	const struct model *m = e->model;

	for (int i = 0; i <= m->n_layers; i++) {
		const struct shape *s = i ? &m->layers[i - 1].out : &m->in;
		const int64_t dim[] = {p->n, (int64_t)shape_len(s)};
		void *own = DNNL_MEMORY_ALLOCATE, *none = DNNL_MEMORY_NONE;

		if (make_memory(e, &p->act[i], 2, dim, i ? own : none, err) ||
		    make_memory(e, &p->diff[i], 2, dim,
				i && i < m->n_layers ? own : none, err))
			return (int)err->code;
	}
	return 0;
}

static int make_params(const struct onednn *e, struct plan *p, struct err *err)
{
	for (int i = 0; i < e->model->n_params; i++) {
		const struct param *q = &e->model->params[i];

		if (make_memory(e, &p->value[i], q->dims, q->dim,
				DNNL_MEMORY_NONE, err) ||
		    make_memory(e, &p->grad[i], q->dims, q->dim,
				DNNL_MEMORY_NONE, err))
			return (int)err->code;
	}
	return 0;
}

static void free_memories(dnnl_memory_t *m, int n)
{
	for (int i = 0; m && i < n; i++)
		dnnl_memory_destroy(m[i]);
	free(m);
}

static void free_ops(struct op *op, int n)
{
	for (int i = 0; op && i < n; i++)
		dnnl_primitive_destroy(op[i].prim);
	free(op);
}

static void plan_release(const struct model *m, struct plan *p)
{
	free_ops(p->forward, m->n_layers);
	free_ops(p->to_data, m->n_layers);
	free_ops(p->to_params, m->n_layers);
	free_memories(p->act, m->n_layers + 1);
	free_memories(p->diff, m->n_layers + 1);
	free_memories(p->value, m->n_params);
	free_memories(p->grad, m->n_params);
	*p = (struct plan){0};
}

static int plan_init(const struct onednn *e, struct plan *p, int n,
		     struct err *err)
{
	const size_t layers = (size_t)e->model->n_layers;
	const size_t params = (size_t)e->model->n_params;
	int rc;

	p->n = n;
	p->act = mem_zero(layers + 1, sizeof(*p->act));
	p->diff = mem_zero(layers + 1, sizeof(*p->diff));
	p->value = mem_zero(params, sizeof(*p->value));
	p->grad = mem_zero(params, sizeof(*p->grad));
	p->forward = mem_zero(layers, sizeof(*p->forward));
	p->to_data = mem_zero(layers, sizeof(*p->to_data));
	p->to_params = mem_zero(layers, sizeof(*p->to_params));
	rc = make_acts(e, p, err);
	if (!rc)
		rc = make_params(e, p, err);
	for (int i = 0; i < e->model->n_layers && !rc; i++)
		rc = rows[e->model->layers[i].kind->id](e, p, i, err);
	if (rc)
		plan_release(e->model, p);
	return rc;
}

/* The plan for n examples; the one longest unused makes place for a new one. */
static struct plan *plan_for(struct onednn *e, int n, struct err *err)
{
	struct plan *old = &e->plan[0];

	for (struct plan *p = e->plan; p < e->plan + PLANS; p++) {
		if (p->n == n) {
			p->used = ++e->calls;
			return p;
		}
		if (p->used < old->used)
			old = p;
	}
	plan_release(e->model, old);
	if (plan_init(e, old, n, err))
		return NULL;
	old->used = ++e->calls;
	return old;
}

static int run(struct onednn *e, const struct op *op, struct err *err)
{
	dnnl_status_t status;

	if (!op->prim)
		return 0;
	status = dnnl_primitive_execute(op->prim, e->stream, op->n, op->arg);
	return status ? fail(status, "execute", err) : 0;
}

static void point(dnnl_memory_t *memory, const struct model *m,
		  const float *flat)
{
	for (int i = 0; i < m->n_params; i++)
		dnnl_memory_set_data_handle(memory[i],
					    (void *)(flat + m->params[i].at));
}

static void onednn_close(void *state)
{
	struct onednn *e = state;

	for (int i = 0; i < PLANS; i++)
		plan_release(e->model, &e->plan[i]);
	dnnl_stream_destroy(e->stream);
	dnnl_engine_destroy(e->engine);
	free(e);
}

static int onednn_open(void **state, const struct model *m, struct err *err)
{
	struct onednn *e = mem_zero(1, sizeof(*e));
	dnnl_status_t status;

	e->model = m;
	omp_set_num_threads(1);
	status = dnnl_engine_create(&e->engine, dnnl_cpu, 0);
	if (!status)
		status = dnnl_stream_create(&e->stream, e->engine,
					    dnnl_stream_default_flags);
	if (status) {
		onednn_close(e);
		return fail(status, "open", err);
	}
	*state = e;
	return 0;
}

static int onednn_forward(void *state, const float *params, const float *x,
			  int n, const float **logits, struct err *err)
{
	struct onednn *e = state;
	const int layers = e->model->n_layers;
	struct plan *p;
	void *out;

	omp_set_num_threads(1);
	p = plan_for(e, n, err);
	if (!p)
		return (int)err->code;
	point(p->value, e->model, params);
	dnnl_memory_set_data_handle(p->act[0], (void *)x);
	for (int i = 0; i < layers; i++)
		if (run(e, &p->forward[i], err))
			return (int)err->code;
	dnnl_memory_get_data_handle(p->act[layers], &out);
	*logits = out;
	return 0;
}

static int onednn_backward(void *state, const float *params, const float *x,
			   const float *dlogits, int n, float *grads,
			   struct err *err)
{
	struct onednn *e = state;
	const int layers = e->model->n_layers;
	struct plan *p = plan_for(e, n, err);

	if (!p)
		return (int)err->code;
	point(p->value, e->model, params);
	point(p->grad, e->model, grads);
	dnnl_memory_set_data_handle(p->act[0], (void *)x);
	dnnl_memory_set_data_handle(p->diff[layers], (void *)dlogits);
	for (int i = layers - 1; i >= 0; i--)
		if (run(e, &p->to_params[i], err) ||
		    run(e, &p->to_data[i], err))
			return (int)err->code;
	return 0;
}

const struct engine engine_dnnl = {"dnnl", onednn_open, onednn_close,
				   onednn_forward, onednn_backward};
