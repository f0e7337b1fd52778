/* heap.h - the least of many things, and any of them taken out, in log n.
 *
 * A binary heap of pointers. Each thing has a place (size_t, 0 when it is in no
 * heap) that the heap keeps, so one heap at a time for each such place. Pure.
 */
#ifndef TASK_HEAP_H
#define TASK_HEAP_H

#include <stdbool.h>
#include <stddef.h>

typedef bool heap_less_fn(const void *a, const void *b);

struct heap {
	void **at; /* at[0] is the least */
	size_t n, cap;
	heap_less_fn *less;
	size_t place_at; /* offset of a thing's place */
};

void heap_init(struct heap *h, heap_less_fn *less, size_t place_at);
void heap_release(struct heap *h); /* the things stay */

/* What less() looks at may change only while the thing is in no heap. */
void heap_add(struct heap *h, void *thing);
void heap_take(struct heap *h, void *thing); /* nothing if it is not in */

#endif
