/* outtable.h - make a table fit into the terminal that it is written to. */
#ifndef BASE_OUTTABLE_H
#define BASE_OUTTABLE_H

#include <libsmartcols/libsmartcols.h>

#include "base/buf.h"

/* Leave out columns until the table is as wide as its terminal: first those
 * that have nothing in any row, then from the last back. The first column
 * stays, and what may be cut (SCOLS_FL_TRUNC) is cut rather than left out. */
void outtable_fit(struct libscols_table *t);

/* Append the head of the columns alone, for a table without a row. */
void outtable_heads(struct libscols_table *t, struct buf *b);

/* Append each row as lines "HEAD  cell", for a record too wide for a line. */
void outtable_record(struct libscols_table *t, struct buf *b);

#endif
