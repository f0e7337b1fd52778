#include "plan/links.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { COLUMNS_MAX = 3 }; /* of a list */

void links_release(struct links *l)
{
	free(l->cells);
	free(l->list);
	*l = (struct links){0};
}

static int bad(struct err *err, const char *where, size_t number,
	       const char *why)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "%s %zu %s", where, number,
		       why);
}

static bool is_id(double x)
{
	return x >= 1 && x <= 1 << 30 && x == floor(x);
}

static int add_link(struct links *l, double a, double b, double value,
		    const char *where, size_t number, struct err *err)
{
	if (!is_id(a) || !is_id(b))
		return bad(err, where, number,
			   "does not begin with two trainers' numbers");
	if (a == b)
		return bad(err, where, number, "links a trainer to itself");
	if (value < 0)
		return bad(err, where, number, "has a value below 0");
	l->list = mem_grow(l->list, &l->cap, l->n + 1, sizeof(*l->list));
	l->list[l->n++] = (struct links_item){(int64_t)a, (int64_t)b, value};
	return 0;
}

/* The first row tells how many there are. */
static int begin_matrix(struct links *l, size_t rows, struct err *err)
{
	if (rows < 2 || rows > LINKS_ROWS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a matrix of %zu columns, not 2 to %d", rows,
			       LINKS_ROWS_MAX);
	l->rows = rows;
	l->cells = mem_zero(rows * rows, sizeof(*l->cells));
	return 0;
}

static int put_cell(struct links *l, size_t row, size_t column, double x,
		    const char *where, struct err *err)
{
	if (row >= l->rows || column >= l->rows)
		return bad(err, where, row + 1,
			   "is one too many, or too long, for a square");
	if (!(x >= 0))
		return bad(err, where, row + 1, "has a value below 0");
	if (row == column && x != 0)
		return bad(err, where, row + 1,
			   "is not 0 on the matrix' diagonal");
	l->cells[row * l->rows + column] = x;
	return 0;
}

static int end_row(const struct links *l, size_t row, size_t columns,
		   const char *where, struct err *err)
{
	if (columns == l->rows)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "%s %zu has %zu numbers, not %zu", where, row + 1,
		       columns, l->rows);
}

static int end_matrix(const struct links *l, size_t rows, struct err *err)
{
	if (rows == l->rows)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "a matrix of %zu columns and %zu rows", l->rows, rows);
}

/* ---- text ---- */

struct text {
	const char *at;
	size_t line; /* from 1 */
	double *row; /* of numbers */
	size_t n, cap;
};

/* The numbers of the next line that has any; none: the text is over. */
static int next_line(struct text *t, struct err *err)
{
	t->n = 0;
	while (*t->at && !t->n) {
		const char *end = t->at + strcspn(t->at, "\n");
		const char *stop = t->at + strcspn(t->at, "#\n");

		t->line++;
		for (;;) {
			char *after;
			double x;

			t->at += strspn(t->at, " \t\r,");
			if (t->at >= stop)
				break;
			x = strtod(t->at, &after);
			if (after == t->at || after > stop ||
			    !strchr(" \t\r,#\n", *after) || !isfinite(x))
				return bad(err, "line", t->line,
					   "has something that is no number");
			t->row = mem_grow(t->row, &t->cap, t->n + 1,
					  sizeof(*t->row));
			t->row[t->n++] = x;
			t->at = after;
		}
		t->at = *end ? end + 1 : end;
	}
	return 0;
}

static int text_matrix(struct links *l, struct text *t, struct err *err)
{
	size_t row = 0;
	int rc = begin_matrix(l, t->n, err);

	for (; !rc && t->n; row++) {
		rc = end_row(l, row, t->n, "row", err);
		for (size_t i = 0; !rc && i < t->n; i++)
			rc = put_cell(l, row, i, t->row[i], "row", err);
		if (!rc)
			rc = next_line(t, err);
	}
	return rc ? rc : end_matrix(l, row, err);
}

static int text_list(struct links *l, struct text *t, struct err *err)
{
	int rc = 0;

	while (!rc && t->n) {
		if (t->n < 2 || t->n > COLUMNS_MAX)
			return bad(err, "line", t->line,
				   "is not two trainers and perhaps a value");
		rc = add_link(l, t->row[0], t->row[1],
			      t->n > 2 ? t->row[2] : NAN, "line", t->line, err);
		if (!rc)
			rc = next_line(t, err);
	}
	return rc;
}

static int parse_text(struct links *l, const char *text, struct err *err)
{
	struct text t = {.at = text};
	int rc = next_line(&t, err);

	if (!rc && !t.n)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "neither a matrix nor a list is there");
	else if (!rc)
		rc = t.row[0] == 0 ? text_matrix(l, &t, err)
				   : text_list(l, &t, err);
	free(t.row);
	return rc;
}

/* ---- JSON ---- */

static double number_of(const json_t *v)
{
	return json_is_number(v) ? json_number_value(v) : NAN;
}

static bool is_one_of(const char *key, const char *one, const char *other)
{
	return !strcmp(key, one) || !strcmp(key, other);
}

static int json_link(struct links *l, json_t *item, size_t number,
		     struct err *err)
{
	double a = NAN, b = NAN, value = NAN;
	const char *key;
	json_t *v;

	json_object_foreach(item, key, v)
	{
		if (is_one_of(key, "a", "from"))
			a = number_of(v);
		else if (is_one_of(key, "b", "to"))
			b = number_of(v);
		else if (!is_one_of(key, "weight", "bytes_per_s"))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "item %zu has \"%s\", not a, b, weight, "
				       "from, to or bytes_per_s",
				       number, key);
		else if (!json_is_number(v))
			return bad(err, "item", number,
				   "has a value that is no number");
		else
			value = json_number_value(v);
	}
	return add_link(l, a, b, value, "item", number, err);
}

static int json_row(struct links *l, const json_t *item, size_t row,
		    struct err *err)
{
	int rc = json_is_array(item)
			 ? end_row(l, row, json_array_size(item), "row", err)
			 : bad(err, "row", row + 1, "is no array");

	for (size_t i = 0; !rc && i < json_array_size(item); i++)
		rc = put_cell(l, row, i, number_of(json_array_get(item, i)),
			      "row", err);
	return rc;
}

static int json_items(struct links *l, json_t *all, struct err *err)
{
	json_t *first = json_array_get(all, 0);
	size_t n = json_array_size(all);
	int rc = 0;

	if (json_is_array(first))
		rc = begin_matrix(l, json_array_size(first), err);
	for (size_t i = 0; !rc && i < n; i++) {
		json_t *item = json_array_get(all, i);

		if (l->rows)
			rc = json_row(l, item, i, err);
		else if (json_is_object(item))
			rc = json_link(l, item, i + 1, err);
		else
			rc = bad(err, "item", i + 1, "is no object");
	}
	return rc || !l->rows ? rc : end_matrix(l, n, err);
}

static int parse_json(struct links *l, const char *text, struct err *err)
{
	json_error_t why;
	json_t *all = json_loads(text, 0, &why);
	int rc;

	if (!all)
		return err_set(err, ERR_INVALID_ARGUMENT, "line %d: %s",
			       why.line, why.text);
	rc = json_items(l, all, err);
	json_decref(all);
	return rc;
}

int links_parse(struct links *out, const char *text, struct err *err)
{
	const char *first = text + strspn(text, " \t\r\n");
	int rc;

	*out = (struct links){0};
	rc = *first == '[' ? parse_json(out, first, err)
			   : parse_text(out, text, err);
	if (rc)
		links_release(out);
	return rc;
}
