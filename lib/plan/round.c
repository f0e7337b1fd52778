#include "plan/round.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct plan *plan_new(int64_t run, int64_t epoch, int64_t t0, size_t nrounds)
{
	struct plan *p = mem_zero(1, sizeof(*p));

	p->run = run;
	p->epoch = epoch;
	p->t0 = t0;
	p->nrounds = nrounds;
	p->rounds = mem_zero(nrounds, sizeof(*p->rounds));
	return p;
}

void plan_round_release(struct plan_round *r)
{
	free(r->pairs);
	r->pairs = NULL;
	r->npairs = 0;
	r->bye = 0;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->nrounds; i++)
		plan_round_release(&p->rounds[i]);
	free(p->rounds);
	free(p);
}

static int check_round(const struct plan_round *r, struct err *err)
{
	if (r->c < 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "plan keeps one parameter in 0");
	if (r->deadline_ms < 1 || r->deadline_ms > PLAN_DEADLINE_MAX_MS)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "plan has a deadline of %u ms, not 1 to %d",
			       r->deadline_ms, PLAN_DEADLINE_MAX_MS);
	return 0;
}

int plan_check(const struct plan *p, struct err *err)
{
	if (p->run < 1 || p->epoch < 1 || p->t0 < 0 ||
	    p->t0 > INT64_MAX - PLAN_ROUNDS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "plan of run %lld, epoch %lld, round %lld",
			       (long long)p->run, (long long)p->epoch,
			       (long long)p->t0);
	if (p->nrounds < 1 || p->nrounds > PLAN_ROUNDS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "plan of %zu rounds, not 1 to %d", p->nrounds,
			       PLAN_ROUNDS_MAX);
	for (size_t i = 0; i < p->nrounds; i++)
		if (check_round(&p->rounds[i], err))
			return (int)ERR_INVALID_ARGUMENT;
	return 0;
}

static void put_varint(struct buf *out, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_putc(out, (char)(v | 0x80));
	buf_putc(out, (char)v);
}

void plan_pairs_encode(const struct plan_round *r, struct buf *out)
{
	int64_t before = 0;

	put_varint(out, (uint64_t)r->bye);
	put_varint(out, r->npairs);
	for (size_t i = 0; i < r->npairs; i++) {
		put_varint(out, (uint64_t)(r->pairs[i].a - before));
		put_varint(out, (uint64_t)(r->pairs[i].b - r->pairs[i].a));
		before = r->pairs[i].a;
	}
}

struct cursor {
	const unsigned char *p, *end;
};

/* The shortest form of a number of at most 63 bits. */
static bool get_varint(struct cursor *c, int64_t *out)
{
	uint64_t v = 0;

	for (int shift = 0; shift < 63 && c->p < c->end; shift += 7) {
		unsigned char byte = *c->p++;

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		*out = (int64_t)v;
		return byte || !shift;
	}
	return false;
}

static int malformed(const char *what, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "pairs of a plan: %s", what);
}

static int read_pairs(struct cursor *c, struct plan_pair *pairs, size_t n,
		      struct err *err)
{
	int64_t before = 0, a, b;

	for (size_t i = 0; i < n; i++) {
		if (!get_varint(c, &a) || !get_varint(c, &b))
			return malformed("cut short", err);
		if (a < 1 || b < 1 || a > INT64_MAX - before ||
		    b > INT64_MAX - before - a)
			return malformed("an id out of order or range", err);
		pairs[i] = (struct plan_pair){before + a, before + a + b};
		before += a;
	}
	return 0;
}

static int by_id(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int check_distinct(const struct plan_pair *pairs, size_t n, int64_t bye,
			  struct err *err)
{
	size_t len = 0;
	int64_t *ids = mem_zero(2 * n + 1, sizeof(*ids));
	bool twice = false;

	if (bye)
		ids[len++] = bye;
	for (size_t i = 0; i < n; i++) {
		ids[len++] = pairs[i].a;
		ids[len++] = pairs[i].b;
	}
	qsort(ids, len, sizeof(*ids), by_id);
	for (size_t i = 1; i < len; i++)
		twice |= ids[i] == ids[i - 1];
	free(ids);
	return twice ? malformed("a trainer twice", err) : 0;
}

int plan_pairs_decode(struct plan_round *r, const void *p, size_t len,
		      struct err *err)
{
	const unsigned char *from = len ? p : (const unsigned char *)"";
	struct cursor c = {from, from + len};
	struct plan_pair *pairs;
	int64_t bye, n;
	int rc;

	if (!get_varint(&c, &bye) || !get_varint(&c, &n))
		return malformed("cut short", err);
	if (n > PLAN_TRAINERS_MAX / 2)
		return malformed("too many", err);
	pairs = mem_zero((size_t)n + 1, sizeof(*pairs));
	rc = read_pairs(&c, pairs, (size_t)n, err);
	if (!rc && c.p != c.end)
		rc = malformed("bytes left over", err);
	if (!rc)
		rc = check_distinct(pairs, (size_t)n, bye, err);
	if (rc) {
		free(pairs);
		return rc;
	}
	r->bye = bye;
	r->npairs = (size_t)n;
	r->pairs = pairs;
	return 0;
}

int64_t plan_partner(const struct plan_round *r, int64_t trainer)
{
	for (size_t i = 0; i < r->npairs; i++) {
		if (r->pairs[i].a == trainer)
			return r->pairs[i].b;
		if (r->pairs[i].b == trainer)
			return r->pairs[i].a;
	}
	return 0;
}
