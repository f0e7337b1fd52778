/* outfields.h - what of a record is written: the columns that -F names, or all.
 *
 * Where a column is OUT_SPREAD, any other name is a member of its object. */
#ifndef BASE_OUTFIELDS_H
#define BASE_OUTFIELDS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/out.h"

struct outfield {
	char *key;
	enum out_type type; /* of a member OUT_REAL, as most are numbers */
	size_t at;          /* which cell of the record */
	bool member;        /* the member `key` of that cell's object */
	bool found;         /* a record had it */
	char *text;         /* of an array or object, until the next record */
};

struct outfields {
	const struct out_col *cols;
	size_t ncols;
	struct outfield *f;
	size_t n, cap;
	struct out_cell *cells; /* n, as outfields_pick() left them */
	json_t *object;         /* of the last record */
	bool objects;           /* a record had one */
};

/* fields: "a,b", or NULL for all. INVALID_ARGUMENT for a name that is none, or
 * without a name. Freed by outfields_release() in either case. */
int outfields_choose(struct outfields *fs, const struct out_col *cols,
		     size_t ncols, const char *fields,
		     struct err *err) MUST_CHECK;
void outfields_release(struct outfields *fs);
void outfields_drop(struct outfields *fs, size_t i); /* f[i] is not written */

/* The n cells of a record that are written; until the next call. */
const struct out_cell *outfields_pick(struct outfields *fs,
				      const struct out_cell *cells);

/* INVALID_ARGUMENT where a member was named that no object had. */
int outfields_check(const struct outfields *fs, struct err *err) MUST_CHECK;

#endif
