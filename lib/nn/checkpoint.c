#include "nn/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	NAME_MAX_LEN = PARAM_NAME + 16, /* with a prefix */
	BARE_MAX = 16384, /* tensors, each of which is looked for */
};

void checkpoint_put(struct tensors *ts, const struct model *m,
		    const char *prefix, const float *values)
{
	char name[NAME_MAX_LEN];

	if (*m->text)
		tensors_set(ts, "model", m->text);
	for (int i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		snprintf(name, sizeof(name), "%s%s", prefix, p->name);
		tensors_add(ts, name, p->dims, p->dim, values + p->at);
	}
	for (int i = 0; !*prefix && i < m->n_buffers; i++) {
		const struct param *p = &m->buffers[i];

		tensors_add(ts, p->name, p->dims, p->dim, values + p->at);
	}
}

static bool is_shape(const struct tensor *t, const struct param *p)
{
	return t->dims == p->dims &&
	       !memcmp(t->dim, p->dim, (size_t)p->dims * sizeof(*p->dim));
}

static int wrong_shape(const struct tensor *t, const struct param *p,
		       const char *what, struct err *err)
{
	char is[TENSOR_SHAPE_TEXT], wanted[TENSOR_SHAPE_TEXT];
	struct tensor like = {.dims = p->dims};

	memcpy(like.dim, p->dim, sizeof(p->dim));
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "%s, tensor \"%s\": %s of %s, expected %s of F32", what,
		       t->name, tensor_shape_text(t, is), t->type,
		       tensor_shape_text(&like, wanted));
}

static int find_param(const struct tensor **t, const struct tensors *ts,
		      const struct param *p, const char *prefix,
		      const char *what, struct err *err)
{
	char name[NAME_MAX_LEN];

	snprintf(name, sizeof(name), "%s%s", prefix, p->name);
	*t = tensors_find(ts, name);
	if (!*t)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has no tensor \"%s\"", what, name);
	if (!tensor_f32(*t) || !is_shape(*t, p))
		return wrong_shape(*t, p, what, err);
	return 0;
}

static int check_finite(const struct tensor *t, const char *what,
			struct err *err)
{
	const float *v = tensor_f32(t);

	for (size_t i = 0; v && i < t->len; i++)
		if (!isfinite(v[i]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s, tensor \"%s\", value %zu: %f, "
				       "expected a finite number",
				       what, t->name, i, (double)v[i]);
	return 0;
}

static int get_param(const struct tensors *ts, const struct param *p,
		     const char *prefix, const char *what, float *to,
		     struct err *err)
{
	const struct tensor *t;

	if (find_param(&t, ts, p, prefix, what, err))
		return (int)err->code;
	if (check_finite(t, what, err))
		return (int)err->code;
	memcpy(to, tensor_f32(t), t->size);
	return 0;
}

int checkpoint_get(const struct tensors *ts, const struct model *m,
		   const char *prefix, const char *what, float *values,
		   struct err *err)
{
	for (int i = 0; i < m->n_params; i++)
		if (get_param(ts, &m->params[i], prefix, what,
			      values + m->params[i].at, err))
			return (int)err->code;
	for (int i = 0; !*prefix && i < m->n_buffers; i++)
		if (get_param(ts, &m->buffers[i], prefix, what,
			      values + m->buffers[i].at, err))
			return (int)err->code;
	return 0;
}

/* PyTorch's batch normalisation also counts its batches, for an average that
 * we do not offer; it does without when it loads our files. */
static bool is_count(const struct tensor *t)
{
	static const char end[] = ".num_batches_tracked";
	const size_t len = strlen(t->name);

	return len >= sizeof(end) &&
	       !strcmp(t->name + len - (sizeof(end) - 1), end);
}

static size_t count_tensors(const struct tensors *ts)
{
	size_t n = 0;

	for (size_t i = 0; i < ts->n; i++)
		n += !is_count(&ts->t[i]);
	return n;
}

int checkpoint_save(const char *path, const struct model *m,
		    const float *values, struct err *err)
{
	struct tensors ts = {0};
	int rc;

	checkpoint_put(&ts, m, "", values);
	rc = tensors_write(&ts, path, err);
	tensors_release(&ts);
	return rc;
}

int checkpoint_fits(const struct tensors *ts, const struct model *m,
		    const char *what, struct err *err)
{
	const int n = m->n_params + m->n_buffers;
	const struct tensor *t;

	for (int i = 0; i < n; i++)
		if (find_param(&t, ts,
			       i < m->n_params ? &m->params[i]
					       : &m->buffers[i - m->n_params],
			       "", what, err))
			return (int)err->code;
	if (count_tensors(ts) != (size_t)n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %zu tensors, expected the %d of the "
			       "model%s%s",
			       what, count_tensors(ts), n, *m->text ? " " : "",
			       m->text);
	return 0;
}

int checkpoint_finite(const struct tensors *ts, const char *what,
		      struct err *err)
{
	for (size_t i = 0; i < ts->n; i++)
		if (check_finite(&ts->t[i], what, err))
			return (int)err->code;
	return 0;
}

int checkpoint_get_all(const struct tensors *ts, const struct model *m,
		       const char *what, float *values, struct err *err)
{
	if (checkpoint_fits(ts, m, what, err))
		return (int)err->code;
	return checkpoint_get(ts, m, "", what, values, err);
}

static int bare_param(struct param *p, const struct tensor *t, const char *what,
		      struct err *err)
{
	if (!tensor_f32(t))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s, tensor \"%.100s\": %s, expected F32", what,
			       t->name, t->type);
	if (strlen(t->name) >= sizeof(p->name))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s, tensor \"%.100s...\": a name of more than "
			       "%zu bytes",
			       what, t->name, sizeof(p->name) - 1);
	strcpy(p->name, t->name);
	p->dims = t->dims;
	memcpy(p->dim, t->dim, sizeof(p->dim));
	return 0;
}

int checkpoint_bare(struct model **out, const struct tensors *ts,
		    const char *what, struct err *err)
{
	struct param *params;
	int n = 0, rc = 0;

	if (ts->n > BARE_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %zu tensors, expected at most %d", what,
			       ts->n, BARE_MAX);
	params = mem_zero(ts->n + 1, sizeof(*params));
	for (size_t i = 0; i < ts->n && !rc; i++)
		if (!is_count(&ts->t[i]))
			rc = bare_param(&params[n++], &ts->t[i], what, err);
	if (!rc && model_bare(out, params, n, err))
		rc = err_wrap(err, "%s", what);
	free(params);
	return rc;
}

int checkpoint_model(struct model **out, const struct tensors *ts,
		     const char *what, struct err *err)
{
	const char *text = tensors_get(ts, "model");

	if (text && model_open(out, text, err))
		return err_wrap(err, "%s", what);
	if (text)
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT, "%s does not say which model it is",
		what);
	return err_hint(err, "name it with --model");
}
