#include "task/heap.h"

#include <stdlib.h>

#include "base/mem.h"

void heap_init(struct heap *h, heap_less_fn *less, size_t place_at)
{
	*h = (struct heap){.less = less, .place_at = place_at};
}

void heap_release(struct heap *h)
{
	free(h->at);
	h->at = NULL;
	h->n = h->cap = 0;
}

static size_t *place(const struct heap *h, void *thing)
{
	return (size_t *)(void *)((char *)thing + h->place_at);
}

static void put(struct heap *h, size_t i, void *thing)
{
	h->at[i] = thing;
	*place(h, thing) = i + 1;
}

static void up(struct heap *h, size_t i, void *thing)
{
	while (i > 0 && h->less(thing, h->at[(i - 1) / 2])) {
		put(h, i, h->at[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(h, i, thing);
}

static void down(struct heap *h, size_t i, void *thing)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < h->n && h->less(h->at[child + 1], h->at[child]))
			child++;
		if (child >= h->n || !h->less(h->at[child], thing))
			break;
		put(h, i, h->at[child]);
		i = child;
	}
	put(h, i, thing);
}

void heap_add(struct heap *h, void *thing)
{
	h->at = mem_grow(h->at, &h->cap, h->n + 1, sizeof(*h->at));
	up(h, h->n++, thing);
}

void heap_take(struct heap *h, void *thing)
{
	size_t i = *place(h, thing);
	void *last;

	if (!i--)
		return;
	*place(h, thing) = 0;
	last = h->at[--h->n];
	if (last == thing)
		return;
	if (i > 0 && h->less(last, h->at[(i - 1) / 2]))
		up(h, i, last);
	else
		down(h, i, last);
}
