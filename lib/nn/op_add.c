/* op_add.c - residual additions: by oneDNN where the shapes are equal, else
 * through the shortcut in plain rows. */
#include "nn/op.h"

#include <string.h>

#include "nn/shortcut.h"

bool op_remembered(const struct plan *p, int i)
{
	const struct model *m = p->model;

	for (int k = i + 1; k < m->n_layers; k++)
		if (m->layers[k].kind->id == LAYER_ADD &&
		    m->layers[k].from == i)
			return true;
	return false;
}

static bool same_shape(const struct layer *l)
{
	return !memcmp(&l->skip, &l->out, sizeof(l->skip));
}

static size_t size_of(const struct plan *p, const struct shape *s)
{
	return (size_t)p->n * shape_len(s) * sizeof(float);
}

static void to_shape(const struct plan *p, const struct op *op)
{
	const struct layer *l = op->layer;

	memset(op_at(op, 1), 0, size_of(p, &l->out));
	shortcut_add(op_at(op, 1), op_at(op, 0), &l->out, &l->skip, p->n);
}

static void from_shape(const struct plan *p, const struct op *op)
{
	const struct layer *l = op->layer;

	memset(op_at(op, 1), 0, size_of(p, &l->skip));
	shortcut_back(op_at(op, 1), op_at(op, 0), &l->skip, &l->out, p->n);
}

/* fn makes a memory of shape `to` from one of shape `from`, both plain. */
static int by_function(struct plan *p, struct steps *by, const struct layer *l,
		       plain_fn *fn, const struct shape *from,
		       const struct shape *to, dnnl_memory_t *memory,
		       struct err *err)
{
	const dnnl_memory_desc_t in = op_examples(p, from);
	const dnnl_memory_desc_t out = op_examples(p, to);
	dnnl_memory_t made;
	struct op *op;

	if (op_as(p, by, *memory, &in, memory, err) ||
	    op_memory(p, &made, &out, DNNL_MEMORY_ALLOCATE, err))
		return (int)err->code;
	op = op_function(by, l, fn);
	op_arg(op, 0, *memory);
	op_arg(op, 0, made);
	*memory = made;
	return 0;
}

/* to = a + b, in a's format; to may be a. */
static int sum(struct plan *p, struct steps *by, int i, dnnl_memory_t a,
	       dnnl_memory_t b, dnnl_memory_t to, struct err *err)
{
	dnnl_binary_desc_t d;
	dnnl_primitive_desc_t pd;
	struct op *op;

	dnnl_binary_desc_init(&d, dnnl_binary_add, op_desc(a), op_desc(a),
			      op_desc(a));
	if (op_describe(p, i, &d, NULL, &pd, err) ||
	    op_as(p, by, b, op_desc(a), &b, err) || op_add(by, pd, &op, err))
		return (int)err->code;
	op_arg(op, DNNL_ARG_SRC_0, a);
	op_arg(op, DNNL_ARG_SRC_1, b);
	op_arg(op, DNNL_ARG_DST, to);
	return 0;
}

int op_add_forward(struct plan *p, int i, struct err *err)
{
	const struct layer *l = &p->model->layers[i];
	dnnl_memory_t other = p->act[l->from];

	if ((!same_shape(l) && by_function(p, &p->forward, l, to_shape,
					   &l->skip, &l->out, &other, err)) ||
	    op_memory(p, &p->act[i + 1], op_desc(p->act[i]),
		      DNNL_MEMORY_ALLOCATE, err))
		return (int)err->code;
	return sum(p, &p->forward, i, p->act[i], other, p->act[i + 1], err);
}

/* What was remembered gets its share in op_add_skipped(). */
int op_add_backward(struct plan *p, int i, struct err *err)
{
	(void)err;
	p->diff[i] = p->diff[i + 1];
	return 0;
}

static int add_skipped(struct plan *p, int from, int add, struct err *err)
{
	const struct layer *l = &p->model->layers[add];
	dnnl_memory_t other = p->diff[add + 1];

	if (!same_shape(l) && by_function(p, &p->backward, l, from_shape,
					  &l->out, &l->skip, &other, err))
		return (int)err->code;
	return sum(p, &p->backward, add, p->diff[from], other, p->diff[from],
		   err);
}

int op_add_skipped(struct plan *p, int i, struct err *err)
{
	const struct model *m = p->model;
	int rc = 0;

	for (int k = i + 1; i && k < m->n_layers && !rc; k++)
		if (m->layers[k].kind->id == LAYER_ADD &&
		    m->layers[k].from == i)
			rc = add_skipped(p, i, k, err);
	return rc;
}
