/* output.c - what the host takes after an input: writes, messages, entries. */
#include "core.h"

#include <string.h>

static void push(struct msg_queue *q, const struct raft_msg *m, int64_t need)
{
	q->m = mem_grow(q->m, &q->cap, q->n + 1, sizeof(*q->m));
	q->m[q->n++] = (struct held_msg){*m, need};
}

static void send_now(struct raft *r, const struct raft_msg *m)
{
	push(&r->ready, m, 0);
}

/* Acknowledgements that wait for the same write say together what the last
 * one says, so that a flood of appends cannot pile them up. */
static bool merge(struct msg_queue *q, const struct raft_msg *m, int64_t need)
{
	struct held_msg *last = q->n ? &q->m[q->n - 1] : NULL;

	if (!last || last->need != need || m->reject || last->msg.reject ||
	    m->type != RAFT_APPEND_REPLY || last->msg.type != m->type ||
	    last->msg.to != m->to || last->msg.term != m->term)
		return false;
	if (last->msg.index < m->index)
		last->msg.index = m->index;
	return true;
}

/* Send m once write `need` is durable. */
void raft_send(struct raft *r, const struct raft_msg *m, int64_t need)
{
	struct raft_msg own = *m;

	own.from = r->cfg.id;
	if (need <= r->log.done_seq)
		send_now(r, &own);
	else if (!merge(&r->held, &own, need))
		push(&r->held, &own, need);
}

static void release_held(struct raft *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->held.n; i++) {
		struct held_msg *h = &r->held.m[i];

		if (h->need > r->log.done_seq) {
			r->held.m[kept++] = *h;
			continue;
		}
		if (RAFT_BUG(RAFT_BUG_ACK_AT_NEW_TERM))
			h->msg.term = r->term;
		send_now(r, &h->msg);
	}
	r->held.n = kept;
}

static bool pop(struct msg_queue *q, struct raft_msg *out)
{
	if (q->head == q->n) {
		q->head = q->n = 0;
		return false;
	}
	*out = q->m[q->head++].msg;
	return true;
}

bool raft_next_msg(struct raft *r, struct raft_msg *out)
{
	if (pop(&r->ready, out))
		return true;
	raft_reads_ask(r);
	if (pop(&r->ready, out) || raft_next_append(r, out))
		return true;
	raft_tell_commit(r);
	return pop(&r->ready, out);
}

bool raft_next_write(struct raft *r, struct raft_write *out)
{
	struct raft_log *l = &r->log;
	int64_t last = raft_log_last(l);

	if (r->failed || (!l->hard_dirty && !l->truncate_from && !r->in.waits &&
			  l->given_last == last))
		return false;
	if (l->given_last < l->base)
		l->given_last = l->base;
	raft_lost_found(r);
	*out = (struct raft_write){
		.seq = ++l->given_seq,
		.term = r->term,
		.vote = r->vote,
		.commit = r->commit,
		.piece = r->in.waits ? &r->in.piece : NULL,
		.truncate_from = l->truncate_from,
		.entries = raft_log_get(l, l->given_last + 1),
		.n = (size_t)(last - l->given_last),
	};
	if (l->hard_dirty)
		l->hard_seq = out->seq;
	l->hard_dirty = r->in.waits = false;
	l->truncate_from = 0;
	l->given_last = last;
	l->mark = mem_grow(l->mark, &l->marks_cap, l->n_marks + 1,
			   sizeof(*l->mark));
	l->mark[l->n_marks++] = (struct write_mark){out->seq, last};
	return true;
}

void raft_written(struct raft *r, int64_t now_ms, int64_t seq)
{
	raft_clock(r, now_ms);
	if (r->failed)
		return;
	raft_log_written(&r->log, seq);
	release_held(r);
	raft_self_vote(r);
	if (r->role == RAFT_LEADER)
		raft_maybe_commit(r);
}

/* What is applied must also be on our own disk: the host may store the
 * applied state with it, and may not be ahead of its own log. */
const struct raft_entry *raft_next_apply(struct raft *r)
{
	int64_t end = r->commit < r->log.durable ? r->commit : r->log.durable;
	const struct raft_entry *e;

	if (RAFT_BUG(RAFT_BUG_APPLY_EARLY))
		end = r->commit;
	if (r->failed || r->in.restore || r->applied >= end)
		return NULL;
	e = raft_log_get(&r->log, ++r->applied);
	if (e->type == RAFT_CONFIG)
		raft_conf_applied(r, e->conf, e->conf_len);
	return e;
}
