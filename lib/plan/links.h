/* links.h - links between trainers as text: what gfl-topo prints, gfl-list
 * prints, and people write.
 *
 *	0 2 1		a matrix: row by row, separated by blanks, its first
 *	2 0 0		number a 0 as all of its diagonal; 0 elsewhere is no
 *	1 0 0		link
 *
 *	1 2		a list: two trainers' numbers and perhaps a value a line
 *	1 3 0.5
 *
 * or the same as JSON, an array of arrays, or of objects with a, b and weight
 * or from, to and bytes_per_s. What follows a # is a comment. Pure. */
#ifndef PLAN_LINKS_H
#define PLAN_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { LINKS_ROWS_MAX = 4096 };

struct links_item {
	int64_t a, b;
	double value; /* NAN: none was given */
};

struct links {
	size_t rows;             /* of the matrix; 0: it is a list */
	double *cells;           /* rows * rows */
	struct links_item *list; /* the links of a list, as they came */
	size_t n, cap;
};

/* INVALID_ARGUMENT says which line, or item, is wrong, and how; an empty text
 * is wrong, an empty JSON array an empty list. links_release() what comes out.
 */
int links_parse(struct links *out, const char *text,
		struct err *err) MUST_CHECK;
void links_release(struct links *l);

#endif
