/* The answers that are kept, in memory and as the bytes of a checkpoint. */
#include "fl/exchange_impl.h"

#include <endian.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

bool exchange_same_key(const struct exchange_key *a,
		       const struct exchange_key *b)
{
	return a->run == b->run && a->epoch == b->epoch && a->t == b->t &&
	       a->from == b->from && a->to == b->to;
}

static void drop_first(struct exchange *e)
{
	free(e->kept[0].values);
	memmove(&e->kept[0], &e->kept[1], (e->nkept - 1) * sizeof(e->kept[0]));
	e->nkept--;
}

void exchange_kept_drop(struct exchange *e, int64_t before)
{
	while (e->nkept && e->kept[0].key.t < before)
		drop_first(e);
}

void exchange_kept_clear(struct exchange *e)
{
	while (e->nkept)
		drop_first(e);
}

const struct kept *exchange_keep(struct exchange *e, const struct kept *what)
{
	struct kept *k;

	if (e->nkept == EXCHANGE_KEPT_MAX)
		drop_first(e);
	k = &e->kept[e->nkept++];
	*k = *what;
	k->values = mem_dup(what->values, what->len);
	return k;
}

const struct kept *exchange_kept_find(const struct exchange *e,
				      const struct exchange_key *key)
{
	for (size_t i = 0; i < e->nkept; i++)
		if (exchange_same_key(&e->kept[i].key, key))
			return &e->kept[i];
	return NULL;
}

/* The format: magic, then little-endian words: at, epoch, 5 counts, number of
 * answers; per answer 5 words of key, digest, layout, told, length and the
 * values. */
static const char MAGIC[8] = "gflxchg2";

enum { HEAD_WORDS = 8, ANSWER_WORDS = 9 };

/* No trainer lives to count so far; what does is not what one wrote. */
#define COUNT_MAX (INT64_MAX / 2)

static void put(struct buf *out, int64_t v)
{
	uint64_t word = htole64((uint64_t)v);

	buf_put(out, &word, sizeof(word));
}

void exchange_dump(const struct exchange *e, struct buf *out)
{
	const struct exchange_counts *c = &e->counts;

	buf_put(out, MAGIC, sizeof(MAGIC));
	put(out, e->at);
	put(out, e->epoch);
	put(out, c->merged);
	put(out, c->missed);
	put(out, c->lost);
	put(out, c->refused);
	put(out, c->repeated);
	put(out, (int64_t)e->nkept);
	for (size_t i = 0; i < e->nkept; i++) {
		const struct kept *k = &e->kept[i];

		put(out, k->key.run);
		put(out, k->key.epoch);
		put(out, k->key.t);
		put(out, k->key.from);
		put(out, k->key.to);
		put(out, (int64_t)k->digest);
		put(out, (int64_t)k->layout);
		put(out, k->told);
		put(out, (int64_t)k->len);
		buf_put(out, k->values, k->len);
	}
}

/* n words from *p, which moves on; false when there are not so many. */
static bool get(const char **p, const char *end, int64_t *to, size_t n)
{
	if ((size_t)(end - *p) < n * 8)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint64_t word;

		memcpy(&word, *p, 8);
		*p += 8;
		to[i] = (int64_t)le64toh(word);
	}
	return true;
}

static bool get_answer(const char **p, const char *end, struct kept *k)
{
	int64_t w[ANSWER_WORDS];

	if (!get(p, end, w, ANSWER_WORDS) || w[8] < 0 || w[8] > end - *p)
		return false;
	*k = (struct kept){
		.key = {w[0], w[1], w[2], w[3], w[4]},
		.digest = (uint64_t)w[5],
		.layout = (uint64_t)w[6],
		.told = w[7],
		.len = (size_t)w[8],
		.values = (char *)(uintptr_t)*p, /* borrowed, to be copied */
	};
	*p += k->len;
	return true;
}

static bool counts_possible(const int64_t head[HEAD_WORDS])
{
	for (int i = 2; i < HEAD_WORDS - 1; i++)
		if (head[i] < 0 || head[i] > COUNT_MAX)
			return false;
	return true;
}

static bool parse(const char *p, size_t len, int64_t head[HEAD_WORDS],
		  struct kept answers[EXCHANGE_KEPT_MAX])
{
	const char *end = p + len;

	if (len < sizeof(MAGIC) || memcmp(p, MAGIC, sizeof(MAGIC)) != 0)
		return false;
	p += sizeof(MAGIC);
	if (!get(&p, end, head, HEAD_WORDS) || !counts_possible(head) ||
	    head[7] < 0 || head[7] > EXCHANGE_KEPT_MAX)
		return false;
	for (int64_t i = 0; i < head[7]; i++)
		if (!get_answer(&p, end, &answers[i]))
			return false;
	return p == end;
}

int exchange_load(struct exchange *e, const void *p, size_t len,
		  struct err *err)
{
	struct kept answers[EXCHANGE_KEPT_MAX];
	int64_t head[HEAD_WORDS];

	if (!parse(p, len, head, answers))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%zu bytes are no exchange state", len);
	e->at = head[0];
	e->phase_at = INT_MAX; /* a checkpoint is between rounds */
	e->epoch = head[1];
	e->counts = (struct exchange_counts){head[2], head[3], head[4], head[5],
					     head[6]};
	exchange_kept_clear(e);
	for (int64_t i = 0; i < head[7]; i++)
		exchange_keep(e, &answers[i]);
	return 0;
}
