/* heartbeat.c - a leader shows that it is there and sees whether it still is
 * (Raft 5.2; Diss. 6.2). */
#include "core.h"

/* A follower may commit no further than where its log is known to equal ours.
 */
void raft_heartbeat_one(struct raft *r, struct peer *p, int64_t context)
{
	struct raft_msg m = {.type = RAFT_HEARTBEAT, .to = p->id};

	m.term = r->term;
	m.commit = r->commit < p->match ? r->commit : p->match;
	if (RAFT_BUG(RAFT_BUG_COMMIT_BY_HEARTBEAT))
		m.commit = r->commit;
	m.context = context;
	p->commit_told = m.commit;
	raft_send(r, &m, 0);
}

void raft_heartbeat_all(struct raft *r)
{
	r->round++;
	r->read_due = false;
	r->heartbeat_ms = r->now_ms + r->cfg.heartbeat_ms;
	for (size_t i = 0; i < r->n_peers; i++)
		if (r->peer[i].id != r->cfg.id)
			raft_heartbeat_one(r, &r->peer[i], r->round);
}

/* A heartbeat without a round only tells the commit index: no answer. The
 * answer repeats how far our log is the leader's, in case an acknowledgement
 * was lost. */
void raft_on_heartbeat(struct raft *r, const struct raft_msg *m)
{
	struct raft_msg reply = {.type = RAFT_HEARTBEAT_REPLY, .to = m->from};

	raft_commit_to(r, m->commit);
	if (!m->context)
		return;
	reply.term = r->term;
	reply.context = m->context;
	reply.index =
		r->verified < r->log.durable ? r->verified : r->log.durable;
	reply.lost = raft_lost(r);
	if (reply.lost)
		reply.hint = raft_log_last(&r->log);
	raft_send(r, &reply, raft_log_hard_need(&r->log));
}

/* If something sent is still unanswered, an append that has nothing new asks
 * again: its refusal tells what was lost. Only heartbeats, which a timer
 * paces, may cause that; an append reply that caused an append would breed
 * under duplication. */
void raft_on_heartbeat_reply(struct raft *r, const struct raft_msg *m)
{
	struct peer *p = raft_peer_find(r, m->from);

	if (r->role != RAFT_LEADER || !p || m->context > r->round)
		return;
	p->heard_ms = r->now_ms;
	if (m->context > p->round)
		p->round = m->context;
	raft_lost_told(r, p, m);
	if (m->index > p->match && m->index <= raft_log_last(&r->log)) {
		raft_peer_acked(r, p, m->index);
		raft_maybe_commit(r);
	}
	if (r->role != RAFT_LEADER)
		return;
	p = raft_peer_find(r, m->from);
	if (!p)
		return;
	if (p->probing)
		p->paused = false;
	else if (p->match < p->next - 1)
		p->poke = true;
	if (r->transfer_to == m->from)
		raft_transfer_go(r);
}

static int64_t heard_of(const struct raft *r, const struct peer *p)
{
	return p->id == r->cfg.id ? r->now_ms : p->heard_ms;
}

/* Check quorum: a leader that has not heard from a majority for an election
 * timeout may have been replaced, and stops (Diss. 6.2). */
void raft_check_quorum(struct raft *r)
{
	int64_t heard = raft_quorum_value(r, heard_of);

	if (RAFT_BUG(RAFT_BUG_JOINT_QUORUM_BY_NEW))
		heard = raft_half_value(r, heard_of, false);
	if (r->now_ms - heard >= r->cfg.election_max_ms &&
	    !RAFT_BUG(RAFT_BUG_NO_CHECK_QUORUM))
		raft_follow(r, r->term, 0);
}

/* Members whose log has entries they do not know to be committed are told at
 * once, unless an append just did. */
void raft_tell_commit(struct raft *r)
{
	for (size_t i = 0; i < r->n_peers && r->role == RAFT_LEADER; i++) {
		struct peer *p = &r->peer[i];
		int64_t known = r->commit < p->match ? r->commit : p->match;

		if (p->id != r->cfg.id && known > p->commit_told)
			raft_heartbeat_one(r, p, 0);
	}
}
