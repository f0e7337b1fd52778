#include "nn/average.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/convert.h"

struct average {
	struct tensors first; /* names and shapes */
	char *what;           /* of first */
	double *sum;          /* its tensors, one after another */
	size_t len;           /* of sum */
	int n;
};

/* Counters, such as num_batches_tracked of PyTorch's batch normalisation. */
static bool is_integer(const struct tensor *t)
{
	return strchr("IUB", t->type[0]) && strcmp(t->type, "BF16");
}

static int check_alike(const struct average *a, const struct tensors *ts,
		       const char *what, struct err *err)
{
	for (size_t i = 0; i < a->first.n; i++) {
		const struct tensor *want = &a->first.t[i];
		const struct tensor *t = tensors_find(ts, want->name);

		if (!t || !tensor_alike(t, want))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s has no tensor \"%s\" of the shape "
				       "that %s has",
				       what, want->name, a->what);
	}
	if (ts->n != a->first.n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %zu tensors, expected %zu as %s has",
			       what, ts->n, a->first.n, a->what);
	return 0;
}

int average_add(struct average *a, const struct tensors *ts, const char *what,
		struct err *err)
{
	double *sum = a->sum;

	if (check_alike(a, ts, what, err))
		return (int)err->code;
	for (size_t i = 0; i < a->first.n; i++) {
		const char *name = a->first.t[i].name;
		const struct tensor *t = tensors_find(ts, name);

		for (size_t k = 0; !is_integer(t) && k < t->len; k++)
			*sum++ += (double)tensor_f32(t)[k];
	}
	a->n++;
	return 0;
}

int average_new(struct average **out, const struct tensors *ts,
		const char *what, struct err *err)
{
	const char *model = tensors_get(ts, "model");
	struct average *a;

	for (size_t i = 0; i < ts->n; i++)
		if (!tensor_f32(&ts->t[i]) && !is_integer(&ts->t[i]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s, tensor \"%s\": type %s, expected "
				       "F32",
				       what, ts->t[i].name, ts->t[i].type);
	a = mem_zero(1, sizeof(*a));
	a->what = mem_str(what);
	if (model)
		tensors_set(&a->first, "model", model);
	for (size_t i = 0; i < ts->n; i++) {
		const struct tensor *t = &ts->t[i];

		tensors_copy(&a->first, t);
		a->len += is_integer(t) ? 0 : t->len;
	}
	a->sum = mem_zero(a->len + 1, sizeof(*a->sum));
	*out = a;
	return average_add(a, ts, what, err);
}

void average_free(struct average *a)
{
	if (!a)
		return;
	tensors_release(&a->first);
	free(a->what);
	free(a->sum);
	free(a);
}

int average_add_file(struct average **mean, const char *path, struct err *err)
{
	struct tensors ts;
	int rc;

	if (convert_read(&ts, path, NULL, err))
		return (int)err->code;
	rc = *mean ? average_add(*mean, &ts, path, err)
		   : average_new(mean, &ts, path, err);
	tensors_release(&ts);
	return rc;
}

void average_get(const struct average *a, struct tensors *ts)
{
	const char *model = tensors_get(&a->first, "model");
	float *mean = mem_zero(a->len + 1, sizeof(*mean));
	const float *from = mean;
	char count[16];

	for (size_t k = 0; k < a->len; k++)
		mean[k] = (float)(a->sum[k] / a->n);
	if (model)
		tensors_set(ts, "model", model);
	snprintf(count, sizeof(count), "%d", a->n);
	tensors_set(ts, "averaged", count);
	for (size_t i = 0; i < a->first.n; i++) {
		const struct tensor *t = &a->first.t[i];

		if (is_integer(t)) {
			tensors_copy(ts, t);
			continue;
		}
		tensors_add(ts, t->name, t->dims, t->dim, from);
		from += t->len;
	}
	free(mean);
}
