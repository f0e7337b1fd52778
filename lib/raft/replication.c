/* replication.c - both ends of AppendEntries (Raft 5.3). */
#include "core.h"

/* Append to a leader's own log. */
void raft_append_own(struct raft *r, const struct raft_entry *e)
{
	struct raft_entry own = *e;

	own.index = raft_log_last(&r->log) + 1;
	own.term = r->term;
	raft_log_add(&r->log, &own);
	r->uncommitted += raft_entry_cost(&own);
}

/* Won. The no-op of our own term commits what earlier ones left (Raft 8). */
void raft_lead(struct raft *r)
{
	struct raft_entry noop = {.type = RAFT_NOOP};
	int64_t last = raft_log_last(&r->log);

	r->role = RAFT_LEADER;
	r->leader = r->cfg.id;
	r->transfer_to = 0;
	r->read_due = false;
	r->round = 0;
	r->uncommitted = 0;
	for (int64_t i = r->commit + 1; i <= last; i++)
		r->uncommitted += raft_entry_cost(raft_log_get(&r->log, i));
	r->term_start = last + 1;
	raft_peers_reset(r, last + 1);
	raft_append_own(r, &noop);
	r->heartbeat_ms = r->now_ms + r->cfg.heartbeat_ms;
}

/* ---- the leader's end ---- */

static size_t fill(struct raft *r, const struct peer *p, struct raft_msg *out)
{
	int64_t last = raft_log_last(&r->log);
	size_t bytes = 0;

	out->entries = raft_log_get(&r->log, p->next);
	while (p->next + (int64_t)out->n <= last) {
		const struct raft_entry *e = &out->entries[out->n];

		if (out->n && bytes + raft_entry_cost(e) > r->cfg.max_append)
			break;
		bytes += raft_entry_cost(e);
		out->n++;
	}
	return out->n;
}

static void make_append(struct raft *r, struct peer *p, bool empty,
			struct raft_msg *out)
{
	int64_t end;

	*out = (struct raft_msg){
		.type = RAFT_APPEND,
		.from = r->cfg.id,
		.to = p->id,
		.term = r->term,
		.index = p->next - 1,
		.log_term = raft_log_term(&r->log, p->next - 1),
		.commit = r->commit,
	};
	if (!empty)
		fill(r, p, out);
	end = out->index + (int64_t)out->n;
	if (p->commit_told < r->commit && p->commit_told < end)
		p->commit_told = r->commit < end ? r->commit : end;
	p->poke = false;
	if (p->probing)
		p->paused = true;
	else if (out->n)
		raft_peer_sent(r, p, end);
}

static bool append_for(struct raft *r, struct peer *p, struct raft_msg *out)
{
	bool more = p->next <= raft_log_last(&r->log);
	bool room = p->n_sent < r->cfg.max_inflight;

	if (p->id == r->cfg.id || (p->probing && p->paused))
		return false;
	if (raft_needs_snapshot(r, p))
		return raft_next_piece(r, p, out);
	if (p->probing || (more && room) || p->poke) {
		make_append(r, p, !p->probing && !room, out);
		return true;
	}
	return false;
}

/* The next append that any member can take. Made when the host asks, so that
 * all that was proposed in between goes out together. */
bool raft_next_append(struct raft *r, struct raft_msg *out)
{
	if (r->role != RAFT_LEADER)
		return false;
	for (size_t i = 0; i < r->n_peers; i++) {
		struct peer *p = &r->peer[(r->turn + i) % r->n_peers];

		if (append_for(r, p, out)) {
			r->turn = (r->turn + i + 1) % r->n_peers;
			return true;
		}
	}
	return false;
}

/* The logs part at m->index or before: go back by what the follower hints. A
 * refusal of what was sent before is not news. */
static void repair(struct raft *r, struct peer *p, const struct raft_msg *m)
{
	int64_t next;

	if (m->index <= p->match || (p->probing && m->index != p->next - 1))
		return;
	next = raft_log_hint(&r->log, m->hint, m->log_term) + 1;
	if (next > m->index)
		next = m->index;
	if (next <= p->match)
		next = p->match + 1;
	raft_peer_probe(p, next);
}

/* A server whose removal committed before it answered: it may know now. */
static void bid_farewell(struct raft *r, const struct raft_msg *m)
{
	struct raft_msg bye = {.type = RAFT_HEARTBEAT, .to = m->from};

	if (m->reject)
		return;
	bye.term = r->term;
	bye.commit = r->commit < m->index ? r->commit : m->index;
	raft_send(r, &bye, 0);
}

void raft_on_append_reply(struct raft *r, const struct raft_msg *m)
{
	struct peer *p = raft_peer_find(r, m->from);

	if (r->role != RAFT_LEADER || m->index > raft_log_last(&r->log))
		return;
	if (!p) {
		bid_farewell(r, m);
		return;
	}
	p->heard_ms = r->now_ms;
	if (m->reject) {
		raft_lost_told(r, p, m);
		repair(r, p, m);
		return;
	}
	raft_peer_acked(r, p, m->index);
	if (p->probing && p->match >= p->next - 1)
		p->probing = p->paused = false;
	raft_maybe_commit(r);
	if (r->role == RAFT_LEADER && r->transfer_to == m->from)
		raft_transfer_go(r);
}

void raft_unreachable(struct raft *r, int64_t now_ms, int64_t id)
{
	struct peer *p;

	raft_clock(r, now_ms);
	p = raft_peer_find(r, id);
	if (r->role != RAFT_LEADER || !p || id == r->cfg.id)
		return;
	raft_peer_probe(p, p->match + 1);
	p->paused = true; /* until the next heartbeat's answer */
	p->snap_waits = false;
}

/* ---- the follower's end ---- */

/* Our log equals the leader's up to index: say so once that is durable. */
void raft_ack(struct raft *r, const struct raft_msg *m, int64_t index)
{
	struct raft_msg reply = {.type = RAFT_APPEND_REPLY, .to = m->from};

	/* The term in which the entries came: by the time they are durable a
	 * later leader may have replaced them. */
	reply.term = r->term;
	reply.index = index;
	raft_send(r, &reply,
		  RAFT_BUG(RAFT_BUG_ACK_BEFORE_SYNC)
			  ? 0
			  : raft_log_need(&r->log, index));
}

static void refuse(struct raft *r, const struct raft_msg *m)
{
	struct raft_msg reply = {.type = RAFT_APPEND_REPLY, .to = m->from};

	reply.term = r->term;
	reply.reject = true;
	reply.index = m->index;
	reply.hint = raft_log_hint(&r->log, m->index, m->log_term);
	reply.log_term = raft_log_term(&r->log, reply.hint);
	reply.lost = raft_lost(r);
	raft_send(r, &reply, raft_log_hard_need(&r->log));
}

/* How many of the entries we have already. Only a real conflict ends the run:
 * an append that is late or repeated must not cut what came after it, which
 * may be committed by now (Raft 5.3, step 3 of the receiver). */
static size_t known(const struct raft *r, const struct raft_msg *m)
{
	size_t i = 0;

	while (i < m->n && ((m->entries[i].index <= r->log.base &&
			     !RAFT_BUG(RAFT_BUG_SNAPSHOT_CONFLICTS)) ||
			    raft_log_term(&r->log, m->entries[i].index) ==
				    m->entries[i].term))
		i++;
	return i;
}

static void cut(struct raft *r, int64_t from)
{
	raft_log_truncate(&r->log, from);
	raft_conf_cut(r, from);
}

static int take_entries(struct raft *r, const struct raft_msg *m,
			struct err *err)
{
	size_t from = known(r, m);
	int rc = 0;

	if (from == m->n) {
		if (RAFT_BUG(RAFT_BUG_TRUNCATE_ON_STALE))
			cut(r, m->index + (int64_t)m->n + 1);
		return 0;
	}
	if (m->entries[from].index <= r->commit)
		return err_set(err, ERR_DATA_LOSS,
			       "raft: server %lld sent entry %lld of term %lld "
			       "in the place of a committed one of term %lld",
			       (long long)m->from,
			       (long long)m->entries[from].index,
			       (long long)m->entries[from].term,
			       (long long)raft_log_term(
				       &r->log, m->entries[from].index));
	if (m->entries[from].index <= raft_log_last(&r->log))
		cut(r, m->entries[from].index);
	for (size_t i = from; i < m->n && !rc; i++) {
		raft_log_add(&r->log, &m->entries[i]);
		if (m->entries[i].type == RAFT_CONFIG)
			rc = raft_conf_push(r, &m->entries[i], err);
	}
	return rc;
}

int raft_on_append(struct raft *r, const struct raft_msg *m, struct err *err)
{
	int64_t end = m->index + (int64_t)m->n;

	if (m->index > raft_log_last(&r->log) ||
	    (m->index >= r->log.base &&
	     raft_log_term(&r->log, m->index) != m->log_term &&
	     !RAFT_BUG(RAFT_BUG_NO_PREVIOUS))) {
		refuse(r, m);
		return 0;
	}
	if (take_entries(r, m, err))
		return ERR_DATA_LOSS;
	if (end > r->verified)
		r->verified = end;
	raft_commit_to(r, m->commit < end || RAFT_BUG(RAFT_BUG_COMMIT_UNMATCHED)
				  ? m->commit
				  : end);
	raft_ack(r, m,
		 RAFT_BUG(RAFT_BUG_ACK_LAST) ? raft_log_last(&r->log) : end);
	return 0;
}
