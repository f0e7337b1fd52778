/* weighted_impl.h - the state of a search, for the files of weighted.h alone.
 *
 * Blossoms 0..n-1 are the vertices. An edge is two arcs, 2k and 2k + 1, one
 * each way: arc ^ 1 is the way back. The dual values of vertices are doubled,
 * so that halves are integers too, and so is slack. */
#ifndef PLAN_WEIGHTED_IMPL_H
#define PLAN_WEIGHTED_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum label {
	FREE, /* in no tree */
	EVEN, /* an even number of steps from its tree's root */
	ODD,
};

struct blossom {
	int parent; /* the blossom it lies in, or -1 */
	int base;   /* the vertex that the others are paired without */
	int64_t dual;

	/* Round the odd cycle, from the child with the base on: link[i] is the
	 * arc from child[i] to the one after it. None of a vertex. */
	int *child, *link, n;

	/* Of those that lie in no other. */
	enum label label;
	int enter; /* the arc that leads to it in its tree, or -1 at the root */
	int root;  /* the base of its tree's root */
	unsigned mark;
};

struct weighted {
	size_t n;
	int *from;       /* n + 1: arcs out of v are out[from[v]..] */
	int *out;        /* arcs by their tail */
	int *head;       /* by arc: the vertex that it leads to */
	int64_t *weight; /* by edge */
	size_t nedges;

	int *mate; /* the arc to the partner, or -1 */
	int *top;  /* the outermost blossom of a vertex */
	struct blossom *blossom;
	int *unused; /* numbers of blossoms, a stack */
	size_t nunused;

	/* By vertex: the arc to it of least slack from an even vertex of
	 * another blossom, or -1. Of an even vertex it may have got stale. */
	int *best;
	int *queue; /* even vertices whose arcs are to be looked at */
	size_t queued;
	unsigned marks;

	int *due; /* vertices at which something happens after delta */
	size_t ndue;
	int64_t delta;
};

int weighted_tail(const struct weighted *w, int arc);
bool weighted_even(const struct weighted *w, int v);
int weighted_best(const struct weighted *w, int v); /* found out anew */

typedef void weighted_vertex_fn(struct weighted *w, int v);
void weighted_each(struct weighted *w, int b, weighted_vertex_fn *fn);

/* Take an outermost blossom into a tree, by this arc. */
void weighted_label(struct weighted *w, int b, enum label label, int enter);

/* Arc joins two even blossoms of one tree: they and what lies between them in
 * it become one. */
void weighted_shrink(struct weighted *w, int arc);

/* Blossom b, odd and of dual 0, is its children again. */
void weighted_expand(struct weighted *w, int b);

/* Pair anew along both paths from arc, which joins two trees, to their roots;
 * the trees are no more. */
void weighted_augment(struct weighted *w, int arc);

#endif
