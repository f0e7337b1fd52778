#include "nn/prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/convert.h"

static int check_base(const struct tensors *ts, const struct tensors *base,
		      struct err *err)
{
	for (size_t i = 0; i < ts->n; i++) {
		const struct tensor *b = tensors_find(base, ts->t[i].name);

		if (!b || !tensor_alike(b, &ts->t[i]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "the base has no tensor \"%s\" of that "
				       "type and shape",
				       ts->t[i].name);
	}
	return 0;
}

/* The values that t is compared with; NULL: zeros. */
static const float *base_of(const struct tensors *base, const struct tensor *t)
{
	return base ? tensor_f32(tensors_find(base, t->name)) : NULL;
}

static float size_of(const float *v, const float *base, size_t k)
{
	return fabsf(v[k] - (base ? base[k] : 0));
}

static int descending(const void *a, const void *b)
{
	const float x = *(const float *)a, y = *(const float *)b;

	return (x < y) - (x > y);
}

static size_t count_values(const struct tensors *ts)
{
	size_t n = 0;

	for (size_t i = 0; i < ts->n; i++)
		n += tensor_f32(&ts->t[i]) ? ts->t[i].len : 0;
	return n;
}

/* Sizes of all values, the largest first. */
static float *sorted_sizes(const struct tensors *ts, const struct tensors *base,
			   size_t n)
{
	float *sizes = mem_zero(n + 1, sizeof(*sizes)), *to = sizes;

	for (size_t i = 0; i < ts->n; i++) {
		const struct tensor *t = &ts->t[i];
		const float *v = tensor_f32(t), *b = base_of(base, t);

		for (size_t k = 0; v && k < t->len; k++)
			*to++ = size_of(v, b, k);
	}
	qsort(sizes, n, sizeof(*sizes), descending);
	return sizes;
}

/* Of values that are exactly as large as the least that is kept, so many stay.
 */
static void prune_tensor(struct tensor *t, const float *base, float least,
			 size_t *equals)
{
	float *v = t->data;

	for (size_t k = 0; k < t->len; k++) {
		const float size = size_of(v, base, k);
		const bool equal = size == least && *equals;

		if (equal)
			--*equals;
		else if (!(size > least))
			v[k] = base ? base[k] : 0;
	}
}

int prune_tensors(struct tensors *ts, const struct tensors *base, double keep,
		  struct prune *done, struct err *err)
{
	size_t n = count_values(ts), equals = 0;
	float *sizes, least;

	if (base && check_base(ts, base, err))
		return (int)err->code;
	sizes = sorted_sizes(ts, base, n);
	*done = (struct prune){.values = n,
			       .kept = (size_t)ceil(keep * (double)n)};
	for (size_t k = 0; k < n; k++) {
		double square = (double)sizes[k] * (double)sizes[k];

		done->l2 += square;
		done->l2_kept += k < done->kept ? square : 0;
	}
	done->l2 = sqrt(done->l2);
	done->l2_kept = sqrt(done->l2_kept);
	least = done->kept ? sizes[done->kept - 1] : INFINITY;
	for (size_t k = 0; k < done->kept; k++)
		equals += sizes[k] == least;
	for (size_t i = 0; i < ts->n; i++)
		if (tensor_f32(&ts->t[i]))
			prune_tensor(&ts->t[i], base_of(base, &ts->t[i]), least,
				     &equals);
	free(sizes);
	return 0;
}

/* --- files ---------------------------------------------------------------- */

static const struct out_col cols[] = {
	{"file", OUT_TEXT},    {"values", OUT_INT}, {"kept", OUT_INT},
	{"l2_kept", OUT_REAL}, {"l2", OUT_REAL},
};

static int print(const struct out_opts *opts, const char *path,
		 const struct prune *p, struct err *err)
{
	struct out *o;

	if (out_begin(&o, opts, cols, 5, false, err))
		return (int)err->code;
	out_row(o, out_text(path), out_int((int64_t)p->values),
		out_int((int64_t)p->kept), out_real(p->l2_kept),
		out_real(p->l2));
	return out_end(o, err);
}

int prune_files(const struct out_opts *opts, const struct prune_files *f,
		struct err *err)
{
	struct tensors ts, base = {0};
	struct prune done;
	int rc = 0;

	if (convert_read(&ts, f->from, NULL, err))
		return (int)err->code;
	if (f->base)
		rc = convert_read(&base, f->base, NULL, err);
	if (!rc)
		rc = prune_tensors(&ts, f->base ? &base : NULL, f->keep, &done,
				   err);
	if (!rc)
		rc = convert_write(&ts, f->to, err);
	if (!rc)
		rc = print(opts, f->to, &done, err);
	tensors_release(&base);
	tensors_release(&ts);
	return rc;
}
