/* lost.c - a server whose disk lost entries that it may have acknowledged.
 *
 * Raft rests on it that what a server acknowledged stays in its log: an entry
 * is committed because a majority has it, and the next leader needs the vote of
 * one of those, which it gets only with a log that is not behind (Raft 5.4.1).
 * A server whose disk rots breaks that. To come back as an empty member would
 * be wrong: of three, it and the one that never had the entry could elect each
 * other. To wait until it has what is committed now would be wrong as well: an
 * acknowledgement of its earlier life may still be on its way, and commit
 * afterwards what it does not have any more.
 *
 * So storage keeps where the log once ended, apart from the entries: its floor,
 * the term and index of the last entry. A server whose log is below its floor
 *
 *   never stands for election;
 *   votes only for who has a log at least as up to date as the floor;
 *   takes appends and snapshots, and acknowledges what it then has;
 *   tells the leader that it has less than it acknowledged, so that this one
 *   begins again (nothing else ever lowers a match index).
 *
 * That is safe because the others cannot tell it from the same server with its
 * log undamaged, whose messages are lost now and then and whose clock never
 * runs out. Votes are granted as the undamaged log would, or refused. What it
 * acknowledges is on its disk, and the undamaged one would have that as well:
 * where the leader's entries contradict the lost ones, those would have been
 * cut off. An old acknowledgement that commits an entry later commits one that
 * the floor still guards.
 *
 * The floor is passed when the log ends with a later term, or in the same term
 * and not before it. Then the log is what the undamaged one would be: in the
 * same term all entries came from one leader, in order, so the log has the lost
 * ones again. An entry of a later term comes from a later leader, whose log up
 * to there ours equals; it has all that was committed before it was elected
 * (for which our vote was not misused), and would have replaced the rest.
 *
 * What is lost for good is availability: until then such a server is no help
 * to a candidate that is behind the floor, though what that one lacks may never
 * have been committed. */
#include "core.h"

static bool at_least(int64_t term, int64_t index, int64_t as_term,
		     int64_t as_index)
{
	return term > as_term || (term == as_term && index >= as_index);
}

bool raft_lost(const struct raft *r)
{
	int64_t last = raft_log_last(&r->log);

	return !at_least(raft_log_term(&r->log, last), last, r->cfg.floor_term,
			 r->cfg.floor_index);
}

bool raft_lost_ok(const struct raft *r, int64_t term, int64_t index)
{
	return at_least(term, index, r->cfg.floor_term, r->cfg.floor_index);
}

/* A write that makes the log pass its floor is the last that needs one. */
void raft_lost_found(struct raft *r)
{
	if (!raft_lost(r))
		r->cfg.floor_term = r->cfg.floor_index = 0;
}

/* The leader believes that p has more than it has. What follows is sent anew;
 * a late or repeated word of it costs no more than that. */
void raft_lost_told(struct raft *r, struct peer *p, const struct raft_msg *m)
{
	if (!m->lost || p->match <= m->hint)
		return;
	p->match = 0;
	raft_peer_probe(p, raft_log_last(&r->log) + 1);
}
