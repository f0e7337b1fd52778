/* raft_rules.h - rules whose breach would show late and seldom: what a server
 * says is durable and true, who leads was voted for, and hears a majority. */
#ifndef RAFT_RULES_H
#define RAFT_RULES_H

#include "raft_check.h"

/* ---- messages ---- */

/* A vote is one that this server's disk has. */
static void check_vote(struct world *w, const struct server *s,
		       const struct raft_msg *m)
{
	const struct disk *d = &s->disk;

	if (d->term == m->term && d->vote != m->to)
		broken(w,
		       "votes: server %" PRId64 " says that it voted for "
		       "%" PRId64 " in term %" PRId64 ", and its disk that "
		       "for %" PRId64,
		       s->id, m->to, m->term, d->vote);
}

/* What is acknowledged to a leader is what the leader has: on our disk, unless
 * a later leader has replaced it. */
static void check_ack(struct world *w, const struct server *s,
		      const struct raft_msg *m)
{
	const struct server *to = &w->server[m->to];
	const struct disk *d = &s->disk;
	const struct raft_entry *own = disk_entry(d, m->index), *other;
	struct raft_status st;

	if (d->term > m->term || m->index <= d->snap.index)
		return;
	if (!own) {
		broken(w,
		       "acknowledgements: server %" PRId64 " has entry %" PRId64
		       " not on its disk",
		       s->id, m->index);
		return;
	}
	if (!to->r)
		return;
	raft_status(to->r, &st);
	other = raft_entry(to->r, m->index);
	if (st.role == RAFT_LEADER && st.term == m->term && other &&
	    other->term != own->term)
		broken(w,
		       "acknowledgements: server %" PRId64 " has entry %" PRId64
		       " of term %" PRId64 ", its leader of term %" PRId64,
		       s->id, m->index, own->term, other->term);
}

/* Whatever names a term, but for the question whether to begin one. */
static void check_said(struct world *w, const struct server *s,
		       const struct raft_msg *m)
{
	bool asks = m->type == RAFT_PREVOTE || m->type == RAFT_PREVOTE_REPLY;

	if (w->lenient)
		return;
	if (s->failed)
		broken(w, "server %" PRId64 " speaks after its disk failed",
		       s->id);
	if (!asks && m->term > s->disk.term)
		broken(w,
		       "server %" PRId64 " speaks of term %" PRId64
		       " before its disk has it",
		       s->id, m->term);
	if (m->type == RAFT_VOTE_REPLY && !m->reject)
		check_vote(w, s, m);
	if ((m->type == RAFT_APPEND_REPLY && !m->reject) ||
	    m->type == RAFT_HEARTBEAT_REPLY)
		check_ack(w, s, m);
}

/* ---- leaders ---- */

/* Whoever begins to lead has the votes of a majority, on their disks: who is
 * in a later term by now may have given one. */
static void check_elected(struct world *w, const struct server *s,
			  const struct raft_status *st)
{
	const struct raft_conf *conf = raft_conf(s->r);
	unsigned gave = 0;

	for (int i = 1; i <= SERVERS; i++) {
		const struct disk *d = &w->server[i].disk;

		if (d->term > st->term ||
		    (d->term == st->term && d->vote == s->id))
			gave |= 1u << i;
	}
	for (int old = 0; old <= raft_conf_joint(conf); old++) {
		unsigned who = voting(conf, old);

		if (count_bits(who & gave) <= count_bits(who) / 2)
			broken(w,
			       "votes: server %" PRId64 " leads term %" PRId64
			       " by %d of %d",
			       s->id, st->term, count_bits(who & gave),
			       count_bits(who));
	}
}

/* Raft 5.4.2: by counting, an entry of its own term is what commits. */
static void check_counted(struct world *w, const struct server *s,
			  const struct raft_status *st)
{
	const struct raft_entry *e = raft_entry(s->r, st->commit);

	if (e && e->term != st->term)
		broken(w,
		       "commit: server %" PRId64 " of term %" PRId64
		       " counts entry %" PRId64 " of term %" PRId64,
		       s->id, st->term, e->index, e->term);
}

/* Diss. 6.2: after a tick, a leader has heard a majority not long ago. */
static void check_heard(struct world *w, const struct server *s)
{
	int64_t max = w->election_max_ms ? w->election_max_ms : 300;
	int64_t beat = w->heartbeat_ms ? w->heartbeat_ms : 50;
	const struct raft_conf *conf = raft_conf(s->r);
	struct raft_peer peer;
	struct raft_status st;
	unsigned heard = 1u << s->id;
	struct err err;

	raft_status(s->r, &st);
	if (st.role != RAFT_LEADER || w->lenient)
		return;
	for (int i = 0; i < conf->n; i++)
		if (!raft_peer(s->r, conf->member[i].id, &peer, &err) &&
		    local_ms(w, s) - peer.heard_ms <= max + beat)
			heard |= 1u << conf->member[i].id;
	for (int old = 0; old <= raft_conf_joint(conf); old++) {
		unsigned who = voting(conf, old);

		if (count_bits(who & heard) <= count_bits(who) / 2)
			broken(w,
			       "check quorum: server %" PRId64
			       " leads, and hears %d of %d",
			       s->id, count_bits(who & heard), count_bits(who));
	}
}

/* ---- configurations ---- */

/* The newest configuration is not older than the newest that is committed. */
static void check_newest(struct world *w, const struct server *s,
			 const struct raft_status *st)
{
	const struct conf_fact *f = conf_at(w, st->commit);

	if (f && st->conf_index < f->index)
		broken(w,
		       "configuration: server %" PRId64 " goes by that of "
		       "entry %" PRId64 ", not %" PRId64,
		       s->id, st->conf_index, f->index);
}

/* And it is that of an entry in the log, or of a snapshot. */
static void check_in_log(struct world *w, const struct server *s,
			 const struct raft_status *st)
{
	const struct raft_entry *e = raft_entry(s->r, st->conf_index);

	if (st->conf_index > st->last ||
	    (e && e->type != RAFT_CONFIG && e->index != st->snapshot))
		broken(w,
		       "configuration: server %" PRId64 " goes by that of "
		       "entry %" PRId64 ", which is gone",
		       s->id, st->conf_index);
}

static void check_rules(struct world *w, const struct server *s,
			const struct raft_status *st)
{
	bool leads = st->role == RAFT_LEADER;

	if (w->lenient)
		return;
	if (leads && (s->was.role != RAFT_LEADER || s->was.term != st->term))
		check_elected(w, s, st);
	else if (leads && st->commit > s->was.commit)
		check_counted(w, s, st);
	check_in_log(w, s, st);
	if (st->commit > s->was.commit || st->conf_index < s->was.conf_index)
		check_newest(w, s, st);
}

#endif
