#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plan/weighted_impl.h"

/* Call fn for every vertex in b. */
void weighted_each(struct weighted *w, int b, weighted_vertex_fn *fn)
{
	if ((size_t)b < w->n)
		fn(w, b);
	for (int i = 0; i < w->blossom[b].n; i++)
		weighted_each(w, w->blossom[b].child[i], fn);
}

static void enqueue(struct weighted *w, int v)
{
	w->best[v] = -1;
	w->queue[w->queued++] = v;
}

void weighted_label(struct weighted *w, int b, enum label label, int enter)
{
	struct blossom *t = &w->blossom[b];

	t->label = label;
	t->enter = enter;
	t->root = enter < 0 ? t->base
			    : w->blossom[w->top[weighted_tail(w, enter)]].root;
	if (label == EVEN)
		weighted_each(w, b, enqueue);
}

static void set_top(struct weighted *w, int b)
{
	int above = b;

	while (w->blossom[above].parent >= 0)
		above = w->blossom[above].parent;
	if ((size_t)b < w->n)
		w->top[b] = above;
	for (int i = 0; i < w->blossom[b].n; i++)
		set_top(w, w->blossom[b].child[i]);
}

/* The blossom before b in its tree, or -1. */
static int before(const struct weighted *w, int b)
{
	int enter = w->blossom[b].enter;

	return enter < 0 ? -1 : w->top[weighted_tail(w, enter)];
}

/* Where the ways from a and b to their root meet: both climb by turns. */
static int meeting(struct weighted *w, int a, int b)
{
	unsigned mark = ++w->marks;

	for (;;) {
		int t = a;

		if (a >= 0) {
			if (w->blossom[a].mark == mark)
				return a;
			w->blossom[a].mark = mark;
			a = before(w, a);
		}
		t = a;
		a = b;
		b = t;
	}
}

static int steps(const struct weighted *w, int from, int to)
{
	int n = 0;

	for (; from != to; from = before(w, from))
		n++;
	return n;
}

/* The cycle: from where the ways meet down to the arc's tail, over the arc, and
 * up again. */
static void make_cycle(struct weighted *w, struct blossom *t, int arc, int meet)
{
	int a = w->top[weighted_tail(w, arc)], b = w->top[w->head[arc]];
	int down = steps(w, a, meet), i;

	t->n = down + steps(w, b, meet) + 1;
	t->child = mem_zero((size_t)t->n, sizeof(*t->child));
	t->link = mem_zero((size_t)t->n, sizeof(*t->link));
	for (i = down; i > 0; a = before(w, a)) {
		t->child[i] = a;
		t->link[--i] = w->blossom[a].enter;
	}
	t->child[0] = meet;
	t->link[down] = arc;
	for (i = down + 1; i < t->n; b = before(w, b)) {
		t->child[i] = b;
		t->link[i++] = w->blossom[b].enter ^ 1;
	}
}

void weighted_shrink(struct weighted *w, int arc)
{
	int meet =
		meeting(w, w->top[weighted_tail(w, arc)], w->top[w->head[arc]]);
	int b = w->unused[--w->nunused];
	struct blossom *t = &w->blossom[b], *m = &w->blossom[meet];

	*t = (struct blossom){
		.parent = -1,
		.base = m->base,
		.label = EVEN,
		.enter = m->enter,
		.root = m->root,
	};
	make_cycle(w, t, arc, meet);
	for (int i = 0; i < t->n; i++) {
		struct blossom *c = &w->blossom[t->child[i]];

		c->parent = b;
		if (c->label == ODD)
			weighted_each(w, t->child[i], enqueue);
	}
	set_top(w, b);
}

static int child_of(const struct weighted *w, int b, int v)
{
	while (w->blossom[v].parent != b)
		v = w->blossom[v].parent;
	return v;
}

static int place(const struct blossom *t, int child)
{
	int i = 0;

	while (t->child[i] != child)
		i++;
	return i;
}

static void release(struct weighted *w, int b)
{
	free(w->blossom[b].child);
	free(w->blossom[b].link);
	w->blossom[b].child = w->blossom[b].link = NULL;
	w->blossom[b].n = 0;
	w->unused[w->nunused++] = b;
}

static void set_free(struct blossom *t)
{
	t->label = FREE;
	t->enter = -1;
	t->root = -1;
}

/* The way from child i to the base, which has an even number of steps, stays in
 * the tree: odd, even, ..., odd. */
static void keep_way(struct weighted *w, const struct blossom *t, int i,
		     int enter)
{
	bool forward = i % 2;
	enum label label = ODD;

	for (;;) {
		weighted_label(w, t->child[i], label, enter);
		if (!i)
			break;
		enter = forward ? t->link[i] : t->link[i - 1] ^ 1;
		i = forward ? (i + 1) % t->n : i - 1;
		label = label == ODD ? EVEN : ODD;
	}
}

void weighted_expand(struct weighted *w, int b)
{
	struct blossom *t = &w->blossom[b];
	int entry = child_of(w, b, w->head[t->enter]);

	for (int i = 0; i < t->n; i++) {
		w->blossom[t->child[i]].parent = -1;
		set_free(&w->blossom[t->child[i]]);
		set_top(w, t->child[i]);
	}
	keep_way(w, t, place(t, entry), t->enter);
	release(w, b);
}

static void rotate(int *p, int n, int by)
{
	int *old = mem_dup(p, (size_t)n * sizeof(*p));

	for (int i = 0; i < n; i++)
		p[i] = old[(i + by) % n];
	free(old);
}

static void pair(struct weighted *w, int arc)
{
	w->mate[weighted_tail(w, arc)] = arc;
	w->mate[w->head[arc]] = arc ^ 1;
}

/* Pair the vertices of b among themselves, all but v. */
static void rebase(struct weighted *w, int b, int v)
{
	struct blossom *t = &w->blossom[b];
	int first, i, step;

	if ((size_t)b < w->n)
		return;
	first = child_of(w, b, v);
	rebase(w, first, v);
	i = place(t, first);
	/* what lies between it and the old base, the way that is even */
	step = i % 2 ? 1 : -1;
	for (int at = i; at; at = (at + 2 * step) % t->n) {
		int arc = t->link[step > 0 ? at + 1 : at - 2];

		rebase(w, child_of(w, b, weighted_tail(w, arc)),
		       weighted_tail(w, arc));
		rebase(w, child_of(w, b, w->head[arc]), w->head[arc]);
		pair(w, arc);
	}
	rotate(t->child, t->n, i);
	rotate(t->link, t->n, i);
	t->base = v;
}

/* From even vertex v, which arc pairs now, to its root. */
static void flip(struct weighted *w, int v, int arc)
{
	for (;;) {
		int even = w->top[v], odd, in;

		rebase(w, even, v);
		w->mate[v] = arc;
		if (w->blossom[even].enter < 0)
			return;
		odd = before(w, even);
		in = w->blossom[odd].enter;
		rebase(w, odd, w->head[in]);
		w->mate[w->head[in]] = in ^ 1;
		v = weighted_tail(w, in);
		arc = in;
	}
}

static bool useful(const struct weighted *w, int v)
{
	return w->best[v] >= 0 &&
	       weighted_even(w, weighted_tail(w, w->best[v]));
}

/* Two trees are no more: what was even in them tells nobody anything now. */
static void drop_trees(struct weighted *w, int a, int b)
{
	size_t kept = 0;

	for (size_t v = 0; v < w->n; v++) {
		const struct blossom *t = &w->blossom[w->top[v]];

		if (t->root == a || t->root == b)
			w->best[v] = -1;
	}
	for (size_t v = 0; v < w->n; v++) {
		struct blossom *t = &w->blossom[w->top[v]];

		if (t->root == a || t->root == b)
			set_free(t);
	}
	for (size_t i = 0; i < w->queued; i++)
		if (weighted_even(w, w->queue[i]))
			w->queue[kept++] = w->queue[i];
	w->queued = kept;
	for (size_t v = 0; v < w->n; v++)
		if (!weighted_even(w, (int)v) && !useful(w, (int)v))
			w->best[v] = weighted_best(w, (int)v);
}

void weighted_augment(struct weighted *w, int arc)
{
	int a = weighted_tail(w, arc), b = w->head[arc];
	int root_a = w->blossom[w->top[a]].root;
	int root_b = w->blossom[w->top[b]].root;

	flip(w, a, arc);
	flip(w, b, arc ^ 1);
	drop_trees(w, root_a, root_b);
}
