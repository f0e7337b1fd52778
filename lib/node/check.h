/* check.h - all that can be wrong in a node's database, looked for. */
#ifndef NODE_CHECK_H
#define NODE_CHECK_H

#include "base/err.h"
#include "base/out.h"
#include "proto/node.pb-c.h"
#include "store/db.h"

/* Call fn for each part in turn: what it is, what was found, and damage, NULL
 * if there is none; after the first damage the rest is not looked at. */
typedef void check_fn(const Gfl__V1__CheckItem *item, void *arg);

/* Within db: the schema, who the node is, the hard state, the snapshot's
 * checksum, the chain of the log, its entries, and the state that the committed
 * ones make. Nothing is changed. DATA_LOSS names the row that is damaged;
 * FAILED_PRECONDITION a file of another version. */
int check_db(struct db *db, check_fn *fn, void *arg,
	     struct err *err) MUST_CHECK;

/* The same of the file at path, and SQLite's own check of it, printed as rows.
 * NOT_FOUND if there is none; alone: RESOURCE_EXHAUSTED if a node has it. */
int check_file(const char *path, bool alone, const struct out_opts *opts,
	       struct err *err) MUST_CHECK;

/* A row of them; arg is the struct out, begun with check_cols. */
enum { CHECK_COLS = 3 };
extern const struct out_col check_cols[CHECK_COLS];
check_fn check_row;

#endif
