/* read.c - linearizable reads without writing the log (Diss. 6.4). */
#include "core.h"

#include <string.h>

static int64_t round_of(const struct raft *r, const struct peer *p)
{
	return p->id == r->cfg.id ? r->round : p->round;
}

/* The newest heartbeat round that a majority has answered. */
static int64_t confirmed_round(const struct raft *r)
{
	if (RAFT_BUG(RAFT_BUG_READ_UNCONFIRMED))
		return r->round;
	if (RAFT_BUG(RAFT_BUG_JOINT_READ_BY_NEW))
		return raft_half_value(r, round_of, false);
	return raft_quorum_value(r, round_of);
}

static void add(struct raft *r, const struct waiting_read *w)
{
	if (r->read_head > r->n_reads / 2) {
		r->n_reads -= r->read_head;
		memmove(r->read, r->read + r->read_head,
			r->n_reads * sizeof(*r->read));
		r->read_head = 0;
	}
	r->read = mem_grow(r->read, &r->reads_cap, r->n_reads + 1,
			   sizeof(*r->read));
	r->read[r->n_reads++] = *w;
	r->read_due = true;
}

/* A round that is sent after this confirms that we were still leader when the
 * read came, and so that its index covers all that was committed then. The
 * commit index of a leader is only known once its own no-op has committed;
 * until then the read waits for that one to be applied. */
int raft_read(struct raft *r, int64_t now_ms, int64_t ctx, struct err *err)
{
	struct waiting_read w = {.ctx = ctx, .round = r->round + 1};

	raft_clock(r, now_ms);
	if (r->role != RAFT_LEADER)
		return err_set(err, ERR_UNAVAILABLE,
			       "server %lld is not the leader",
			       (long long)r->cfg.id);
	if (r->n_reads - r->read_head >= (size_t)r->cfg.max_reads)
		return err_full(err, "%zu reads wait already",
				r->n_reads - r->read_head);
	w.index = r->commit > r->term_start ||
				  RAFT_BUG(RAFT_BUG_READ_BEFORE_COMMIT)
			  ? r->commit
			  : r->term_start;
	if (RAFT_BUG(RAFT_BUG_READ_UNCONFIRMED))
		w.round = 0;
	add(r, &w);
	return 0;
}

/* Waiting reads go out together in one round; while one is under way, the next
 * waits for it or for the timer. */
void raft_reads_ask(struct raft *r)
{
	if (r->role == RAFT_LEADER && r->read_due &&
	    confirmed_round(r) == r->round)
		raft_heartbeat_all(r);
}

void raft_reads_refuse(struct raft *r)
{
	for (size_t i = r->read_head; i < r->n_reads; i++)
		r->read[i].refused = true;
}

bool raft_next_read(struct raft *r, struct raft_read *out)
{
	const struct waiting_read *w;

	if (r->read_head == r->n_reads)
		return false;
	raft_reads_ask(r); /* a cluster of one need not wait to be answered */
	w = &r->read[r->read_head];
	if (!w->refused &&
	    (r->applied < w->index || confirmed_round(r) < w->round))
		return false;
	*out = (struct raft_read){w->ctx, w->index, w->refused};
	r->read_head++;
	return true;
}
