/* op.h - oneDNN's primitives, prepared for one size of batch; for
 * engine_dnnl.c and op_*.c.
 *
 * Each layer appends what it does to the plan's steps, forward in the layers'
 * order, backward in the reverse. It takes its input in whatever format the
 * layer before left it, reordered where it wants another, and leaves its
 * output in the format that suits it. */
#ifndef NN_OP_H
#define NN_OP_H

#include <stdbool.h>

#include <dnnl.h>

#include "nn/model.h"

enum { OP_ARGS = 9 };

struct plan;
struct op;

/* What oneDNN has no fast primitive for: works on the plain memories that are
 * op's arguments. */
typedef void plain_fn(const struct plan *p, const struct op *op);

/* One step: a primitive, or a function, and what it works on. */
struct op {
	dnnl_primitive_t prim;
	plain_fn *plain;
	const struct layer *layer;
	int n;
	dnnl_exec_arg_t arg[OP_ARGS];
};

struct steps {
	struct op *op;
	size_t n, cap;
};

struct memories {
	dnnl_memory_t *m;
	size_t n, cap;
};

/* A copy of a memory in another format, made by a step. */
struct copy {
	const struct steps *by;
	dnnl_memory_t from, to;
};

/* All that a batch of n examples needs. act[i] and diff[i] are what goes into
 * layer i and the gradient with respect to it; act[layers] are the logits. */
struct plan {
	const struct model *model;
	dnnl_engine_t engine;
	int n; /* 0: free */
	bool training;
	uint64_t used;
	struct steps forward, backward;
	dnnl_memory_t *act, *diff;            /* layers + 1 */
	dnnl_memory_t *src;                   /* layers: act as it was used */
	dnnl_memory_t *work[2];               /* layers: kept for backward */
	const_dnnl_primitive_desc_t *hint;    /* layers: the forward's */
	dnnl_memory_t *value, *grad, *buffer; /* params, params, buffers */
	dnnl_memory_t logits;
	struct memories owned; /* all of them, once */
	dnnl_primitive_desc_t *described;
	size_t n_described, cap_described;
	struct memories input, dlogits; /* those that are the caller's */
	struct copy *copies;
	size_t n_copies, cap_copies;
};

int op_fail(dnnl_status_t status, const char *what, struct err *err);

/* A memory of desc that is freed with the plan. at: DNNL_MEMORY_ALLOCATE for
 * its own bytes, DNNL_MEMORY_NONE where the bytes are set before each use. */
int op_memory(struct plan *p, dnnl_memory_t *out,
	      const dnnl_memory_desc_t *desc, void *at, struct err *err);
/* One whose bytes are those that every memory of `of` is set to. */
int op_input(struct plan *p, struct memories *of, dnnl_memory_t *out,
	     const dnnl_memory_desc_t *desc, struct err *err);
const dnnl_memory_desc_t *op_desc(dnnl_memory_t memory);

/* Descriptors of float32: rows in C's order, or in whatever order a primitive
 * likes best. */
dnnl_memory_desc_t op_plain(int dims, const int64_t *dim);
dnnl_memory_desc_t op_any(int dims, const int64_t *dim);

/* dim[4] of n examples of a shape. */
void op_dims(int64_t dim[4], int n, const struct shape *s);

/* The plan's examples of a shape, in C's order. */
dnnl_memory_desc_t op_examples(const struct plan *p, const struct shape *s);

/* memory as want has it: itself, or a copy that a step makes. The number of
 * dimensions may differ where the bytes are the same. */
int op_as(struct plan *p, struct steps *by, dnnl_memory_t memory,
	  const dnnl_memory_desc_t *want, dnnl_memory_t *out, struct err *err);

/* Have a step write from to to, unless it is that. */
int op_into(struct plan *p, struct steps *by, dnnl_memory_t from,
	    dnnl_memory_t to, struct err *err);

/* What oneDNN makes of a description, the plan's: which formats it wants. hint
 * is the forward's for backward ones, else NULL. A slow implementation is
 * refused. */
int op_describe(struct plan *p, int layer, const void *desc,
		const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd,
		struct err *err);
const dnnl_memory_desc_t *op_wants(const_dnnl_primitive_desc_t pd,
				   dnnl_query_t what);

/* A step that does it; *out is valid until the next is appended. */
int op_add(struct steps *by, const_dnnl_primitive_desc_t pd, struct op **out,
	   struct err *err);

/* A step that is a function, likewise. */
struct op *op_function(struct steps *by, const struct layer *l, plain_fn *fn);
void op_arg(struct op *op, int arg, dnnl_memory_t memory);
float *op_at(const struct op *op, int i); /* bytes of the i-th argument */

void op_steps_release(struct steps *s);

/* A row of each kind of layer: append the steps of layer i. forward sets
 * p->act[i + 1]; backward, called for the last layer first, sets p->diff[i]
 * where i > 0. */
typedef int row_fn(struct plan *p, int i, struct err *err);
row_fn op_dense_forward, op_dense_backward, op_relu_forward, op_relu_backward,
	op_conv_forward, op_conv_backward, op_pool_forward, op_pool_backward,
	op_flatten_forward, op_flatten_backward, op_batchnorm_forward,
	op_batchnorm_backward, op_lrn_forward, op_lrn_backward, op_add_forward,
	op_add_backward;

/* Add to diff[i] what the layers that add the input of layer i give. */
int op_add_skipped(struct plan *p, int i, struct err *err);

/* Set p->src[i] to the input of layer i with four dimensions, which a dense
 * layer's output has not. */
row_fn op_spatial;

/* Whether the input of layer i is remembered for an "add". */
bool op_remembered(const struct plan *p, int i);

#endif
