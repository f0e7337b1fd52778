/* election.c - timeouts, pre-votes and votes (Raft 5.2, 5.4.1; Diss. 9.6). */
#include "core.h"

/* Random, so that votes seldom split (Raft 5.2). */
void raft_timer_reset(struct raft *r)
{
	int64_t span = r->cfg.election_max_ms - r->cfg.election_min_ms + 1;

	r->election_ms = r->now_ms + r->cfg.election_min_ms +
			 (int64_t)rand_below(&r->rand, (uint64_t)span);
}

/* A server that hears from a leader neither grants nor takes a term from a
 * candidate: removed and cut-off servers cannot disturb (Diss. 4.2.3). */
bool raft_sticky(const struct raft *r)
{
	if (RAFT_BUG(RAFT_BUG_NOT_STICKY))
		return false;
	if (r->role == RAFT_LEADER)
		return true;
	return r->leader && r->now_ms - r->heard_ms < r->cfg.election_min_ms;
}

/* A voter of the newest configuration, or of one before it as long as the
 * newest is not committed: without us it might never be (Diss. 4.2.2). */
bool raft_may_campaign(const struct raft *r)
{
	if (raft_lost(r) && !RAFT_BUG(RAFT_BUG_LOST_STANDS))
		return false;
	for (size_t i = 0; i < r->n_confs; i++)
		if (raft_conf_role(&r->conf[i].conf, r->cfg.id) == RAFT_VOTER)
			return true;
	return false;
}

static void ask(struct raft *r, const struct raft_msg *m, int64_t need)
{
	for (size_t i = 0; i < r->n_peers; i++) {
		struct raft_msg one = *m;

		if (!raft_peer_votes(&r->peer[i]) || r->peer[i].id == r->cfg.id)
			continue;
		one.to = r->peer[i].id;
		one.index = raft_log_last(&r->log);
		one.log_term = raft_log_term(&r->log, one.index);
		raft_send(r, &one, need);
	}
}

static int64_t grant(const struct raft *r, const struct peer *p)
{
	(void)r;
	return p->granted;
}

static void start_ballot(struct raft *r, enum raft_role role)
{
	r->role = role;
	r->leader = 0;
	raft_timer_reset(r);
	for (size_t i = 0; i < r->n_peers; i++)
		r->peer[i].voted = r->peer[i].granted = false;
}

static bool majority_grants(const struct raft *r)
{
	if (RAFT_BUG(RAFT_BUG_JOINT_ELECT_BY_NEW))
		return raft_half_value(r, grant, false);
	if (RAFT_BUG(RAFT_BUG_JOINT_ELECT_BY_OLD))
		return raft_half_value(r, grant, r->joint);
	return raft_quorum_value(r, grant);
}

static void count(struct raft *r)
{
	if (!majority_grants(r))
		return;
	if (r->role == RAFT_PRECANDIDATE)
		raft_campaign(r, false);
	else if (r->role == RAFT_CANDIDATE)
		raft_lead(r);
}

/* Two who stand at once refuse each other. A whole timeout is there to notice
 * that a leader is gone; this has been noticed, so wait a random part of one.
 */
static void retry_soon(struct raft *r)
{
	uint64_t span = (uint64_t)r->cfg.election_min_ms;
	int64_t soon = r->now_ms + 1 + (int64_t)rand_below(&r->rand, span);

	if (r->role == RAFT_CANDIDATE && soon < r->election_ms)
		r->election_ms = soon;
}

static void take_vote(struct raft *r, int64_t from, bool granted)
{
	struct peer *p = raft_peer_find(r, from);

	if (!p || p->voted)
		return;
	p->voted = true;
	p->granted = granted;
	if (granted)
		count(r);
	else
		retry_soon(r);
}

/* Ask first whether an election could be won, without a new term; a server
 * that comes back from a partition then disturbs nobody (Diss. 9.6). */
void raft_precampaign(struct raft *r)
{
	struct raft_msg m = {.type = RAFT_PREVOTE, .term = r->term + 1};

	if (RAFT_BUG(RAFT_BUG_NO_PREVOTE)) {
		raft_campaign(r, true);
		return;
	}
	start_ballot(r, RAFT_PRECANDIDATE);
	ask(r, &m, 0);
	take_vote(r, r->cfg.id, true);
}

/* The requests wait for the disk as the vote for ourselves does: after a crash
 * we may stand again in this term with a shorter log, and must not be elected
 * by answers to what the longer one promised. */
void raft_campaign(struct raft *r, bool force)
{
	struct raft_msg m = {.type = RAFT_VOTE, .force = force};

	raft_set_term(r, r->term + 1, r->cfg.id);
	m.term = r->term;
	start_ballot(r, RAFT_CANDIDATE);
	ask(r, &m, raft_log_hard_need(&r->log));
}

/* After a write: our own vote counts once it is durable. */
void raft_self_vote(struct raft *r)
{
	if (r->role == RAFT_CANDIDATE &&
	    raft_log_hard_need(&r->log) <= r->log.done_seq)
		take_vote(r, r->cfg.id, true);
}

/* Raft 5.4.1: the candidate's log is at least as up to date as ours. */
static bool up_to_date(const struct raft *r, const struct raft_msg *m)
{
	int64_t last = raft_log_last(&r->log);
	int64_t term = raft_log_term(&r->log, last);

	if (RAFT_BUG(RAFT_BUG_ANY_CANDIDATE))
		return true;
	if (!raft_lost_ok(r, m->log_term, m->index) &&
	    !RAFT_BUG(RAFT_BUG_LOST_VOTES))
		return false;
	if (RAFT_BUG(RAFT_BUG_LONGEST_LOG))
		return m->index >= last;
	if (r->cfg.joined_term > term ||
	    (r->cfg.joined_term == term && r->cfg.joined > last)) {
		term = r->cfg.joined_term;
		last = r->cfg.joined;
	}
	return m->log_term > term || (m->log_term == term && m->index >= last);
}

/* A candidate that a committed configuration is without is told so, if that
 * one is newer than any it can know of; see raft_on_vote_reply(). */
static void tell_removed(const struct raft *r, int64_t id,
			 struct raft_msg *reply)
{
	const struct conf_at *top = raft_conf_top(r);

	if (!top || top->index > r->commit ||
	    raft_conf_role(&top->conf, id) != RAFT_NONE)
		return;
	reply->removed = true;
	reply->index = top->index;
}

/* Nothing is promised, so nothing is stored. A grant has the term asked for, a
 * refusal ours, from which the candidate learns. */
void raft_on_prevote(struct raft *r, const struct raft_msg *m)
{
	struct raft_msg reply = {.type = RAFT_PREVOTE_REPLY, .to = m->from};
	bool yes = m->term > r->term && !raft_sticky(r) && up_to_date(r, m);

	reply.reject = !yes;
	reply.term = yes ? m->term : r->term;
	if (!yes)
		tell_removed(r, m->from, &reply);
	raft_send(r, &reply, 0);
}

/* One vote a term, first come first served (Raft 5.2), whether or not the
 * candidate is in our configuration (Diss. 4.1). Only a granted vote resets
 * the timer: a candidate that cannot win must not keep us from standing. */
void raft_on_vote(struct raft *r, const struct raft_msg *m)
{
	struct raft_msg reply = {.type = RAFT_VOTE_REPLY, .to = m->from};
	bool free =
		!r->vote || r->vote == m->from || RAFT_BUG(RAFT_BUG_VOTE_TWICE);
	bool yes = m->term == r->term && free && up_to_date(r, m);

	reply.reject = !yes;
	reply.term = r->term;
	if (yes) {
		if (!r->vote)
			raft_set_term(r, r->term, m->from);
		r->role = RAFT_FOLLOWER;
		raft_timer_reset(r);
	}
	raft_send(r, &reply,
		  RAFT_BUG(RAFT_BUG_VOTE_BEFORE_SYNC)
			  ? 0
			  : raft_log_hard_need(&r->log));
}

/* Both kinds; the term was compared by raft_step(). The configuration that we
 * are told of is committed: at the index of our newest it is that one, or takes
 * its place. */
void raft_on_vote_reply(struct raft *r, const struct raft_msg *m)
{
	const struct conf_at *top = raft_conf_top(r);
	bool pre = m->type == RAFT_PREVOTE_REPLY;

	if (m->removed && (!top || m->index >= top->index))
		r->told_removed = true;
	if (r->role != (pre ? RAFT_PRECANDIDATE : RAFT_CANDIDATE))
		return;
	if (pre && !m->reject && m->term != r->term + 1)
		return;
	take_vote(r, m->from, !m->reject);
}
