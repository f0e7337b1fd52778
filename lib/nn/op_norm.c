/* op_norm.c - batch normalisation by oneDNN; local response normalisation by
 * the reference's loops, because oneDNN knows only windows of an odd number of
 * channels. */
#include "nn/op.h"

#include "nn/engine_ref.h"

static dnnl_memory_desc_t of_channels(const struct layer *l)
{
	const int64_t dim[] = {l->in.c};

	return op_plain(1, dim);
}

static unsigned flags_of(const struct plan *p)
{
	return dnnl_use_scale | dnnl_use_shift |
	       (p->training ? 0 : dnnl_use_global_stats);
}

/* Arguments: mean and variance of the batch, then the running ones. */
static void move_buffers(const struct plan *p, const struct op *op)
{
	const struct layer *l = op->layer;
	const float k = (float)LAYER_BATCHNORM_MOMENTUM;
	const float count = (float)(p->n * l->in.h * l->in.w);
	const float scale = count > 1 ? count / (count - 1) : 1;
	float *mean = op_at(op, 2), *variance = op_at(op, 3);

	for (int c = 0; c < l->in.c; c++) {
		mean[c] += k * (op_at(op, 0)[c] - mean[c]);
		variance[c] += k * (scale * op_at(op, 1)[c] - variance[c]);
	}
}

/* The batch's own moments in training, the running ones in use. */
static int moments(struct plan *p, int i, struct err *err)
{
	const struct layer *l = &p->model->layers[i];
	const dnnl_memory_desc_t one = of_channels(l);

	for (int k = 0; k < 2; k++) {
		p->work[k][i] = p->buffer[l->buffer + k];
		if (p->training && op_memory(p, &p->work[k][i], &one,
					     DNNL_MEMORY_ALLOCATE, err))
			return (int)err->code;
	}
	return 0;
}

int op_batchnorm_forward(struct plan *p, int i, struct err *err)
{
	const struct layer *l = &p->model->layers[i];
	dnnl_batch_normalization_desc_t d;
	dnnl_primitive_desc_t pd;
	struct op *op;

	if (op_spatial(p, i, err) || moments(p, i, err))
		return (int)err->code;
	dnnl_batch_normalization_forward_desc_init(
		&d,
		p->training ? dnnl_forward_training : dnnl_forward_inference,
		op_desc(p->src[i]), LAYER_BATCHNORM_EPSILON, flags_of(p));
	if (op_describe(p, i, &d, NULL, &pd, err) ||
	    op_memory(p, &p->act[i + 1], op_desc(p->src[i]),
		      DNNL_MEMORY_ALLOCATE, err) ||
	    op_add(&p->forward, pd, &op, err))
		return (int)err->code;
	op_arg(op, DNNL_ARG_SRC, p->src[i]);
	op_arg(op, DNNL_ARG_DST, p->act[i + 1]);
	op_arg(op, DNNL_ARG_MEAN, p->work[0][i]);
	op_arg(op, DNNL_ARG_VARIANCE, p->work[1][i]);
	op_arg(op, DNNL_ARG_SCALE, p->value[l->param]);
	op_arg(op, DNNL_ARG_SHIFT, p->value[l->param + 1]);
	p->hint[i] = pd;
	if (!p->training)
		return 0;
	op = op_function(&p->forward, l, move_buffers);
	op_arg(op, 0, p->work[0][i]);
	op_arg(op, 0, p->work[1][i]);
	op_arg(op, 0, p->buffer[l->buffer]);
	op_arg(op, 0, p->buffer[l->buffer + 1]);
	return 0;
}

int op_batchnorm_backward(struct plan *p, int i, struct err *err)
{
	const struct layer *l = &p->model->layers[i];
	const dnnl_memory_desc_t *data = op_desc(p->src[i]);
	dnnl_batch_normalization_desc_t d;
	dnnl_primitive_desc_t pd;
	dnnl_memory_t dout;
	struct op *op;

	dnnl_batch_normalization_backward_desc_init(
		&d, dnnl_backward, data, data, LAYER_BATCHNORM_EPSILON,
		flags_of(p));
	if (op_describe(p, i, &d, p->hint[i], &pd, err) ||
	    op_as(p, &p->backward, p->diff[i + 1], data, &dout, err) ||
	    op_memory(p, &p->diff[i], data, DNNL_MEMORY_ALLOCATE, err) ||
	    op_add(&p->backward, pd, &op, err))
		return (int)err->code;
	op_arg(op, DNNL_ARG_SRC, p->src[i]);
	op_arg(op, DNNL_ARG_MEAN, p->work[0][i]);
	op_arg(op, DNNL_ARG_VARIANCE, p->work[1][i]);
	op_arg(op, DNNL_ARG_DIFF_DST, dout);
	op_arg(op, DNNL_ARG_SCALE, p->value[l->param]);
	/* of no use to the gradients, but 2.6 wants to have it */
	op_arg(op, DNNL_ARG_SHIFT, p->value[l->param + 1]);
	op_arg(op, DNNL_ARG_DIFF_SRC, p->diff[i]);
	op_arg(op, DNNL_ARG_DIFF_SCALE, p->grad[l->param]);
	op_arg(op, DNNL_ARG_DIFF_SHIFT, p->grad[l->param + 1]);
	return 0;
}

static void lrn_forward(const struct plan *p, const struct op *op)
{
	engine_ref_lrn_forward(&(struct work){.layer = op->layer,
					      .n = p->n,
					      .in = op_at(op, 0),
					      .out = op_at(op, 1)});
}

static void lrn_backward(const struct plan *p, const struct op *op)
{
	engine_ref_lrn_backward(&(struct work){.layer = op->layer,
					       .n = p->n,
					       .in = op_at(op, 0),
					       .dout = op_at(op, 1),
					       .din = op_at(op, 2)});
}

int op_lrn_forward(struct plan *p, int i, struct err *err)
{
	const struct layer *l = &p->model->layers[i];
	const dnnl_memory_desc_t plain = op_examples(p, &l->in);
	struct op *op;

	if (op_as(p, &p->forward, p->act[i], &plain, &p->src[i], err) ||
	    op_memory(p, &p->act[i + 1], &plain, DNNL_MEMORY_ALLOCATE, err))
		return (int)err->code;
	op = op_function(&p->forward, l, lrn_forward);
	op_arg(op, 0, p->src[i]);
	op_arg(op, 0, p->act[i + 1]);
	return 0;
}

int op_lrn_backward(struct plan *p, int i, struct err *err)
{
	const struct layer *l = &p->model->layers[i];
	const dnnl_memory_desc_t plain = op_examples(p, &l->in);
	dnnl_memory_t dout;
	struct op *op;

	if (!i)
		return 0;
	if (op_as(p, &p->backward, p->diff[i + 1], &plain, &dout, err) ||
	    op_memory(p, &p->diff[i], &plain, DNNL_MEMORY_ALLOCATE, err))
		return (int)err->code;
	op = op_function(&p->backward, l, lrn_backward);
	op_arg(op, 0, p->src[i]);
	op_arg(op, 0, dout);
	op_arg(op, 0, p->diff[i]);
	return 0;
}
