#include "nn/op.h"

#include <stdlib.h>
#include <string.h>

#include <dnnl_debug.h>

#include "base/mem.h"

int op_fail(dnnl_status_t status, const char *what, struct err *err)
{
	return err_set(err,
		       status == dnnl_out_of_memory ? ERR_RESOURCE_EXHAUSTED
						    : ERR_INTERNAL,
		       "oneDNN: %s: %s", what, dnnl_status2str(status));
}

static void memories_add(struct memories *s, dnnl_memory_t m)
{
	s->m = mem_grow(s->m, &s->cap, s->n + 1, sizeof(*s->m));
	s->m[s->n++] = m;
}

static bool memories_have(const struct memories *s, dnnl_memory_t m)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->m[i] == m)
			return true;
	return false;
}

int op_memory(struct plan *p, dnnl_memory_t *out,
	      const dnnl_memory_desc_t *desc, void *at, struct err *err)
{
	dnnl_status_t status = dnnl_memory_create(out, desc, p->engine, at);

	if (status)
		return op_fail(status, "memory", err);
	memories_add(&p->owned, *out);
	return 0;
}

int op_input(struct plan *p, struct memories *of, dnnl_memory_t *out,
	     const dnnl_memory_desc_t *desc, struct err *err)
{
	if (op_memory(p, out, desc, DNNL_MEMORY_NONE, err))
		return (int)err->code;
	memories_add(of, *out);
	return 0;
}

const dnnl_memory_desc_t *op_desc(dnnl_memory_t memory)
{
	const dnnl_memory_desc_t *desc = NULL;

	dnnl_memory_get_memory_desc(memory, &desc);
	return desc;
}

static dnnl_memory_desc_t desc_of(int dims, const int64_t *dim,
				  dnnl_format_tag_t tag)
{
	dnnl_memory_desc_t desc;
	dnnl_dims_t d;

	memcpy(d, dim, (size_t)dims * sizeof(*dim));
	dnnl_memory_desc_init_by_tag(&desc, dims, d, dnnl_f32, tag);
	return desc;
}

dnnl_memory_desc_t op_plain(int dims, const int64_t *dim)
{
	static const dnnl_format_tag_t plain[] = {0, dnnl_a, dnnl_ab, dnnl_abc,
						  dnnl_abcd};

	return desc_of(dims, dim, plain[dims]);
}

dnnl_memory_desc_t op_any(int dims, const int64_t *dim)
{
	return desc_of(dims, dim, dnnl_format_tag_any);
}

void op_dims(int64_t dim[4], int n, const struct shape *s)
{
	dim[0] = n;
	dim[1] = s->c;
	dim[2] = s->h;
	dim[3] = s->w;
}

dnnl_memory_desc_t op_examples(const struct plan *p, const struct shape *s)
{
	int64_t dim[4];

	op_dims(dim, p->n, s);
	return op_plain(4, dim);
}

static struct op *add_op(struct steps *by)
{
	by->op = mem_grow(by->op, &by->cap, by->n + 1, sizeof(*by->op));
	by->op[by->n] = (struct op){0};
	return &by->op[by->n++];
}

static int reorder(struct plan *p, struct steps *by, dnnl_memory_t from,
		   dnnl_memory_t to, struct err *err)
{
	dnnl_primitive_desc_t pd;
	dnnl_status_t status;
	struct op *op;
	int rc;

	status = dnnl_reorder_primitive_desc_create(
		&pd, op_desc(from), p->engine, op_desc(to), p->engine, NULL);
	if (status)
		return op_fail(status, "reorder", err);
	rc = op_add(by, pd, &op, err);
	dnnl_primitive_desc_destroy(pd);
	if (rc)
		return rc;
	op_arg(op, DNNL_ARG_FROM, from);
	op_arg(op, DNNL_ARG_TO, to);
	return 0;
}

/* The same bytes under another descriptor: where they are the caller's, so
 * are the view's. */
static int view(struct plan *p, dnnl_memory_t of,
		const dnnl_memory_desc_t *desc, dnnl_memory_t *out,
		struct err *err)
{
	void *at;

	if (memories_have(&p->input, of))
		return op_input(p, &p->input, out, desc, err);
	if (memories_have(&p->dlogits, of))
		return op_input(p, &p->dlogits, out, desc, err);
	dnnl_memory_get_data_handle(of, &at);
	return op_memory(p, out, desc, at, err);
}

static dnnl_memory_t find_copy(const struct plan *p, const struct steps *by,
			       dnnl_memory_t of, const dnnl_memory_desc_t *want)
{
	for (size_t i = 0; i < p->n_copies; i++) {
		const struct copy *c = &p->copies[i];

		if (c->by == by && c->from == of &&
		    dnnl_memory_desc_equal(op_desc(c->to), want))
			return c->to;
	}
	return NULL;
}

static int copy_as(struct plan *p, struct steps *by, dnnl_memory_t memory,
		   const dnnl_memory_desc_t *want, dnnl_memory_t *out,
		   struct err *err)
{
	if (dnnl_memory_desc_equal(op_desc(memory), want)) {
		*out = memory;
		return 0;
	}
	*out = find_copy(p, by, memory, want);
	if (*out)
		return 0;
	if (op_memory(p, out, want, DNNL_MEMORY_ALLOCATE, err) ||
	    reorder(p, by, memory, *out, err))
		return (int)err->code;
	p->copies = mem_grow(p->copies, &p->cap_copies, p->n_copies + 1,
			     sizeof(*p->copies));
	p->copies[p->n_copies++] = (struct copy){by, memory, *out};
	return 0;
}

int op_as(struct plan *p, struct steps *by, dnnl_memory_t memory,
	  const dnnl_memory_desc_t *want, dnnl_memory_t *out, struct err *err)
{
	const dnnl_memory_desc_t have = *op_desc(memory);
	dnnl_memory_desc_t plain;

	if (have.ndims != want->ndims) {
		plain = op_plain(have.ndims, have.dims);
		if (copy_as(p, by, memory, &plain, &memory, err))
			return (int)err->code;
		plain = op_plain(want->ndims, want->dims);
		if (view(p, memory, &plain, &memory, err))
			return (int)err->code;
	}
	return copy_as(p, by, memory, want, out, err);
}

int op_into(struct plan *p, struct steps *by, dnnl_memory_t from,
	    dnnl_memory_t to, struct err *err)
{
	return from == to ? 0 : reorder(p, by, from, to, err);
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

int op_describe(struct plan *p, int layer, const void *desc,
		const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd,
		struct err *err)
{
	const char *name = p->model->layers[layer].kind->name;
	dnnl_status_t status;

	status = dnnl_primitive_desc_create(pd, desc, NULL, p->engine, hint);
	if (status)
		return op_fail(status, name, err);
	p->described = mem_grow(p->described, &p->cap_described,
				p->n_described + 1, sizeof(*p->described));
	p->described[p->n_described++] = *pd;
	return refuse_slow(*pd, name, err);
}

const dnnl_memory_desc_t *op_wants(const_dnnl_primitive_desc_t pd,
				   dnnl_query_t what)
{
	return dnnl_primitive_desc_query_md(pd, what, 0);
}

int op_add(struct steps *by, const_dnnl_primitive_desc_t pd, struct op **out,
	   struct err *err)
{
	dnnl_status_t status;

	*out = add_op(by);
	status = dnnl_primitive_create(&(*out)->prim, pd);
	return status ? op_fail(status, "primitive", err) : 0;
}

struct op *op_function(struct steps *by, const struct layer *l, plain_fn *fn)
{
	struct op *op = add_op(by);

	op->plain = fn;
	op->layer = l;
	return op;
}

void op_arg(struct op *op, int arg, dnnl_memory_t memory)
{
	op->arg[op->n++] = (dnnl_exec_arg_t){arg, memory};
}

float *op_at(const struct op *op, int i)
{
	void *at = NULL;

	dnnl_memory_get_data_handle(op->arg[i].memory, &at);
	return at;
}

void op_steps_release(struct steps *s)
{
	for (size_t i = 0; i < s->n; i++)
		dnnl_primitive_destroy(s->op[i].prim);
	free(s->op);
	*s = (struct steps){0};
}
