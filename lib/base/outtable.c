#include "base/outtable.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* What a column that may be cut is given at least. */
#define CUT_WIDTH 20

static const char *head_of(struct libscols_column *col)
{
	const char *s = scols_cell_get_data(scols_column_get_header(col));

	return s ? s : "";
}

static const char *text_of(struct libscols_line *row,
			   struct libscols_column *col)
{
	struct libscols_cell *cell = scols_line_get_column_cell(row, col);
	const char *s = cell ? scols_cell_get_data(cell) : NULL;

	return s ? s : "";
}

/* Characters of UTF-8, each taken for one place. */
static size_t places(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* As wide as its widest cell; *filled unless every cell is "-". */
static size_t width_of(struct libscols_table *t, struct libscols_column *col,
		       bool *filled)
{
	struct libscols_iter *it = scols_new_iter(SCOLS_ITER_FORWARD);
	size_t width = places(head_of(col));
	struct libscols_line *row;

	if (!it)
		abort();
	*filled = false;
	while (!scols_table_next_line(t, it, &row)) {
		const char *s = text_of(row, col);
		size_t n = places(s);

		width = n > width ? n : width;
		*filled = *filled || (strcmp(s, "-") && *s);
	}
	scols_free_iter(it);
	if (scols_column_is_trunc(col) && width > CUT_WIDTH)
		return CUT_WIDTH;
	return width;
}

static void hide(struct libscols_column *col)
{
	scols_column_set_flags(col,
			       scols_column_get_flags(col) | SCOLS_FL_HIDDEN);
}

void outtable_fit(struct libscols_table *t)
{
	size_t room = scols_table_get_termwidth(t) + 1, total = 0;
	size_t n = scols_table_get_ncols(t);
	bool filled;

	for (size_t i = 0; i < n; i++)
		total += width_of(t, scols_table_get_column(t, i), &filled) + 1;
	for (size_t i = n; i-- > 1 && total > room;) {
		struct libscols_column *col = scols_table_get_column(t, i);
		size_t width = width_of(t, col, &filled);

		if (filled)
			continue;
		hide(col);
		total -= width + 1;
	}
	for (size_t i = n; i-- > 1 && total > room;) {
		struct libscols_column *col = scols_table_get_column(t, i);

		if (scols_column_is_hidden(col) || scols_column_is_trunc(col))
			continue;
		total -= width_of(t, col, &filled) + 1;
		hide(col);
	}
}

void outtable_heads(struct libscols_table *t, struct buf *b)
{
	for (size_t i = 0; i < scols_table_get_ncols(t); i++) {
		struct libscols_column *col = scols_table_get_column(t, i);

		if (!scols_column_is_hidden(col))
			buf_putf(b, "%s%s", i ? " " : "", head_of(col));
	}
	buf_putc(b, '\n');
}

void outtable_record(struct libscols_table *t, struct buf *b)
{
	size_t n = scols_table_get_ncols(t), width = 0;

	for (size_t i = 0; i < n; i++) {
		size_t w = places(head_of(scols_table_get_column(t, i)));

		width = w > width ? w : width;
	}
	for (size_t r = 0; r < scols_table_get_nlines(t); r++) {
		for (size_t i = 0; i < n; i++) {
			struct libscols_column *col =
				scols_table_get_column(t, i);

			buf_putf(b, "%-*s  %s\n", (int)width, head_of(col),
				 text_of(scols_table_get_line(t, r), col));
		}
	}
}
