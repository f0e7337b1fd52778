/* commit.c - what is committed, and for good (Raft 5.3, 5.4.2). */
#include "core.h"

/* A leader may count itself only for what its disk has. */
static int64_t match_of(const struct raft *r, const struct peer *p)
{
	if (p->id == r->cfg.id)
		return RAFT_BUG(RAFT_BUG_COUNT_SELF_EARLY)
			       ? raft_log_last(&r->log)
			       : r->log.durable;
	return p->match;
}

void raft_commit_to(struct raft *r, int64_t index)
{
	if (index > raft_log_last(&r->log))
		index = raft_log_last(&r->log);
	if (index <= r->commit)
		return;
	while (r->commit < index) {
		const struct raft_entry *e = raft_log_get(&r->log, ++r->commit);

		if (r->role == RAFT_LEADER)
			r->uncommitted -= raft_entry_cost(e);
	}
	raft_conf_committed(r);
}

/* Only an entry of our own term commits by counting; those before it commit
 * with it (Raft 5.4.2, figure 8). */
void raft_maybe_commit(struct raft *r)
{
	int64_t index = raft_quorum_value(r, match_of);

	if (RAFT_BUG(RAFT_BUG_JOINT_COMMIT_BY_NEW))
		index = raft_half_value(r, match_of, false);
	if (RAFT_BUG(RAFT_BUG_JOINT_COMMIT_BY_OLD))
		index = raft_half_value(r, match_of, r->joint);
	if (index <= r->commit)
		return;
	if (raft_log_term(&r->log, index) != r->term &&
	    !RAFT_BUG(RAFT_BUG_COMMIT_OLD_TERM))
		return;
	raft_commit_to(r, index);
}
