/* linear.c - the operations of a key by their start; a search that puts one
 * after the other. */
#include "linear.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "base/mem.h"

/* What was tried: these operations done, this value left. */
struct tried {
	struct {
		uint64_t done[LINEAR_MAX / 64];
		int64_t value;
	} at;
	UT_hash_handle hh;
};

enum { TRIED_MAX = 1000000 };

struct search {
	const struct linear_op *op; /* by start */
	size_t n, open;             /* open: writes that need not be done */
	struct tried now, *tried;
	size_t order[LINEAR_MAX], n_order, open_done;
	size_t best[LINEAR_MAX], n_best; /* the longest order found */
	int64_t best_value;
};

static bool is_done(const struct search *s, size_t i)
{
	return s->now.at.done[i / 64] >> (i % 64) & 1;
}

static void put(struct search *s, size_t i)
{
	const struct linear_op *o = &s->op[i];

	s->now.at.done[i / 64] |= (uint64_t)1 << (i % 64);
	s->order[s->n_order++] = i;
	s->open_done += o->end == LINEAR_OPEN;
	if (o->write)
		s->now.at.value = o->value;
	if (s->n_order - s->open_done > s->n_best) {
		s->n_best = s->n_order - s->open_done;
		s->best_value = s->now.at.value;
		memset(s->best, 0, sizeof(s->best));
		for (size_t k = 0; k < s->n_order; k++)
			s->best[s->order[k]] = 1;
	}
}

/* Back to when n were in order and value was left. */
static void back(struct search *s, size_t n, int64_t value)
{
	while (s->n_order > n) {
		size_t i = s->order[--s->n_order];

		s->now.at.done[i / 64] &= ~((uint64_t)1 << (i % 64));
		s->open_done -= s->op[i].end == LINEAR_OPEN;
	}
	s->now.at.value = value;
}

/* What starts after this cannot be next: another has ended before it. */
static int64_t horizon(const struct search *s, size_t first)
{
	int64_t end = INT64_MAX;

	for (size_t i = first; i < s->n && s->op[i].start <= end; i++)
		if (!is_done(s, i) && s->op[i].end < end)
			end = s->op[i].end;
	return end;
}

/* Reads that fit do so at once: they leave everything as it is. */
static size_t put_reads(struct search *s, size_t first)
{
	bool more = true;

	while (more) {
		int64_t end = horizon(s, first);

		more = false;
		for (size_t i = first; i < s->n && s->op[i].start <= end; i++)
			if (!is_done(s, i) && !s->op[i].write &&
			    s->op[i].value == s->now.at.value) {
				put(s, i);
				more = true;
			}
		while (first < s->n && is_done(s, first))
			first++;
	}
	return first;
}

/* False if this was tried before. */
static bool is_new(struct search *s)
{
	struct tried *t;

	HASH_FIND(hh, s->tried, &s->now.at, sizeof(s->now.at), t);
	if (t)
		return false;
	t = mem_zero(1, sizeof(*t));
	t->at = s->now.at;
	HASH_ADD(hh, s->tried, at, sizeof(t->at), t);
	return true;
}

/* From the order so far to one of all: true if there is one. */
static bool extend(struct search *s, size_t first)
{
	size_t had = s->n_order;
	int64_t value = s->now.at.value, end, left;

	first = put_reads(s, first);
	if (s->n_order - s->open_done == s->n - s->open)
		return true;
	end = horizon(s, first);
	left = s->now.at.value;
	if (is_new(s) && HASH_COUNT(s->tried) < TRIED_MAX)
		for (size_t i = first; i < s->n && s->op[i].start <= end; i++) {
			size_t n = s->n_order;

			if (is_done(s, i) || !s->op[i].write)
				continue;
			put(s, i);
			if (extend(s, first))
				return true;
			back(s, n, left);
		}
	back(s, had, value);
	return false;
}

static int refuse(const struct search *s, struct err *err)
{
	const struct linear_op *o = NULL;

	if (HASH_COUNT(s->tried) >= TRIED_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "key %" PRId64 ": %zu operations are too many "
			       "at once to be put in order",
			       s->op->key, s->n);
	for (size_t i = 0; i < s->n; i++)
		if (!s->best[i] && (!o || s->op[i].end < o->end))
			o = &s->op[i];
	return err_set(err, ERR_DATA_LOSS,
		       "key %" PRId64 ": client %" PRId64 " %s %" PRId64
		       " from %" PRId64 " to %" PRId64
		       ", which fits no order; after the longest, of %zu, "
		       "there is %" PRId64,
		       o->key, o->client, o->write ? "wrote" : "read", o->value,
		       o->start, o->end, s->n_best, s->best_value);
}

static int check_key(const struct linear_op *op, size_t n, struct err *err)
{
	struct search s = {.op = op, .n = n};
	struct tried *t, *next;
	int rc;

	if (n > LINEAR_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "key %" PRId64 ": %zu operations are more "
			       "than %d",
			       op->key, n, LINEAR_MAX);
	for (size_t i = 0; i < n; i++)
		s.open += op[i].end == LINEAR_OPEN;
	rc = extend(&s, 0) ? 0 : refuse(&s, err);
	HASH_ITER (hh, s.tried, t, next) {
		HASH_DEL(s.tried, t);
		free(t);
	}
	return rc;
}

static int by_key_and_start(const void *a, const void *b)
{
	const struct linear_op *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

static int check_op(const struct linear_op *o, struct err *err)
{
	if (o->end < o->start)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "an operation on key %" PRId64
			       " ends at %" PRId64
			       ", before it starts at %" PRId64,
			       o->key, o->end, o->start);
	if (o->write && !o->value)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a write of 0 to key %" PRId64
			       " cannot be told from none",
			       o->key);
	return 0;
}

/* A write that may not have been and that nobody has read was not. */
static bool says_something(const struct linear_op *op, size_t n,
			   const struct linear_op *o)
{
	if (o->end != LINEAR_OPEN)
		return true;
	for (size_t i = 0; o->write && i < n; i++)
		if (!op[i].write && op[i].key == o->key &&
		    op[i].value == o->value && op[i].end != LINEAR_OPEN)
			return true;
	return false;
}

int linear_check(const struct linear_op *op, size_t n, struct err *err)
{
	struct linear_op *sorted = mem_zero(n + 1, sizeof(*sorted));
	size_t kept = 0, from = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++) {
		rc = check_op(&op[i], err);
		if (says_something(op, n, &op[i]))
			sorted[kept++] = op[i];
	}
	qsort(sorted, kept, sizeof(*sorted), by_key_and_start);
	for (size_t i = 0; !rc && i < kept; i++)
		if (i + 1 == kept || sorted[i + 1].key != sorted[i].key) {
			rc = check_key(sorted + from, i + 1 - from, err);
			from = i + 1;
		}
	free(sorted);
	return rc;
}

size_t linear_begin(struct linear *h, int64_t key, bool write, int64_t value,
		    int64_t start, int64_t client)
{
	h->op = mem_grow(h->op, &h->cap, h->n + 1, sizeof(*h->op));
	h->op[h->n] = (struct linear_op){key,   write,       value,
					 start, LINEAR_OPEN, client};
	return h->n++;
}

void linear_end(struct linear *h, size_t number, int64_t value, int64_t end)
{
	h->op[number].value = value;
	h->op[number].end = end;
}

void linear_release(struct linear *h)
{
	free(h->op);
	*h = (struct linear){0};
}
