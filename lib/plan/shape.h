/* shape.h - graphs of well-known shapes, all of them connected. Pure: the same
 * shape and seed give the same graph for ever. */
#ifndef PLAN_SHAPE_H
#define PLAN_SHAPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { SHAPE_MAX = 4096 }; /* vertices */

enum shape_kind {
	SHAPE_RING,    /* each with the next */
	SHAPE_STAR,    /* all with the first */
	SHAPE_FULL,    /* all with all */
	SHAPE_GRID,    /* rows by columns, each with its four neighbours */
	SHAPE_REGULAR, /* each with as many, by chance */
	SHAPE_RANDOM,  /* Erdos and Renyi's G(n, p), given that it is connected
			*/
};

#define SHAPE_KINDS "ring|star|full|grid|regular|random"

struct shape {
	enum shape_kind kind;
	size_t n;           /* vertices, 2 to SHAPE_MAX */
	size_t rows;        /* grid: a divisor of n; 0: the most square */
	size_t degree;      /* regular */
	double probability; /* random: of an edge; 0: 2 ln n / n, which is
			     * enough to be connected almost always */
	uint64_t seed;
};

/* Fill the n by n matrix edge, which is all 0, with 1 where there is an edge;
 * symmetric. INVALID_ARGUMENT says which parameter cannot be; ABORTED that no
 * connected graph came by chance. */
int shape_make(const struct shape *s, unsigned char *edge,
	       struct err *err) MUST_CHECK;

#endif
