/* ledger_check.c - what a history is held against when the run is over. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "ledger.h"
#include "linear.h"

static const struct slot *slot_of(const struct ledger *h, int64_t index)
{
	return index > 0 && (size_t)index < h->nslots && h->slot[index].known
		       ? &h->slot[index]
		       : NULL;
}

/* Where each operation had its effect, or 0; by its number. */
static int find_effects(const struct ledger *h, int64_t *at, struct err *err)
{
	for (size_t i = 1; i < h->nslots; i++) {
		const struct slot *s = &h->slot[i];

		if (!s->op || s->effect == EFFECT_NONE)
			continue;
		if (at[s->op] && s->effect == EFFECT_APPLIED &&
		    h->slot[at[s->op]].effect == EFFECT_APPLIED)
			return err_set(err, ERR_DATA_LOSS,
				       "operation %" PRId64 " was applied "
				       "twice, at entries %" PRId64 " and %zu",
				       s->op, at[s->op], i);
		if (!at[s->op])
			at[s->op] = (int64_t)i;
	}
	return 0;
}

static int check_write(const struct ledger *h, int64_t number,
		       const int64_t *at, struct ledger_result *out,
		       struct err *err)
{
	const struct op *o = &h->op[number - 1];
	const struct slot *s = slot_of(h, o->index);

	if (!o->end) {
		out->unknown++;
		out->unknown_applied += at[number] != 0;
		return 0;
	}
	if (!s) {
		out->unseen++;
		return 0;
	}
	if (s->op == number && s->effect != EFFECT_NONE)
		return 0;
	return err_set(err, ERR_DATA_LOSS,
		       "lost: operation %" PRId64 " was acknowledged as entry "
		       "%" PRId64 ", which is %s",
		       number, o->index,
		       s->op == number ? "without effect"
		       : s->op         ? "another operation's"
				       : "none of ours");
}

/* ---- the order of the log is that of time ---- */

struct moment {
	int64_t at, op;
	bool end;
};

static int by_time(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return (int)x->end - (int)y->end; /* at the same time: concurrent */
}

static struct moment *moments(const struct ledger *h, size_t *n)
{
	struct moment *m = mem_zero(2 * h->nops + 1, sizeof(*m));

	*n = 0;
	for (size_t i = 0; i < h->nops; i++) {
		if (!h->op[i].end)
			continue;
		m[(*n)++] = (struct moment){h->op[i].start, (int64_t)i, false};
		m[(*n)++] = (struct moment){h->op[i].end, (int64_t)i, true};
	}
	qsort(m, *n, sizeof(*m), by_time);
	return m;
}

/* least: the furthest index that an operation had been told when this one
 * began, and whose it was. */
static int check_order(const struct ledger *h, struct err *err)
{
	int64_t furthest = 0, whose = 0, *least;
	struct moment *m;
	size_t n;
	int rc = 0;

	least = mem_zero(h->nops + 1, sizeof(*least));
	m = moments(h, &n);
	for (size_t i = 0; i < n && !rc; i++) {
		const struct op *o = &h->op[m[i].op];

		if (!m[i].end)
			least[m[i].op] = furthest;
		else if (o->index < least[m[i].op] + o->write)
			rc = err_set(err, ERR_DATA_LOSS,
				     "%s: operation %" PRId64 " of client "
				     "%" PRId64 " was told %" PRId64
				     ", but before it began %" PRId64
				     " was reached, by operation %" PRId64,
				     o->write ? "out of order" : "stale read",
				     m[i].op + 1, o->client, o->index,
				     least[m[i].op], whose);
		if (m[i].end && o->index > furthest) {
			furthest = o->index;
			whose = m[i].op + 1;
		}
	}
	free(m);
	free(least);
	return rc;
}

/* ---- registers ---- */

/* A write that had its effect. */
struct effect {
	int64_t key, index, op;
};

struct registers {
	struct effect *effect; /* by key, then index */
	size_t n;
	int64_t *gap; /* by index: the last entry until there that is unknown */
};

static int by_key(const void *a, const void *b)
{
	const struct effect *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static void open_registers(struct registers *r, const struct ledger *h,
			   const int64_t *at)
{
	r->effect = mem_zero(h->nops + 1, sizeof(*r->effect));
	r->n = 0;
	for (size_t i = 0; i < h->nops; i++)
		if (h->op[i].write && at[i + 1])
			r->effect[r->n++] = (struct effect){
				h->op[i].key, at[i + 1], (int64_t)i + 1};
	qsort(r->effect, r->n, sizeof(*r->effect), by_key);
	r->gap = mem_zero(h->nslots + 1, sizeof(*r->gap));
	for (size_t i = 1; i < h->nslots; i++)
		r->gap[i] = h->slot[i].known ? r->gap[i - 1] : (int64_t)i;
}

static void close_registers(struct registers *r)
{
	free(r->effect);
	free(r->gap);
}

/* What a read of key found that saw the log up to index, or -1 if that cannot
 * be told any more. */
static int64_t value_at(const struct registers *r, int64_t key, int64_t index)
{
	const struct effect *found = NULL;
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct effect *e = &r->effect[mid];

		if (e->key < key || (e->key == key && e->index <= index))
			low = mid + 1;
		else
			high = mid;
	}
	if (low && r->effect[low - 1].key == key)
		found = &r->effect[low - 1];
	if (r->gap[index] > (found ? found->index : 0))
		return -1;
	return found ? found->op : 0;
}

static void add_op(struct linear *l, const struct ledger *h,
		   const struct registers *r, size_t i)
{
	const struct op *o = &h->op[i];
	int64_t value = (int64_t)i + 1;
	size_t number;

	if (!o->write && (size_t)o->index < h->nslots)
		value = value_at(r, o->key, o->index);
	if (value < 0)
		return;
	number = linear_begin(l, o->key, o->write, value, o->start, o->client);
	if (o->end)
		linear_end(l, number, value, o->end);
}

/* What nobody knew the outcome of is a write that may have been, if there is an
 * entry of it; else no read can have seen it. */
static int check_registers(const struct ledger *h, const int64_t *at,
			   struct ledger_result *out, struct err *err)
{
	struct linear l = {0};
	struct registers r;
	int rc;

	open_registers(&r, h, at);
	for (size_t i = 0; i < h->nops; i++)
		if (h->op[i].end || (h->op[i].write && at[i + 1]))
			add_op(&l, h, &r, i);
	close_registers(&r);
	out->registers = (int64_t)l.n;
	rc = linear_check(l.op, l.n, err);
	linear_release(&l);
	return rc;
}

int ledger_check(const struct ledger *h, struct ledger_result *out,
		 struct err *err)
{
	int64_t *at = mem_zero(h->nops + 1, sizeof(*at));
	int rc = find_effects(h, at, err);

	*out = (struct ledger_result){0};
	for (size_t i = 0; i < h->nops && !rc; i++)
		if (h->op[i].write)
			rc = check_write(h, (int64_t)i + 1, at, out, err);
	if (!rc)
		rc = check_order(h, err);
	if (!rc)
		rc = check_registers(h, at, out, err);
	free(at);
	return rc;
}
