/* op_dense.c - dense layers, ReLU and flatten by oneDNN.
 *
 * Dense layers use rows of examples and weights [out][in] as the caller's flat
 * vectors have them: that beats blocked weights, which cost a reorder of the
 * largest tensors each step. */
#include "nn/op.h"

static dnnl_memory_desc_t rows(int n, const struct shape *s)
{
	const int64_t dim[] = {n, (int64_t)shape_len(s)};

	return op_plain(2, dim);
}

int op_dense_forward(struct plan *p, int i, struct err *err)
{
	const struct layer *l = &p->model->layers[i];
	const dnnl_memory_desc_t src = rows(p->n, &l->in);
	const dnnl_memory_desc_t dst = rows(p->n, &l->out);
	const dnnl_memory_t weight = p->value[l->param];
	const dnnl_memory_t bias = p->value[l->param + 1];
	dnnl_inner_product_desc_t d;
	dnnl_primitive_desc_t pd;
	struct op *op;

	dnnl_inner_product_forward_desc_init(
		&d,
		p->training ? dnnl_forward_training : dnnl_forward_inference,
		&src, op_desc(weight), op_desc(bias), &dst);
	if (op_describe(p, i, &d, NULL, &pd, err) ||
	    op_as(p, &p->forward, p->act[i], &src, &p->src[i], err) ||
	    op_memory(p, &p->act[i + 1], &dst, DNNL_MEMORY_ALLOCATE, err) ||
	    op_add(&p->forward, pd, &op, err))
		return (int)err->code;
	op_arg(op, DNNL_ARG_SRC, p->src[i]);
	op_arg(op, DNNL_ARG_WEIGHTS, weight);
	op_arg(op, DNNL_ARG_BIAS, bias);
	op_arg(op, DNNL_ARG_DST, p->act[i + 1]);
	p->hint[i] = pd;
	return 0;
}

static int dense_to_params(struct plan *p, int i, dnnl_memory_t dout,
			   struct err *err)
{
	const int w = p->model->layers[i].param;
	dnnl_inner_product_desc_t d;
	dnnl_primitive_desc_t pd;
	struct op *op;

	dnnl_inner_product_backward_weights_desc_init(
		&d, op_desc(p->src[i]), op_desc(p->grad[w]),
		op_desc(p->grad[w + 1]), op_desc(dout));
	if (op_describe(p, i, &d, p->hint[i], &pd, err) ||
	    op_add(&p->backward, pd, &op, err))
		return (int)err->code;
	op_arg(op, DNNL_ARG_SRC, p->src[i]);
	op_arg(op, DNNL_ARG_DIFF_DST, dout);
	op_arg(op, DNNL_ARG_DIFF_WEIGHTS, p->grad[w]);
	op_arg(op, DNNL_ARG_DIFF_BIAS, p->grad[w + 1]);
	return 0;
}

static int dense_to_data(struct plan *p, int i, dnnl_memory_t dout,
			 struct err *err)
{
	const int w = p->model->layers[i].param;
	const dnnl_memory_desc_t *src = op_desc(p->src[i]);
	dnnl_inner_product_desc_t d;
	dnnl_primitive_desc_t pd;
	struct op *op;

	dnnl_inner_product_backward_data_desc_init(
		&d, src, op_desc(p->value[w]), op_desc(dout));
	if (op_describe(p, i, &d, p->hint[i], &pd, err) ||
	    op_memory(p, &p->diff[i], src, DNNL_MEMORY_ALLOCATE, err) ||
	    op_add(&p->backward, pd, &op, err))
		return (int)err->code;
	op_arg(op, DNNL_ARG_DIFF_DST, dout);
	op_arg(op, DNNL_ARG_WEIGHTS, p->value[w]);
	op_arg(op, DNNL_ARG_DIFF_SRC, p->diff[i]);
	return 0;
}

int op_dense_backward(struct plan *p, int i, struct err *err)
{
	dnnl_memory_t dout;
	int rc;

	rc = op_as(p, &p->backward, p->diff[i + 1], op_desc(p->act[i + 1]),
		   &dout, err);
	if (!rc)
		rc = dense_to_params(p, i, dout, err);
	return rc || !i ? rc : dense_to_data(p, i, dout, err);
}

/* ReLU works in place, but where others still read what goes in: the caller,
 * an "add" behind it, or whoever shares the bytes. */
static bool in_place(const struct plan *p, int i)
{
	return i && !op_remembered(p, i) &&
	       p->model->layers[i - 1].kind->id != LAYER_FLATTEN;
}

static bool diff_in_place(const struct plan *p, int i)
{
	const struct layer *next = &p->model->layers[i + 1];

	return i + 1 < p->model->n_layers && next->kind->id != LAYER_ADD &&
	       next->kind->id != LAYER_FLATTEN;
}

int op_relu_forward(struct plan *p, int i, struct err *err)
{
	const dnnl_memory_desc_t *data = op_desc(p->act[i]);
	dnnl_eltwise_desc_t d;
	dnnl_primitive_desc_t pd;
	struct op *op;

	dnnl_eltwise_forward_desc_init(
		&d,
		p->training ? dnnl_forward_training : dnnl_forward_inference,
		p->training ? dnnl_eltwise_relu_use_dst_for_bwd
			    : dnnl_eltwise_relu,
		data, 0, 0);
	p->act[i + 1] = p->act[i];
	if (op_describe(p, i, &d, NULL, &pd, err) ||
	    (!in_place(p, i) &&
	     op_memory(p, &p->act[i + 1], data, DNNL_MEMORY_ALLOCATE, err)) ||
	    op_add(&p->forward, pd, &op, err))
		return (int)err->code;
	op_arg(op, DNNL_ARG_SRC, p->act[i]);
	op_arg(op, DNNL_ARG_DST, p->act[i + 1]);
	p->hint[i] = pd;
	return 0;
}

int op_relu_backward(struct plan *p, int i, struct err *err)
{
	const dnnl_memory_desc_t *data = op_desc(p->act[i + 1]);
	dnnl_eltwise_desc_t d;
	dnnl_primitive_desc_t pd;
	dnnl_memory_t dout;
	struct op *op;

	if (!i)
		return 0;
	dnnl_eltwise_backward_desc_init(&d, dnnl_eltwise_relu_use_dst_for_bwd,
					data, data, 0, 0);
	if (op_describe(p, i, &d, p->hint[i], &pd, err) ||
	    op_as(p, &p->backward, p->diff[i + 1], data, &dout, err))
		return (int)err->code;
	p->diff[i] = dout;
	if ((!diff_in_place(p, i) &&
	     op_memory(p, &p->diff[i], data, DNNL_MEMORY_ALLOCATE, err)) ||
	    op_add(&p->backward, pd, &op, err))
		return (int)err->code;
	op_arg(op, DNNL_ARG_DST, p->act[i + 1]);
	op_arg(op, DNNL_ARG_DIFF_DST, dout);
	op_arg(op, DNNL_ARG_DIFF_SRC, p->diff[i]);
	return 0;
}

/* The same bytes as rows: whoever wants them otherwise says so. */
int op_flatten_forward(struct plan *p, int i, struct err *err)
{
	const dnnl_memory_desc_t flat = rows(p->n, &p->model->layers[i].out);

	return op_as(p, &p->forward, p->act[i], &flat, &p->act[i + 1], err);
}

int op_flatten_backward(struct plan *p, int i, struct err *err)
{
	(void)err;
	p->diff[i] = p->diff[i + 1];
	return 0;
}
