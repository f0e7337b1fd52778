#include "nn/arrays.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/npy.h"
#include "nn/npz.h"
#include "nn/unpack.h"

/* An array and the bytes that it is in. */
struct loaded {
	struct npy a;
	char *bytes;
	char *what; /* its name, for messages */
};

static void loaded_release(struct loaded *l)
{
	free(l->bytes);
	free(l->what);
}

static int load(struct loaded *l, const char *path, struct err *err)
{
	size_t len;

	l->what = mem_str(path);
	if (unpack_read(&l->bytes, &len, path, NPY_BYTES_MAX, err))
		return (int)err->code;
	return npy_decode(&l->a, l->bytes, len, path, err);
}

static int load_member(struct loaded *l, struct npz *z, const char *path,
		       const char *name, const char *part, struct err *err)
{
	char *full = mem_fmt("%s_%s", name, part ? part : "train");
	size_t i, len;
	int rc = 0;

	if (npz_find(z, full, &i) && npz_find(z, name, &i))
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "%s has neither an array \"%s\" nor \"%s\"", path,
			     full, name);
	free(full);
	if (rc)
		return rc;
	l->what = mem_fmt("%s, %s.npy", path, npz_name(z, i));
	if (npz_read(z, i, &l->bytes, &len, err))
		return (int)err->code;
	return npy_decode(&l->a, l->bytes, len, l->what, err);
}

static int take_shape(struct examples *e, const struct loaded *l,
		      struct err *err)
{
	const struct npy *a = &l->a;
	int side[3] = {1, 1, 1};

	if (a->dims < 2 || a->dims > 4 || !a->len)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s: %d dimensions and %zu values, expected 2 "
			       "to 4 and some",
			       l->what, a->dims, a->len);
	for (int i = 1; i < a->dims; i++) {
		if (a->dim[i] > INT_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s: a dimension of %lld", l->what,
				       (long long)a->dim[i]);
		/* values; rows, columns; channels, rows, columns */
		side[a->dims == 3 ? i : i - 1] = (int)a->dim[i];
	}
	e->count = (size_t)a->dim[0];
	e->shape = (struct shape){side[0], side[1], side[2]};
	return 0;
}

static int take_values(struct examples *e, const struct loaded *l,
		       struct err *err)
{
	const struct npy *a = &l->a;

	if (take_shape(e, l, err))
		return (int)err->code;
	if (a->kind == 'u' && a->size == 1) {
		e->pixels = mem_dup(a->data, a->len);
		return 0;
	}
	e->values = mem_zero(a->len, sizeof(float));
	for (size_t i = 0; i < a->len; i++) {
		e->values[i] = (float)npy_value(a, i);
		if (!isfinite(e->values[i]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s at byte %zu: %g, expected a finite "
				       "number",
				       l->what, l->a.at + i * (size_t)a->size,
				       npy_value(a, i));
	}
	return 0;
}

static int take_labels(struct examples *e, const struct loaded *l,
		       const char *values, struct err *err)
{
	const struct npy *a = &l->a;

	if (a->len != e->count || a->dims < 1 || a->dim[0] != (int64_t)a->len)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s: %zu labels in %d dimensions, expected %zu "
			       "in one as %s has examples",
			       l->what, a->len, a->dims, e->count, values);
	e->labels = mem_zero(e->count, 1);
	for (size_t i = 0; i < e->count; i++) {
		const int label = examples_label(npy_value(a, i));

		if (label < 0)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s at byte %zu: label %g, expected a "
				       "whole number from 0 to 255",
				       l->what, a->at + i * (size_t)a->size,
				       npy_value(a, i));
		e->labels[i] = (uint8_t)label;
	}
	return 0;
}

static int take(struct examples *e, struct loaded *x, struct loaded *y, int rc,
		struct err *err)
{
	*e = (struct examples){0};
	if (!rc)
		rc = take_values(e, x, err);
	if (!rc)
		rc = take_labels(e, y, x->what, err);
	if (rc)
		examples_release(e);
	loaded_release(x);
	loaded_release(y);
	return rc;
}

int arrays_read(struct examples *e, const char *values, const char *labels,
		struct err *err)
{
	struct loaded x = {0}, y = {0};
	int rc = load(&x, values, err);

	if (!rc)
		rc = load(&y, labels, err);
	return take(e, &x, &y, rc, err);
}

int arrays_read_npz(struct examples *e, const char *path, const char *part,
		    struct err *err)
{
	struct loaded x = {0}, y = {0};
	struct npz *z;
	int rc;

	if (npz_open(&z, path, err))
		return (int)err->code;
	rc = load_member(&x, z, path, "x", part, err);
	if (!rc)
		rc = load_member(&y, z, path, "y", part, err);
	npz_close(z);
	return take(e, &x, &y, rc, err);
}
