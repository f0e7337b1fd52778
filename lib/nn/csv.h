/* csv.h - labelled examples from CSV (RFC 4180), plain or gzipped.
 *
 * Each record is an example: one column is its label, the others are its
 * values. A first record with a field that is no number names the columns. */
#ifndef NN_CSV_H
#define NN_CSV_H

#include "base/err.h"
#include "nn/examples.h"

/* label is a column's name or its number from 1; NULL is the column "label".
 * A field that is no finite number, a label that is no whole number from 0 to
 * 255, records of different lengths, or quotes that do not close are
 * INVALID_ARGUMENT with path and line. */
int csv_read(struct examples *e, const char *path, const char *label,
	     struct err *err) MUST_CHECK;

#endif
