/* log.c - the entries in memory, and how far the disk has them. */
#include "core.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int64_t raft_log_last(const struct raft_log *l)
{
	return l->base + (int64_t)l->n;
}

const struct raft_entry *raft_log_get(const struct raft_log *l, int64_t index)
{
	if (index <= l->base || index > raft_log_last(l))
		return NULL;
	return &l->e[index - l->base - 1];
}

/* The term of the entry, 0 before the first; 0 as well for what is not there,
 * so that it equals the term of no entry. */
int64_t raft_log_term(const struct raft_log *l, int64_t index)
{
	const struct raft_entry *e = raft_log_get(l, index);

	if (e)
		return e->term;
	return index == l->base ? l->base_term : 0;
}

/* Append a copy; conf and data share one block, which conf points at. */
void raft_log_add(struct raft_log *l, const struct raft_entry *e)
{
	struct raft_entry *own;
	char *block = mem_zero(1, e->conf_len + e->len + 1);

	l->e = mem_grow(l->e, &l->cap, l->n + 1, sizeof(*l->e));
	own = &l->e[l->n++];
	*own = *e;
	if (e->conf_len)
		memcpy(block, e->conf, e->conf_len);
	if (e->len)
		memcpy(block + e->conf_len, e->data, e->len);
	own->conf = block;
	own->data = block + e->conf_len;
}

/* Forget entries from `from` on. A write under way that has some of them no
 * longer makes them durable: what comes in their place has the same index and
 * must wait for its own write (the ABA problem of asynchronous storage). */
void raft_log_truncate(struct raft_log *l, int64_t from)
{
	while (raft_log_last(l) >= from)
		free((void *)l->e[--l->n].conf);
	if (l->given_last >= from) {
		l->given_last = from - 1;
		if (!l->truncate_from || l->truncate_from > from)
			l->truncate_from = from;
	}
	if (l->durable >= from)
		l->durable = from - 1;
	if (RAFT_BUG(RAFT_BUG_ABA))
		return;
	for (size_t i = 0; i < l->n_marks; i++)
		if (l->mark[i].last >= from)
			l->mark[i].last = from - 1;
}

/* Forget the entries up to upto: a snapshot has them, and so had the disk. */
void raft_log_forget(struct raft_log *l, int64_t upto)
{
	int64_t term = raft_log_term(l, upto);
	size_t n = upto > l->base ? (size_t)(upto - l->base) : 0;

	if (!n)
		return;
	for (size_t i = 0; i < n; i++)
		free((void *)l->e[i].conf);
	l->n -= n;
	memmove(l->e, l->e + n, l->n * sizeof(*l->e));
	l->base = upto;
	l->base_term = term;
}

/* Nothing but a snapshot that ends at base is there, and that is not durable:
 * the next write has it. */
void raft_log_restart(struct raft_log *l, int64_t base, int64_t term)
{
	raft_log_truncate(l, l->base + 1);
	for (size_t i = 0; i < l->n_marks; i++)
		l->mark[i].last = 0;
	l->truncate_from = 0;
	l->base = base;
	l->base_term = term;
	l->given_last = base - 1;
	l->durable = 0;
}

/* The last entry at or before index whose term is at most term: no later one
 * can be what the other side has, if it has `term` at index. One exchange
 * skips a whole term (Raft 5.3, end). */
int64_t raft_log_hint(const struct raft_log *l, int64_t index, int64_t term)
{
	if (index > raft_log_last(l))
		index = raft_log_last(l);
	while (index > l->base && raft_log_term(l, index) > term)
		index--;
	return index;
}

size_t raft_entry_cost(const struct raft_entry *e)
{
	return e->conf_len + e->len + sizeof(*e);
}

/* The write after which term and vote are durable. */
int64_t raft_log_hard_need(const struct raft_log *l)
{
	return l->hard_dirty ? l->given_seq + 1 : l->hard_seq;
}

/* The write after which the entry at index, term and vote are durable. */
int64_t raft_log_need(const struct raft_log *l, int64_t index)
{
	int64_t hard = raft_log_hard_need(l);
	size_t i = 0;

	if (index < l->base) /* the snapshot has it */
		index = l->base;
	if (index <= l->durable)
		return hard;
	if (index > l->given_last)
		return l->given_seq + 1;
	while (l->mark[i].last < index) {
		i++;
		assert(i < l->n_marks); /* given, so some write has it */
	}
	return l->mark[i].seq > hard ? l->mark[i].seq : hard;
}

void raft_log_written(struct raft_log *l, int64_t seq)
{
	size_t done = 0;

	while (done < l->n_marks && l->mark[done].seq <= seq) {
		if (l->mark[done].last > l->durable)
			l->durable = l->mark[done].last;
		l->done_seq = l->mark[done].seq;
		done++;
	}
	l->n_marks -= done;
	if (done)
		memmove(l->mark, l->mark + done, l->n_marks * sizeof(*l->mark));
}

void raft_log_release(struct raft_log *l)
{
	for (size_t i = 0; i < l->n; i++)
		free((void *)l->e[i].conf);
	free(l->e);
	free(l->mark);
}
