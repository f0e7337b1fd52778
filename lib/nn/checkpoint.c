#include "nn/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_LEN = 128 };

void checkpoint_put(struct tensors *ts, const struct model *m,
		    const char *prefix, const float *values)
{
	char name[NAME_MAX_LEN];

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

static int get_param(const struct tensors *ts, const struct param *p,
		     const char *prefix, const char *what, float *to,
		     struct err *err)
{
	char name[NAME_MAX_LEN];
	const struct tensor *t;

	snprintf(name, sizeof(name), "%s%s", prefix, p->name);
	t = tensors_find(ts, name);
	if (!t)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has no tensor \"%s\"", what, name);
	if (!tensor_f32(t) || !is_shape(t, p))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s, tensor \"%s\": another shape or type, "
			       "expected float32 and %zu values",
			       what, name, p->len);
	memcpy(to, tensor_f32(t), t->size);
	for (size_t i = 0; i < p->len; i++)
		if (!isfinite(to[i]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s, tensor \"%s\", value %zu: %f, "
				       "expected a finite number",
				       what, name, i, (double)to[i]);
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

int checkpoint_load(const char *path, const struct model *m, float *values,
		    struct err *err)
{
	struct tensors ts;
	int rc;

	if (tensors_read(&ts, path, err))
		return (int)err->code;
	rc = checkpoint_get(&ts, m, "", path, values, err);
	if (!rc && count_tensors(&ts) != (size_t)(m->n_params + m->n_buffers))
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "%s has %zu tensors, expected the %d of the model "
			     "\"%s\"",
			     path, count_tensors(&ts),
			     m->n_params + m->n_buffers, m->text);
	tensors_release(&ts);
	return rc;
}

int checkpoint_model(struct model **out, const char *path, struct err *err)
{
	struct tensors ts;
	const char *text;
	int rc;

	if (tensors_read(&ts, path, err))
		return (int)err->code;
	text = tensors_get(&ts, "model");
	rc = text ? model_open(out, text, err)
		  : err_set(err, ERR_INVALID_ARGUMENT,
			    "%s does not say which model it is", path);
	if (rc && text)
		err_wrap(err, "%s", path);
	else if (rc)
		err_hint(err, "name it with --model");
	tensors_release(&ts);
	return rc;
}
