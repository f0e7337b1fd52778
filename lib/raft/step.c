/* step.c - a message came in: is it sound, of which term, whose is it? */
#include "core.h"

/* Terms past this are no accident of elections. */
static const int64_t TERM_MAX = INT64_C(1) << 60;

static int nonsense(const struct raft_msg *m, const char *what, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "raft: message %d of server %lld: %s", (int)m->type,
		       (long long)m->from, what);
}

static int check_conf(const struct raft_msg *m, const struct raft_entry *e,
		      struct err *err)
{
	struct raft_conf conf = {0};

	if (e->type != RAFT_CONFIG)
		return e->conf_len ? nonsense(m, "configuration", err) : 0;
	if (raft_conf_decode(&conf, e->conf, e->conf_len, err))
		return err_wrap(err, "raft: message of server %lld",
				(long long)m->from);
	raft_conf_release(&conf);
	return 0;
}

/* Entries follow each other, and terms never fall nor pass the sender's. */
static int check_entries(const struct raft_msg *m, struct err *err)
{
	int64_t term = m->log_term;

	for (size_t i = 0; i < m->n; i++) {
		const struct raft_entry *e = &m->entries[i];

		if (e->index != m->index + 1 + (int64_t)i || e->term < term ||
		    e->term < 1 || e->term > m->term)
			return nonsense(m, "entries out of order", err);
		if (e->type < RAFT_NORMAL || e->type > RAFT_CONFIG)
			return nonsense(m, "unknown type of entry", err);
		if (check_conf(m, e, err))
			return ERR_INVALID_ARGUMENT;
		term = e->term;
	}
	return 0;
}

static int check_piece(const struct raft_msg *m, struct err *err)
{
	struct raft_conf conf = {0};

	if (!m->index || !m->log_term || m->log_term > m->term ||
	    m->hint > m->context || (int64_t)m->len > m->context - m->hint ||
	    (!m->len && m->context) || (m->len && !m->data))
		return nonsense(m, "no piece of a snapshot", err);
	if (raft_conf_decode(&conf, m->conf, m->conf_len, err))
		return err_wrap(err, "raft: message of server %lld",
				(long long)m->from);
	raft_conf_release(&conf);
	return 0;
}

static int check_msg(const struct raft *r, const struct raft_msg *m,
		     struct err *err)
{
	if (m->to != r->cfg.id || m->from < 1 || m->from == r->cfg.id)
		return nonsense(m, "not for us", err);
	if (m->type < RAFT_PREVOTE || m->type > RAFT_PIECE_REPLY)
		return nonsense(m, "unknown type", err);
	if (m->term < 1 || m->term > TERM_MAX || m->log_term < 0 ||
	    m->index < 0 || m->index > TERM_MAX || m->commit < 0 ||
	    m->hint < 0 || m->context < 0)
		return nonsense(m, "number out of range", err);
	if (m->n && m->type != RAFT_APPEND)
		return nonsense(m, "entries", err);
	if ((m->len || m->conf_len) && m->type != RAFT_PIECE)
		return nonsense(m, "a snapshot", err);
	if (!m->index != !m->log_term && m->type == RAFT_APPEND)
		return nonsense(m, "index without term", err);
	return m->type == RAFT_PIECE ? check_piece(m, err)
				     : check_entries(m, err);
}

static bool from_leader(const struct raft_msg *m)
{
	return m->type == RAFT_APPEND || m->type == RAFT_HEARTBEAT ||
	       m->type == RAFT_PIECE;
}

/* The sender is behind. A leader that is, and a candidate, must learn our term
 * or we could never follow again: with pre-votes and check-quorum nothing else
 * tells them (Diss. 9.6). */
static void correct(struct raft *r, const struct raft_msg *m)
{
	struct raft_msg reply = {.to = m->from, .term = r->term};

	reply.reject = true;
	if (from_leader(m))
		reply.type = RAFT_APPEND_REPLY;
	else if (m->type == RAFT_VOTE)
		reply.type = RAFT_VOTE_REPLY;
	else
		return;
	raft_send(r, &reply, raft_log_hard_need(&r->log));
}

/* A higher term makes us a follower in it (Raft 5.1), but for pre-votes, which
 * only ask about one, and for votes while we hear from a leader, unless that
 * leader asked for them. False: ignore the message. */
static bool enter_term(struct raft *r, const struct raft_msg *m)
{
	bool asks = m->type == RAFT_PREVOTE ||
		    (m->type == RAFT_PREVOTE_REPLY && !m->reject);

	if (m->term <= r->term || asks)
		return true;
	if (m->type == RAFT_VOTE && !m->force && raft_sticky(r))
		return false;
	raft_follow(r, m->term, 0);
	return true;
}

static int hear_leader(struct raft *r, const struct raft_msg *m,
		       struct err *err)
{
	if (r->role == RAFT_LEADER || (r->leader && r->leader != m->from))
		return nonsense(m, "a second leader in this term", err);
	raft_follow(r, r->term, m->from);
	r->heard_ms = r->now_ms;
	r->told_removed = false;
	raft_timer_reset(r);
	if (m->type == RAFT_APPEND)
		return raft_on_append(r, m, err);
	if (m->type == RAFT_PIECE)
		return raft_on_piece(r, m, err);
	raft_on_heartbeat(r, m);
	return 0;
}

static void dispatch(struct raft *r, const struct raft_msg *m)
{
	switch (m->type) {
	case RAFT_PREVOTE:
		raft_on_prevote(r, m);
		break;
	case RAFT_VOTE:
		raft_on_vote(r, m);
		break;
	case RAFT_PREVOTE_REPLY:
	case RAFT_VOTE_REPLY:
		raft_on_vote_reply(r, m);
		break;
	case RAFT_APPEND_REPLY:
		raft_on_append_reply(r, m);
		break;
	case RAFT_HEARTBEAT_REPLY:
		raft_on_heartbeat_reply(r, m);
		break;
	case RAFT_TIMEOUT_NOW:
		raft_on_timeout_now(r);
		break;
	case RAFT_PIECE_REPLY:
		raft_on_piece_reply(r, m);
		break;
	case RAFT_APPEND:
	case RAFT_HEARTBEAT:
	case RAFT_PIECE:
		break;
	}
}

int raft_step(struct raft *r, int64_t now_ms, const struct raft_msg *m,
	      struct err *err)
{
	int rc;

	raft_clock(r, now_ms);
	if (r->failed || !r->started)
		return err_set(err, ERR_UNAVAILABLE,
			       "server %lld takes no part",
			       (long long)r->cfg.id);
	rc = check_msg(r, m, err);
	if (rc)
		return rc;
	if (!enter_term(r, m))
		return 0;
	if (m->term < r->term && m->type != RAFT_PREVOTE &&
	    !(m->type == RAFT_VOTE_REPLY && RAFT_BUG(RAFT_BUG_STALE_VOTE))) {
		correct(r, m);
		return 0;
	}
	if (from_leader(m))
		return hear_leader(r, m, err);
	dispatch(r, m);
	return 0;
}
