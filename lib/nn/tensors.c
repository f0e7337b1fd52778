#include "nn/tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void tensors_release(struct tensors *ts)
{
	for (size_t i = 0; i < ts->n; i++) {
		free(ts->t[i].name);
		free(ts->t[i].data);
	}
	for (size_t i = 0; i < ts->n_meta; i++) {
		free(ts->meta[i].key);
		free(ts->meta[i].value);
	}
	free(ts->t);
	free(ts->meta);
	*ts = (struct tensors){0};
}

static struct tensor *new_tensor(struct tensors *ts)
{
	ts->t = mem_grow(ts->t, &ts->cap, ts->n + 1, sizeof(*ts->t));
	ts->t[ts->n] = (struct tensor){0};
	return &ts->t[ts->n++];
}

void tensors_add(struct tensors *ts, const char *name, int dims,
		 const int64_t *dim, const float *values)
{
	struct tensor *t = new_tensor(ts);

	t->name = mem_str(name);
	memcpy(t->type, "F32", 4);
	t->dims = dims;
	t->len = 1;
	for (int d = 0; d < dims; d++) {
		t->dim[d] = dim[d];
		t->len *= (size_t)dim[d];
	}
	t->size = t->len * sizeof(float);
	t->data = mem_dup(values, t->size);
}

void tensors_copy(struct tensors *ts, const struct tensor *t)
{
	struct tensor *copy = new_tensor(ts);

	*copy = *t;
	copy->name = mem_str(t->name);
	copy->data = mem_dup(t->data, t->size);
}

const struct tensor *tensors_find(const struct tensors *ts, const char *name)
{
	for (size_t i = 0; i < ts->n; i++)
		if (!strcmp(ts->t[i].name, name))
			return &ts->t[i];
	return NULL;
}

const float *tensor_f32(const struct tensor *t)
{
	return strcmp(t->type, "F32") ? NULL : t->data;
}

bool tensor_alike(const struct tensor *a, const struct tensor *b)
{
	if (strcmp(a->type, b->type) || a->dims != b->dims)
		return false;
	for (int d = 0; d < a->dims; d++)
		if (a->dim[d] != b->dim[d])
			return false;
	return true;
}

int tensors_name_as(struct tensors *ts, const struct tensors *like,
		    const char *what, struct err *err)
{
	if (ts->n != like->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %zu tensors, expected %zu", what, ts->n,
			       like->n);
	for (size_t i = 0; i < ts->n; i++)
		if (!tensor_alike(&ts->t[i], &like->t[i]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s, tensor %zu: not of the shape of "
				       "\"%s\"",
				       what, i + 1, like->t[i].name);
	for (size_t i = 0; i < ts->n; i++) {
		free(ts->t[i].name);
		ts->t[i].name = mem_str(like->t[i].name);
	}
	return 0;
}

static struct tensors_meta *find_meta(const struct tensors *ts, const char *key)
{
	for (size_t i = 0; i < ts->n_meta; i++)
		if (!strcmp(ts->meta[i].key, key))
			return &ts->meta[i];
	return NULL;
}

void tensors_set(struct tensors *ts, const char *key, const char *value)
{
	struct tensors_meta *m = find_meta(ts, key);

	if (!m) {
		ts->meta = mem_grow(ts->meta, &ts->cap_meta, ts->n_meta + 1,
				    sizeof(*ts->meta));
		m = &ts->meta[ts->n_meta++];
		*m = (struct tensors_meta){.key = mem_str(key)};
	}
	free(m->value);
	m->value = mem_str(value);
}

const char *tensors_get(const struct tensors *ts, const char *key)
{
	const struct tensors_meta *m = find_meta(ts, key);

	return m ? m->value : NULL;
}

const char *tensor_shape_text(const struct tensor *t,
			      char text[TENSOR_SHAPE_TEXT])
{
	size_t len = 0;

	text[0] = '\0';
	for (int d = 0; d < t->dims && len < TENSOR_SHAPE_TEXT; d++)
		len += (size_t)snprintf(text + len, TENSOR_SHAPE_TEXT - len,
					"%s%lld", d ? "x" : "",
					(long long)t->dim[d]);
	return text;
}
