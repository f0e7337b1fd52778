/* op_conv.c - convolution and pooling by oneDNN, in the formats it likes best;
 * the weights are reordered each step, as they are small. */
#include "nn/op.h"

/* The descriptions of one convolution that its three primitives share. */
struct conv {
	dnnl_memory_desc_t src, weight, bias, dst;
	const dnnl_memory_desc_t *bias_or_none;
	dnnl_dims_t stride, pad, pad_right;
};

/* The right pad is what oneDNN must be told so that the sizes fit: what the
 * last window does not reach is cut off. */
static int64_t right_pad(int in, int out, int kernel, int stride, int pad)
{
	return (out - 1) * stride + kernel - in - pad;
}

static void conv_describe(const struct plan *p, int i, struct conv *c)
{
	const struct layer *l = &p->model->layers[i];
	const int k = l->arg[CONV_KERNEL], stride = l->arg[CONV_STRIDE];
	const int pad = l->arg[CONV_PAD];
	int64_t dim[4];

	op_dims(dim, p->n, &l->in);
	c->src = op_any(4, dim);
	op_dims(dim, p->n, &l->out);
	c->dst = op_any(4, dim);
	c->weight = op_any(4, p->model->params[l->param].dim);
	c->bias = op_plain(1, dim + 1);
	c->bias_or_none = l->arg[CONV_NOBIAS] ? NULL : &c->bias;
	c->stride[0] = c->stride[1] = stride;
	c->pad[0] = c->pad[1] = pad;
	c->pad_right[0] = right_pad(l->in.h, l->out.h, k, stride, pad);
	c->pad_right[1] = right_pad(l->in.w, l->out.w, k, stride, pad);
}

int op_conv_forward(struct plan *p, int i, struct err *err)
{
	const struct layer *l = &p->model->layers[i];
	dnnl_convolution_desc_t d;
	dnnl_primitive_desc_t pd;
	dnnl_memory_t weight;
	struct conv c;
	struct op *op;

	conv_describe(p, i, &c);
	dnnl_convolution_forward_desc_init(
		&d,
		p->training ? dnnl_forward_training : dnnl_forward_inference,
		dnnl_convolution_direct, &c.src, &c.weight, c.bias_or_none,
		&c.dst, c.stride, c.pad, c.pad_right);
	if (op_describe(p, i, &d, NULL, &pd, err) ||
	    op_as(p, &p->forward, p->act[i], op_wants(pd, dnnl_query_src_md),
		  &p->src[i], err) ||
	    op_as(p, &p->forward, p->value[l->param],
		  op_wants(pd, dnnl_query_weights_md), &weight, err) ||
	    op_memory(p, &p->act[i + 1], op_wants(pd, dnnl_query_dst_md),
		      DNNL_MEMORY_ALLOCATE, err) ||
	    op_add(&p->forward, pd, &op, err))
		return (int)err->code;
	op_arg(op, DNNL_ARG_SRC, p->src[i]);
	op_arg(op, DNNL_ARG_WEIGHTS, weight);
	if (c.bias_or_none)
		op_arg(op, DNNL_ARG_BIAS, p->value[l->param + 1]);
	op_arg(op, DNNL_ARG_DST, p->act[i + 1]);
	p->hint[i] = pd;
	return 0;
}

static int conv_to_params(struct plan *p, int i, const struct conv *c,
			  struct err *err)
{
	const int w = p->model->layers[i].param;
	dnnl_memory_t src, dout, dweight = p->grad[w];
	dnnl_convolution_desc_t d;
	const dnnl_memory_desc_t *want;
	dnnl_primitive_desc_t pd;
	struct op *op;

	dnnl_convolution_backward_weights_desc_init(
		&d, dnnl_convolution_direct, &c->src, &c->weight,
		c->bias_or_none, &c->dst, c->stride, c->pad, c->pad_right);
	if (op_describe(p, i, &d, p->hint[i], &pd, err) ||
	    op_as(p, &p->backward, p->src[i], op_wants(pd, dnnl_query_src_md),
		  &src, err) ||
	    op_as(p, &p->backward, p->diff[i + 1],
		  op_wants(pd, dnnl_query_diff_dst_md), &dout, err))
		return (int)err->code;
	want = op_wants(pd, dnnl_query_diff_weights_md);
	if ((!dnnl_memory_desc_equal(want, op_desc(dweight)) &&
	     op_memory(p, &dweight, want, DNNL_MEMORY_ALLOCATE, err)) ||
	    op_add(&p->backward, pd, &op, err))
		return (int)err->code;
	op_arg(op, DNNL_ARG_SRC, src);
	op_arg(op, DNNL_ARG_DIFF_DST, dout);
	op_arg(op, DNNL_ARG_DIFF_WEIGHTS, dweight);
	if (c->bias_or_none)
		op_arg(op, DNNL_ARG_DIFF_BIAS, p->grad[w + 1]);
	return op_into(p, &p->backward, dweight, p->grad[w], err);
}

static int conv_to_data(struct plan *p, int i, const struct conv *c,
			struct err *err)
{
	const int w = p->model->layers[i].param;
	dnnl_memory_t weight, dout;
	dnnl_convolution_desc_t d;
	dnnl_primitive_desc_t pd;
	struct op *op;

	dnnl_convolution_backward_data_desc_init(
		&d, dnnl_convolution_direct, &c->src, &c->weight, &c->dst,
		c->stride, c->pad, c->pad_right);
	if (op_describe(p, i, &d, p->hint[i], &pd, err) ||
	    op_as(p, &p->backward, p->value[w],
		  op_wants(pd, dnnl_query_weights_md), &weight, err) ||
	    op_as(p, &p->backward, p->diff[i + 1],
		  op_wants(pd, dnnl_query_diff_dst_md), &dout, err) ||
	    op_memory(p, &p->diff[i], op_wants(pd, dnnl_query_diff_src_md),
		      DNNL_MEMORY_ALLOCATE, err) ||
	    op_add(&p->backward, pd, &op, err))
		return (int)err->code;
	op_arg(op, DNNL_ARG_DIFF_DST, dout);
	op_arg(op, DNNL_ARG_WEIGHTS, weight);
	op_arg(op, DNNL_ARG_DIFF_SRC, p->diff[i]);
	return 0;
}

int op_conv_backward(struct plan *p, int i, struct err *err)
{
	struct conv c;
	int rc;

	conv_describe(p, i, &c);
	rc = conv_to_params(p, i, &c, err);
	return rc || !i ? rc : conv_to_data(p, i, &c, err);
}

/* Max-pooling, or the average of all of a channel. */
struct pool {
	dnnl_alg_kind_t how;
	dnnl_memory_desc_t src, dst;
	dnnl_dims_t kernel, stride, pad, pad_right;
};

static void pool_describe(const struct plan *p, int i, struct pool *c)
{
	const struct layer *l = &p->model->layers[i];
	const bool all = l->kind->id == LAYER_AVGPOOL;
	const int stride = all ? 1 : layer_pool_stride(l);
	const int pad = l->arg[POOL_PAD], k = l->arg[POOL_KERNEL];
	int64_t dim[4];

	c->how = all ? dnnl_pooling_avg_exclude_padding : dnnl_pooling_max;
	op_dims(dim, p->n, &l->in);
	c->src = op_any(4, dim);
	op_dims(dim, p->n, &l->out);
	c->dst = op_any(4, dim);
	c->kernel[0] = all ? l->in.h : k;
	c->kernel[1] = all ? l->in.w : k;
	c->stride[0] = c->stride[1] = stride;
	c->pad[0] = c->pad[1] = pad;
	c->pad_right[0] =
		right_pad(l->in.h, l->out.h, (int)c->kernel[0], stride, pad);
	c->pad_right[1] =
		right_pad(l->in.w, l->out.w, (int)c->kernel[1], stride, pad);
}

int op_spatial(struct plan *p, int i, struct err *err)
{
	const dnnl_memory_desc_t plain =
		op_examples(p, &p->model->layers[i].in);

	p->src[i] = p->act[i];
	if (op_desc(p->act[i])->ndims == 4)
		return 0;
	return op_as(p, &p->forward, p->act[i], &plain, &p->src[i], err);
}

int op_pool_forward(struct plan *p, int i, struct err *err)
{
	dnnl_pooling_desc_t d;
	dnnl_primitive_desc_t pd;
	const dnnl_memory_desc_t *kept;
	struct pool c;
	struct op *op;

	pool_describe(p, i, &c);
	if (op_spatial(p, i, err))
		return (int)err->code;
	dnnl_pooling_forward_desc_init(&d,
				       p->training ? dnnl_forward_training
						   : dnnl_forward_inference,
				       c.how, op_desc(p->src[i]), &c.dst,
				       c.stride, c.kernel, c.pad, c.pad_right);
	if (op_describe(p, i, &d, NULL, &pd, err) ||
	    op_memory(p, &p->act[i + 1], op_wants(pd, dnnl_query_dst_md),
		      DNNL_MEMORY_ALLOCATE, err))
		return (int)err->code;
	kept = op_wants(pd, dnnl_query_workspace_md);
	if ((kept && kept->ndims &&
	     op_memory(p, &p->work[0][i], kept, DNNL_MEMORY_ALLOCATE, err)) ||
	    op_add(&p->forward, pd, &op, err))
		return (int)err->code;
	op_arg(op, DNNL_ARG_SRC, p->src[i]);
	op_arg(op, DNNL_ARG_DST, p->act[i + 1]);
	if (p->work[0][i])
		op_arg(op, DNNL_ARG_WORKSPACE, p->work[0][i]);
	p->hint[i] = pd;
	return 0;
}

int op_pool_backward(struct plan *p, int i, struct err *err)
{
	dnnl_pooling_desc_t d;
	dnnl_primitive_desc_t pd;
	dnnl_memory_t dout;
	struct pool c;
	struct op *op;

	if (!i)
		return 0;
	pool_describe(p, i, &c);
	dnnl_pooling_backward_desc_init(&d, c.how, op_desc(p->src[i]),
					op_desc(p->act[i + 1]), c.stride,
					c.kernel, c.pad, c.pad_right);
	if (op_describe(p, i, &d, p->hint[i], &pd, err) ||
	    op_as(p, &p->backward, p->diff[i + 1],
		  op_wants(pd, dnnl_query_diff_dst_md), &dout, err) ||
	    op_memory(p, &p->diff[i], op_wants(pd, dnnl_query_diff_src_md),
		      DNNL_MEMORY_ALLOCATE, err) ||
	    op_add(&p->backward, pd, &op, err))
		return (int)err->code;
	op_arg(op, DNNL_ARG_DIFF_DST, dout);
	op_arg(op, DNNL_ARG_DIFF_SRC, p->diff[i]);
	if (p->work[0][i])
		op_arg(op, DNNL_ARG_WORKSPACE, p->work[0][i]);
	return 0;
}
