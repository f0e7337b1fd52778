#include "nn/csv.h"

#include <csv.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/unpack.h"

enum { COLUMNS_MAX = 1 << 20, NAME_MAX_LEN = 64 };

struct reader {
	const char *path, *label;
	struct examples *e;
	size_t line, record;
	size_t columns, label_at; /* known after the first record */
	size_t cap_values, cap_labels, n_values;
	char **field; /* of the record under way */
	size_t n_fields, cap_fields;
	int rc;
	struct err *err;
};

static int bad(struct reader *r, size_t column, const char *expected)
{
	r->rc = err_set(r->err, ERR_INVALID_ARGUMENT,
			"%s line %zu, column %zu: \"%.*s\", expected %s",
			r->path, r->line, column + 1, NAME_MAX_LEN,
			r->field[column], expected);
	return r->rc;
}

static bool number(const char *text, double *v)
{
	char *end;

	*v = strtod(text, &end);
	end += strspn(end, " \t");
	return end != text && !*end;
}

static bool is_header(const struct reader *r)
{
	double v;

	for (size_t i = 0; i < r->n_fields; i++)
		if (!number(r->field[i], &v))
			return true;
	return false;
}

/* Which column is the label. */
static int find_label(struct reader *r, bool header)
{
	const char *name = r->label ? r->label : "label";
	char *end;
	unsigned long nth = strtoul(name, &end, 10);

	r->columns = r->n_fields;
	for (size_t i = 0; header && i < r->n_fields; i++)
		if (!strcmp(r->field[i], name)) {
			r->label_at = i;
			return 0;
		}
	r->label_at = nth - 1;
	if (!*end && nth >= 1 && nth <= r->n_fields)
		return 0;
	r->rc = err_set(r->err, ERR_INVALID_ARGUMENT,
			"%s line 1: no column \"%s\" for the label among %zu",
			r->path, name, r->n_fields);
	err_hint(r->err, "name it, or its number from 1, with --label");
	return r->rc;
}

static int add_label(struct reader *r, double v)
{
	struct examples *e = r->e;
	const int label = examples_label(v);

	if (label < 0)
		return bad(r, r->label_at, "a label from 0 to 255");
	e->labels = mem_grow(e->labels, &r->cap_labels, e->count + 1, 1);
	e->labels[e->count++] = (uint8_t)label;
	return 0;
}

static int add_record(struct reader *r)
{
	struct examples *e = r->e;
	double v;

	if (r->n_fields != r->columns) {
		r->rc = err_set(r->err, ERR_INVALID_ARGUMENT,
				"%s line %zu: %zu fields, expected %zu",
				r->path, r->line, r->n_fields, r->columns);
		return r->rc;
	}
	e->values = mem_grow(e->values, &r->cap_values,
			     r->n_values + r->columns, sizeof(float));
	for (size_t i = 0; i < r->n_fields; i++) {
		if (!number(r->field[i], &v) || !isfinite((float)v))
			return bad(r, i, "a finite number");
		if (i != r->label_at)
			e->values[r->n_values++] = (float)v;
		else if (add_label(r, v))
			return r->rc;
	}
	return 0;
}

static void on_field(void *text, size_t len, void *arg)
{
	struct reader *r = arg;

	if (r->rc)
		return;
	r->field = mem_grow(r->field, &r->cap_fields, r->n_fields + 1,
			    sizeof(*r->field));
	r->field[r->n_fields++] = mem_dup(text, len);
	if (r->n_fields > COLUMNS_MAX)
		r->rc = err_set(r->err, ERR_INVALID_ARGUMENT,
				"%s line %zu: more than %d fields", r->path,
				r->line, COLUMNS_MAX);
}

static void end_fields(struct reader *r)
{
	for (size_t i = 0; i < r->n_fields; i++)
		free(r->field[i]);
	r->n_fields = 0;
}

static void on_record(int end, void *arg)
{
	struct reader *r = arg;

	(void)end;
	if (!r->rc && !r->record++) {
		const bool header = is_header(r);

		if (!find_label(r, header) && !header)
			add_record(r);
	} else if (!r->rc) {
		add_record(r);
	}
	end_fields(r);
}

/* A line at a time, so that messages have its number. */
static int parse(struct reader *r, struct csv_parser *p, const char *text,
		 size_t len)
{
	const char *end = text + len;

	for (const char *next; text < end && !r->rc; text = next) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));

		next = nl ? nl + 1 : end;
		r->line++;
		if (csv_parse(p, text, (size_t)(next - text), on_field,
			      on_record, r) != (size_t)(next - text) &&
		    !r->rc)
			r->rc = err_set(r->err, ERR_INVALID_ARGUMENT,
					"%s line %zu: %s, expected CSV",
					r->path, r->line,
					csv_strerror(csv_error(p)));
	}
	if (!r->rc && csv_fini(p, on_field, on_record, r) && !r->rc)
		r->rc = err_set(r->err, ERR_INVALID_ARGUMENT,
				"%s line %zu: it ends within quotes", r->path,
				r->line);
	return r->rc;
}

static int finish(struct reader *r)
{
	struct examples *e = r->e;

	if (!e->count || r->columns < 2)
		return err_set(r->err, ERR_INVALID_ARGUMENT,
			       "%s has %zu examples of %zu columns, expected 1 "
			       "or more of a label and values",
			       r->path, e->count, r->columns);
	e->shape = (struct shape){(int)r->columns - 1, 1, 1};
	return 0;
}

int csv_read(struct examples *e, const char *path, const char *label,
	     struct err *err)
{
	struct reader r = {.path = path, .label = label, .e = e, .err = err};
	struct csv_parser p;
	char *text;
	size_t len;
	int rc;

	*e = (struct examples){0};
	if (unpack_read(&text, &len, path, EXAMPLES_BYTES_MAX, err))
		return (int)err->code;
	if (csv_init(&p, CSV_STRICT | CSV_STRICT_FINI))
		abort();
	rc = parse(&r, &p, text, len);
	if (!rc)
		rc = finish(&r);
	end_fields(&r);
	free(r.field);
	csv_free(&p);
	free(text);
	if (rc)
		examples_release(e);
	return rc;
}
