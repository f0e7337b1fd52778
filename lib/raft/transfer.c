/* transfer.c - handing leadership over (Diss. 3.10). */
#include "core.h"

static struct peer *best_voter(const struct raft *r)
{
	struct peer *best = NULL;

	for (size_t i = 0; i < r->n_peers; i++) {
		struct peer *p = &r->peer[i];

		if (p->role != RAFT_VOTER || p->id == r->cfg.id)
			continue;
		if (!best || p->match > best->match)
			best = p;
	}
	return best;
}

/* Once the target has all of our log, it may stand at once. Repeated with
 * every heartbeat it answers, as the message may be lost. */
void raft_transfer_go(struct raft *r)
{
	const struct peer *p = raft_peer_find(r, r->transfer_to);
	struct raft_msg m = {.type = RAFT_TIMEOUT_NOW, .to = r->transfer_to};

	if (!p || p->match < raft_log_last(&r->log))
		return;
	m.term = r->term;
	raft_send(r, &m, 0);
}

int raft_transfer(struct raft *r, int64_t now_ms, int64_t to, struct err *err)
{
	const struct peer *p;

	raft_clock(r, now_ms);
	if (r->role != RAFT_LEADER)
		return err_set(err, ERR_UNAVAILABLE,
			       "server %lld is not the leader",
			       (long long)r->cfg.id);
	p = to ? raft_peer_find(r, to) : best_voter(r);
	if (!to && !p)
		return err_set(err, ERR_UNAVAILABLE,
			       "there is no other voter to lead");
	if (!p || p->role != RAFT_VOTER || p->id == r->cfg.id)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "server %lld is not another voter",
			       (long long)to);
	r->transfer_to = p->id;
	r->transfer_ms = r->now_ms + r->cfg.election_max_ms;
	raft_transfer_go(r);
	return 0;
}

/* A leader that has no vote any more: rather than to let the others wait for a
 * timeout, the best of them is to stand at once (Diss. 4.2.2, 3.10). */
void raft_hand_over(struct raft *r)
{
	const struct peer *p = best_voter(r);
	struct raft_msg m = {.type = RAFT_TIMEOUT_NOW, .term = r->term};

	if (!p)
		return;
	m.to = p->id;
	raft_send(r, &m, 0);
}

/* Without a pre-vote, and others may vote although they hear from the leader:
 * it asked for this itself. */
void raft_on_timeout_now(struct raft *r)
{
	if (r->role == RAFT_FOLLOWER && raft_may_campaign(r))
		raft_campaign(r, true);
}
