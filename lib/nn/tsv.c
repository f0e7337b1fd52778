#include "nn/tsv.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- writing ---- */

int tsv_encode(const struct tensors *ts, struct buf *b, struct err *err)
{
	char shape[TENSOR_SHAPE_TEXT];

	for (size_t i = 0; i < ts->n; i++) {
		const struct tensor *t = &ts->t[i];
		const float *v = tensor_f32(t);

		if (!v)
			continue;
		if (strpbrk(t->name, "\t\n"))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "tensor \"%s\": a name with a tab or a "
				       "newline in it",
				       t->name);
		buf_putf(b, "%s\t%s\t", t->name, tensor_shape_text(t, shape));
		for (size_t j = 0; j < t->len; j++)
			buf_putf(b, j ? " %.9g" : "%.9g", (double)v[j]);
		buf_putc(b, '\n');
	}
	return 0;
}

/* ---- reading ---- */

/* What a line says, its values not yet read. */
struct line {
	char *name, *values;
	int dims;
	int64_t dim[TENSOR_DIMS];
	size_t len;
};

static int wrong(const char *what, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "%s", what);
}

/* "2x4" */
static int read_shape(struct line *l, char *text, struct err *err)
{
	l->len = 1;
	while (text && (*text || l->dims)) {
		char *part = strsep(&text, "x"), *end;
		long long n = strtoll(part, &end, 10);

		if (end == part || *end || n < 0 || n > INT32_MAX ||
		    l->dims == TENSOR_DIMS ||
		    (n && l->len > TSV_BYTES_MAX / (size_t)n))
			return wrong("a shape is written as in 2x4", err);
		l->dim[l->dims++] = n;
		l->len *= (size_t)n;
	}
	return 0;
}

static int read_line(struct line *l, char *text, struct err *err)
{
	char *name = strsep(&text, "\t"), *shape = strsep(&text, "\t");

	if (!*name || !shape || !text || strchr(text, '\t'))
		return wrong("expected a name, a shape and values, parted by "
			     "tabs",
			     err);
	*l = (struct line){.name = name, .values = text};
	return read_shape(l, shape, err);
}

/* One value after the other is no longer than the text, so that a shape alone
 * takes no memory. */
static int read_values(const struct line *l, float *v, struct err *err)
{
	char *p = l->values, *end;
	size_t n = 0;

	for (;; p = end, n++) {
		p += strspn(p, " \r");
		if (!*p)
			break;
		if (n < l->len)
			v[n] = strtof(p, &end);
		else
			end = p;
		if (end == p || !strchr(" \r", *end))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "value %zu of %zu is no number: %.20s",
				       n + 1, l->len, p);
	}
	if (n != l->len)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%zu values, expected %zu", n, l->len);
	return 0;
}

static int add(struct tensors *ts, char *text, struct err *err)
{
	struct line l;
	float *v;
	int rc;

	if (read_line(&l, text, err))
		return (int)err->code;
	if (tensors_find(ts, l.name) || ts->n >= TENSORS_MAX)
		return wrong("a name that comes twice, or too many", err);
	if (l.len > strlen(l.values))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "fewer values than %zu", l.len);
	v = mem_zero(l.len + 1, sizeof(*v));
	rc = read_values(&l, v, err);
	if (!rc)
		tensors_add(ts, l.name, l.dims, l.dim, v);
	free(v);
	return rc;
}

int tsv_decode(struct tensors *ts, char *text, const char *what,
	       struct err *err)
{
	char *line;
	int number = 0;

	while ((line = strsep(&text, "\n"))) {
		number++;
		if (*line && add(ts, line, err))
			return err_wrap(err, "%s, line %d", what, number);
	}
	return 0;
}
