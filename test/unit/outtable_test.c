#include "test.h"

#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/outtable.h"

/* A row of 3 + 1 + 5 + 1 + 4 + 1 + 30 places. */
static struct libscols_table *table(size_t termwidth)
{
	static const char *const heads[] = {"ID", "EMPTY", "SIZE", "WORDS"};
	static const char *const cells[] = {"123", "-", "4",
					    "0123456789 0123456789 01234567"};
	struct libscols_table *t = scols_new_table();
	struct libscols_line *row;

	scols_table_set_termforce(t, SCOLS_TERMFORCE_ALWAYS);
	scols_table_set_termwidth(t, termwidth);
	for (size_t i = 0; i < 4; i++)
		scols_table_new_column(t, heads[i], 0,
				       i == 3 ? SCOLS_FL_TRUNC : 0);
	row = scols_table_new_line(t, NULL);
	for (size_t i = 0; i < 4; i++)
		scols_line_set_data(row, i, cells[i]);
	return t;
}

static void fits_as(size_t termwidth, const char *want)
{
	struct libscols_table *t = table(termwidth);
	char *text = NULL;

	outtable_fit(t);
	CHECK(!scols_print_table_to_string(t, &text));
	CHECK_STR(text, want);
	free(text);
	scols_unref_table(t);
}

TEST(a_table_that_fits_keeps_every_column)
{
	fits_as(80, "ID  EMPTY SIZE WORDS\n"
		    "123 -     4    0123456789 0123456789 01234567");
}

TEST(words_are_cut_before_a_column_is_left_out)
{
	fits_as(36, "ID  EMPTY SIZE WORDS\n"
		    "123 -     4    0123456789 0123456789");
}

TEST(an_empty_column_is_left_out_first_and_then_the_last)
{
	fits_as(30, "ID  SIZE WORDS\n123 4    0123456789 0123456789");
	fits_as(24, "ID  WORDS\n123 0123456789 012345678");
}

TEST(a_record_is_a_line_for_each_field)
{
	struct libscols_table *t = table(20);
	struct buf b = BUF_INIT(0);

	outtable_record(t, &b);
	CHECK_STR(b.p, "ID     123\nEMPTY  -\nSIZE   4\n"
		       "WORDS  0123456789 0123456789 01234567\n");
	buf_release(&b);
	scols_unref_table(t);
}

TEST(a_table_without_rows_is_its_heads)
{
	struct libscols_table *t = table(20);
	struct buf b = BUF_INIT(0);

	outtable_heads(t, &b);
	CHECK_STR(b.p, "ID EMPTY SIZE WORDS\n");
	buf_release(&b);
	scols_unref_table(t);
}
