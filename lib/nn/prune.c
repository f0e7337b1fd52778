#include "nn/prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

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
