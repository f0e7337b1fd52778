/* linear.h - is a history of reads and writes one that a single register could
 * have given? So the tests ask of simulated clusters and of real ones.
 *
 * The search is that of Wing and Gong, "Testing and Verifying Concurrent
 * Objects" (1993), with the memory of Lowe, "Testing for Linearizability"
 * (2016): a set of operations done and the value that they left is tried once.
 * Linearizability is local (Herlihy and Wing 1990), so each key is a register
 * of its own and is searched alone. */
#ifndef LINEAR_H
#define LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* More on one key take too long; so histories change to a new key in time. */
enum { LINEAR_MAX = 512 };

/* The end of what nobody knows the outcome of: a write that may have taken
 * effect, may do so later, or never. Such a read says nothing. */
static const int64_t LINEAR_OPEN = INT64_MAX;

/* One operation: it began at start and its answer was there at end, both on
 * one clock of any unit; what ended before another began came before it. A
 * write that was refused, with certainty, is no operation. */
struct linear_op {
	int64_t key;
	bool write;
	int64_t value; /* written, or read: 0 is what no write has written */
	int64_t start, end;
	int64_t client; /* for the message alone */
};

/* Operations in any order, of any number of keys. 0 if some order of them is
 * one after the other, each at a moment between its start and its end, and
 * each read gives what the last write before it wrote. Otherwise
 *   DATA_LOSS           no order does; err names an operation that does not
 *                       fit, and what would have been possible
 *   RESOURCE_EXHAUSTED  a key has more than LINEAR_MAX, or the search went on
 *                       for too long: nothing is known
 *   INVALID_ARGUMENT    an end before its start, or a write of 0 */
int linear_check(const struct linear_op *op, size_t n,
		 struct err *err) MUST_CHECK;

/* A history that grows. Zero it at first. */
struct linear {
	struct linear_op *op;
	size_t n, cap;
};

/* Begin an operation; the returned number is for linear_end(). */
size_t linear_begin(struct linear *h, int64_t key, bool write, int64_t value,
		    int64_t start, int64_t client);

/* It has ended; value is what a read gave. */
void linear_end(struct linear *h, size_t number, int64_t value, int64_t end);
void linear_release(struct linear *h);

#endif
