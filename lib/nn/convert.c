#include "nn/convert.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "nn/checkpoint.h"
#include "nn/npy.h"
#include "nn/npz.h"
#include "nn/tsv.h"
#include "nn/unpack.h"

_Static_assert((int)NPY_DIMS == (int)TENSOR_DIMS, "an array is a tensor");

enum format { SAFETENSORS, NPZ, NPY, TSV, UNKNOWN };

static const struct {
	const char *ending;
	enum format format;
} endings[] = {
	{".safetensors", SAFETENSORS},
	{".st", SAFETENSORS},
	{".npz", NPZ},
	{".npy", NPY},
	{".tsv", TSV},
};

/* A name without an ending is one of safetensors. */
static enum format format_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const char *dot = *name ? strrchr(name + 1, '.') : NULL;

	for (size_t i = 0; dot && i < sizeof(endings) / sizeof(*endings); i++)
		if (!strcmp(dot, endings[i].ending))
			return endings[i].format;
	return dot ? UNKNOWN : SAFETENSORS;
}

int convert_check(const char *path, bool plain, struct err *err)
{
	const enum format f = format_of(path);

	if (f == SAFETENSORS || (f != UNKNOWN && !plain))
		return 0;
	if (plain)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s is to be a safetensors file, which ends in "
			       ".safetensors or .st",
			       path);
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "%s ends as no model file does: .safetensors (or .st, "
		       "or no ending), .npz, .npy, .tsv",
		       path);
}

static float *floats_of(const struct npy *a)
{
	float *v = mem_zero(a->len + 1, sizeof(*v));

	for (size_t i = 0; i < a->len; i++)
		v[i] = (float)npy_value(a, i);
	return v;
}

static void add_integers(struct tensors *ts, const char *name,
			 const struct npy *a)
{
	struct tensor t = {.name = (char *)name,
			   .type = "I64",
			   .dims = a->dims,
			   .len = a->len,
			   .size = a->len * sizeof(int64_t)};
	int64_t *v = mem_zero(a->len + 1, sizeof(*v));

	memcpy(t.dim, a->dim, sizeof(t.dim));
	for (size_t i = 0; i < a->len; i++)
		v[i] = (int64_t)npy_value(a, i);
	t.data = v;
	tensors_copy(ts, &t);
	free(v);
}

static void add_array(struct tensors *ts, const char *name, const struct npy *a)
{
	float *v;

	if (a->kind != 'f') {
		add_integers(ts, name, a);
		return;
	}
	v = floats_of(a);
	tensors_add(ts, name, a->dims, a->dim, v);
	free(v);
}

static int read_member(struct tensors *ts, struct npz *z, size_t i,
		       const char *path, struct err *err)
{
	char *bytes, *what;
	struct npy a;
	size_t len;
	int rc;

	if (!npz_name(z, i))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has a member that is no .npy file", path);
	if (tensors_find(ts, npz_name(z, i)))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has two arrays \"%s\"", path,
			       npz_name(z, i));
	if (npz_read(z, i, &bytes, &len, err))
		return (int)err->code;
	what = mem_fmt("%s, %s.npy", path, npz_name(z, i));
	rc = npy_decode(&a, bytes, len, what, err);
	if (!rc)
		add_array(ts, npz_name(z, i), &a);
	free(what);
	free(bytes);
	return rc;
}

static int read_npz(struct tensors *ts, const char *path, struct err *err)
{
	struct npz *z;
	int rc = 0;

	if (npz_open(&z, path, err))
		return (int)err->code;
	for (size_t i = 0; i < npz_count(z) && !rc; i++)
		rc = read_member(ts, z, i, path, err);
	npz_close(z);
	return rc;
}

/* A flat vector: the model's parameters, and its buffers or those that it
 * begins with. */
static int add_flat(struct tensors *ts, const char *path, const struct model *m,
		    const struct npy *a, struct err *err)
{
	float *values, *v;

	if (a->len != m->n && a->len != m->len)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %zu values, expected %zu, the "
			       "parameters of \"%s\"",
			       path, a->len, m->n, m->text);
	values = mem_zero(m->len, sizeof(*values));
	model_init(m, 0, values);
	v = floats_of(a);
	memcpy(values, v, a->len * sizeof(*v));
	checkpoint_put(ts, m, "", values);
	free(values);
	free(v);
	return 0;
}

static int read_npy(struct tensors *ts, const char *path, const struct model *m,
		    struct err *err)
{
	struct npy a;
	char *bytes;
	size_t len;
	int rc;

	if (unpack_read(&bytes, &len, path, NPY_BYTES_MAX, err))
		return (int)err->code;
	rc = npy_decode(&a, bytes, len, path, err);
	if (!rc && m)
		rc = add_flat(ts, path, m, &a, err);
	else if (!rc)
		add_array(ts, "values", &a);
	free(bytes);
	return rc;
}

static int read_tsv(struct tensors *ts, const char *path, struct err *err)
{
	char *text;
	size_t len;
	int rc = file_read(&text, &len, path, TSV_BYTES_MAX, err);

	if (rc)
		return rc;
	if (memchr(text, '\0', len))
		rc = err_set(err, ERR_INVALID_ARGUMENT, "%s is no text", path);
	else
		rc = tsv_decode(ts, text, path, err);
	if (!rc && !ts->n)
		rc = err_set(err, ERR_INVALID_ARGUMENT, "%s has no tensor",
			     path);
	free(text);
	return rc;
}

/* That ts is m, which it says from now on. */
static int check_model(struct tensors *ts, const struct model *m,
		       const char *path, struct err *err)
{
	float *values = mem_zero(m->len, sizeof(*values));
	int rc = checkpoint_get(ts, m, "", path, values, err);

	free(values);
	if (!rc)
		tensors_set(ts, "model", m->text);
	return rc;
}

int convert_read(struct tensors *ts, const char *path, const struct model *m,
		 struct err *err)
{
	int rc = 0;

	*ts = (struct tensors){0};
	switch (format_of(path)) {
	case NPZ:
		rc = read_npz(ts, path, err);
		break;
	case NPY:
		rc = read_npy(ts, path, m, err);
		break;
	case TSV:
		rc = read_tsv(ts, path, err);
		break;
	case SAFETENSORS:
	case UNKNOWN: /* what it is, its bytes say */
		rc = tensors_read(ts, path, err);
		break;
	}
	if (!rc && m)
		rc = check_model(ts, m, path, err);
	if (rc)
		tensors_release(ts);
	return rc;
}

int convert_values(const char *path, const struct model *m, float *values,
		   struct err *err)
{
	struct tensors ts;
	int rc = convert_read(&ts, path, m, err);

	if (rc)
		return rc;
	rc = checkpoint_get_all(&ts, m, path, values, err);
	tensors_release(&ts);
	return rc;
}

static int write_npz(const struct tensors *ts, const char *path,
		     struct err *err)
{
	struct npz_member *m = mem_zero(ts->n + 1, sizeof(*m));
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < ts->n; i++) {
		const struct tensor *t = &ts->t[i];

		if (!tensor_f32(t))
			continue;
		m[n].name = t->name;
		npy_encode(&m[n++].bytes, t->dims, t->dim, tensor_f32(t));
	}
	rc = npz_write(path, m, n, err);
	for (size_t i = 0; i < n; i++)
		buf_release(&m[i].bytes);
	free(m);
	return rc;
}

static int write_npy(const struct tensors *ts, const char *path,
		     struct err *err)
{
	struct buf values = BUF_INIT(0), b = BUF_INIT(0);
	struct file_part part;
	int64_t n;
	int rc;

	for (size_t i = 0; i < ts->n; i++)
		if (tensor_f32(&ts->t[i]))
			buf_put(&values, ts->t[i].data, ts->t[i].size);
	n = (int64_t)(values.len / sizeof(float));
	npy_encode(&b, 1, &n, (const float *)values.p);
	part = (struct file_part){b.p, b.len};
	rc = file_replace(path, &part, 1, err);
	buf_release(&values);
	buf_release(&b);
	return rc;
}

static int write_tsv(const struct tensors *ts, const char *path,
		     struct err *err)
{
	struct buf b = BUF_INIT(0);
	struct file_part part;
	int rc = tsv_encode(ts, &b, err);

	part = (struct file_part){b.p, b.len};
	if (!rc)
		rc = file_replace(path, &part, 1, err);
	buf_release(&b);
	return rc;
}

static int only_f32(const struct tensors *ts, const char *path, struct err *err)
{
	for (size_t i = 0; i < ts->n; i++)
		if (strchr("FB", ts->t[i].type[0]) && !tensor_f32(&ts->t[i]) &&
		    strcmp(ts->t[i].type, "BOOL"))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "tensor \"%s\": type %s, expected F32 "
				       "for %s",
				       ts->t[i].name, ts->t[i].type, path);
	return 0;
}

int convert_write(const struct tensors *ts, const char *path, struct err *err)
{
	const enum format f = format_of(path);

	if (f != SAFETENSORS && f != UNKNOWN && only_f32(ts, path, err))
		return (int)err->code;
	switch (f) {
	case NPZ:
		return write_npz(ts, path, err);
	case NPY:
		return write_npy(ts, path, err);
	case TSV:
		return write_tsv(ts, path, err);
	case SAFETENSORS:
		return tensors_write(ts, path, err);
	case UNKNOWN:
		break;
	}
	return convert_check(path, false, err);
}
