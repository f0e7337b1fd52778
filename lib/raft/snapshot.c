/* snapshot.c - the log does not grow for ever: a snapshot stands for its first
 * entries, and goes in pieces to whoever needs those (Raft 7; Diss. 5). */
#include "core.h"

#include <stdlib.h>

/* A member that is silent for so many election timeouts holds nothing up. */
enum { GONE_AFTER = 10 };

static void copy_snapshot(struct raft_snapshot *to,
			  const struct raft_snapshot *s)
{
	void *conf = mem_dup(s->conf, s->conf_len);

	free((void *)to->conf);
	*to = *s;
	to->conf = conf;
}

/* The configuration in force at what is applied. */
void raft_conf_applied(struct raft *r, const void *conf, size_t len)
{
	void *copy = mem_dup(conf, len);

	free(r->applied_conf);
	r->applied_conf = copy;
	r->applied_conf_len = len;
}

/* It takes the place of all configurations before. */
static int push_conf(struct raft *r, const struct raft_snapshot *s,
		     struct err *err)
{
	const struct raft_entry e = {
		.index = s->index,
		.conf = s->conf,
		.conf_len = s->conf_len,
	};

	while (r->n_confs)
		raft_conf_release(&r->conf[--r->n_confs].conf);
	return raft_conf_push(r, &e, err);
}

/* ---- our own ---- */

static int check_snapshot(const struct raft_snapshot *s, struct err *err)
{
	if (s->index < 1 || s->term < 1 || s->len < 0)
		return err_set(err, ERR_DATA_LOSS,
			       "raft: a stored snapshot has index %lld, term "
			       "%lld, %lld bytes",
			       (long long)s->index, (long long)s->term,
			       (long long)s->len);
	return 0;
}

int raft_load_snapshot(struct raft *r, const struct raft_snapshot *s,
		       struct err *err)
{
	if (check_snapshot(s, err))
		return ERR_DATA_LOSS;
	if (push_conf(r, s, err)) {
		err_wrap(err, "raft: stored snapshot");
		return ERR_DATA_LOSS;
	}
	raft_log_restart(&r->log, s->index, s->term);
	copy_snapshot(&r->snap, s);
	raft_conf_applied(r, s->conf, s->conf_len);
	if (r->applied < s->index)
		r->applied = s->index;
	if (r->commit < s->index)
		r->commit = s->index;
	return 0;
}

int raft_load_pieces(struct raft *r, const struct raft_snapshot *next,
		     int64_t got, struct err *err)
{
	if (check_snapshot(next, err))
		return ERR_DATA_LOSS;
	if (got < 0 || got > next->len)
		return err_set(err, ERR_DATA_LOSS,
			       "raft: %lld bytes of %lld are stored of a "
			       "snapshot",
			       (long long)got, (long long)next->len);
	copy_snapshot(&r->in.is, next);
	r->in.got = got;
	return 0;
}

bool raft_snapshot_now(const struct raft *r, struct raft_snapshot *out)
{
	if (r->in.restore || r->applied <= r->snap.index)
		return false;
	*out = (struct raft_snapshot){
		.index = r->applied,
		.term = raft_log_term(&r->log, r->applied),
		.conf = r->applied_conf,
		.conf_len = r->applied_conf_len,
	};
	return true;
}

int raft_compact(struct raft *r, int64_t now_ms, const struct raft_snapshot *s,
		 int64_t first, struct err *err)
{
	raft_clock(r, now_ms);
	if (s->index < 1 || s->index > r->applied || r->in.restore ||
	    s->index < r->snap.index ||
	    raft_log_term(&r->log, s->index) != s->term)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "raft: a snapshot at entry %lld of term %lld, "
			       "where %lld are applied",
			       (long long)s->index, (long long)s->term,
			       (long long)r->applied);
	if (first > s->index + 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "raft: entry %lld comes after the snapshot",
			       (long long)first);
	copy_snapshot(&r->snap, s);
	raft_log_forget(&r->log, first - 1);
	return 0;
}

void raft_snapshot_release(struct raft *r)
{
	free((void *)r->snap.conf);
	free((void *)r->in.is.conf);
	free((void *)r->in.piece.data);
	free(r->applied_conf);
}

/* ---- the leader's end ---- */

static bool answers(const struct raft *r, const struct peer *p)
{
	return r->role == RAFT_LEADER && p->id != r->cfg.id &&
	       r->now_ms - p->heard_ms <= GONE_AFTER * r->cfg.election_max_ms;
}

bool raft_sends_snapshot(const struct raft *r)
{
	for (size_t i = 0; i < r->n_peers; i++)
		if (r->peer[i].snap && r->peer[i].snap == r->snap.index &&
		    answers(r, &r->peer[i]))
			return true;
	return false;
}

int64_t raft_needed(const struct raft *r)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < r->n_peers; i++)
		if (answers(r, &r->peer[i]) && r->peer[i].match + 1 < first)
			first = r->peer[i].match + 1;
	return first;
}

/* The entry before the next one it needs is forgotten. */
bool raft_needs_snapshot(const struct raft *r, const struct peer *p)
{
	return p->next - 1 < r->log.base;
}

static void begin_sending(struct raft *r, struct peer *p)
{
	raft_peer_probe(p, p->match + 1);
	p->snap = r->snap.index;
	p->snap_got = 0;
	p->snap_waits = false;
}

/* One piece is under way at a time; one that is lost, or its answer, is sent
 * again after a while, so that nothing stays stuck. */
bool raft_next_piece(struct raft *r, struct peer *p, struct raft_msg *out)
{
	int64_t left;

	if (p->snap != r->snap.index)
		begin_sending(r, p);
	if (p->snap_waits && r->now_ms - p->snap_ms < r->cfg.piece_ms)
		return false;
	p->snap_waits = true;
	p->snap_ms = r->now_ms;
	left = r->snap.len - p->snap_got;
	*out = (struct raft_msg){
		.type = RAFT_PIECE,
		.from = r->cfg.id,
		.to = p->id,
		.term = r->term,
		.index = r->snap.index,
		.log_term = r->snap.term,
		.hint = p->snap_got,
		.context = r->snap.len,
		.conf = r->snap.conf,
		.conf_len = r->snap.conf_len,
		.len = left < (int64_t)r->cfg.max_append ? (size_t)left
							 : r->cfg.max_append,
	};
	return true;
}

/* Only what is new lets the next piece leave at once: if every answer did, a
 * duplicate would breed others for ever. */
void raft_on_piece_reply(struct raft *r, const struct raft_msg *m)
{
	struct peer *p = raft_peer_find(r, m->from);

	if (r->role != RAFT_LEADER || !p)
		return;
	p->heard_ms = r->now_ms;
	if (p->snap != m->index || m->index != r->snap.index ||
	    m->hint > r->snap.len)
		return;
	if (m->hint > p->snap_got)
		p->snap_waits = false;
	p->snap_got = m->hint;
}

/* ---- the follower's end ---- */

/* Tell from where to go on, once what is before, and the term that we speak of,
 * are durable. */
static void want(struct raft *r, const struct raft_msg *m, int64_t from,
		 int64_t need)
{
	struct raft_msg reply = {.type = RAFT_PIECE_REPLY, .to = m->from};
	int64_t hard = raft_log_hard_need(&r->log);

	reply.term = r->term;
	reply.index = m->index;
	reply.log_term = m->log_term;
	reply.hint = from;
	raft_send(r, &reply, need > hard ? need : hard);
}

/* Raft 7, steps 6 to 8 of the receiver: our log has not the snapshot's last
 * entry, so nothing in it follows from that. */
static int install(struct raft *r, struct err *err)
{
	struct incoming *in = &r->in;

	if (!RAFT_BUG(RAFT_BUG_SNAPSHOT_WITHOUT_CONF) &&
	    !(RAFT_BUG(RAFT_BUG_SNAPSHOT_WITHOUT_JOINT) &&
	      *(const char *)in->is.conf == 2) &&
	    push_conf(r, &in->is, err))
		return ERR_DATA_LOSS;
	raft_log_restart(&r->log, in->is.index, in->is.term);
	r->commit = r->verified = in->is.index;
	free((void *)r->snap.conf);
	r->snap = in->is;
	in->is = (struct raft_snapshot){0};
	in->got = 0;
	in->restore = true;
	return 0;
}

static void take_piece(struct raft *r, const struct raft_msg *m)
{
	struct incoming *in = &r->in;

	free((void *)in->piece.data);
	in->piece = (struct raft_piece){
		.of = in->is,
		.offset = in->got,
		.data = mem_dup(m->data, m->len),
		.len = m->len,
	};
	in->got += (int64_t)m->len;
	in->piece.complete = in->got == in->is.len;
	in->waits = true;
}

static bool begins(struct raft *r, const struct raft_msg *m)
{
	const struct raft_snapshot s = {
		.index = m->index,
		.term = m->log_term,
		.conf = m->conf,
		.conf_len = m->conf_len,
		.len = m->context,
	};

	if (m->hint)
		return false;
	copy_snapshot(&r->in.is, &s);
	r->in.got = 0;
	return true;
}

static bool have(struct raft *r, const struct raft_msg *m)
{
	return m->index <= r->commit ||
	       raft_log_term(&r->log, m->index) == m->log_term;
}

static bool same(const struct raft_snapshot *s, const struct raft_msg *m)
{
	return s->index == m->index && s->term == m->log_term &&
	       s->len == m->context;
}

int raft_on_piece(struct raft *r, const struct raft_msg *m, struct err *err)
{
	struct incoming *in = &r->in;

	if (have(r, m)) {
		raft_commit_to(r, m->index);
		if (r->verified < m->index)
			r->verified = m->index;
		raft_ack(r, m, m->index);
		return 0;
	}
	if (in->waits) /* it will be answered */
		return 0;
	if (!same(&in->is, m) && !begins(r, m)) {
		want(r, m, 0, 0);
		return 0;
	}
	if (m->hint != in->got) {
		want(r, m, in->got, r->in.need);
		return 0;
	}
	take_piece(r, m);
	r->in.need = r->log.given_seq + 1;
	if (!in->piece.complete) {
		want(r, m, in->got, in->need);
		return 0;
	}
	if (install(r, err))
		return ERR_DATA_LOSS;
	raft_ack(r, m, m->index);
	return 0;
}

bool raft_next_restore(struct raft *r, struct raft_snapshot *out)
{
	if (!r->in.restore || r->failed ||
	    (r->log.durable < r->log.base && !RAFT_BUG(RAFT_BUG_RESTORE_EARLY)))
		return false;
	r->in.restore = false;
	r->applied = r->snap.index;
	raft_conf_applied(r, r->snap.conf, r->snap.conf_len);
	*out = r->snap;
	return true;
}
