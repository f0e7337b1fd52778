/* status.c - what a server is, for people, metrics and tests. */
#include "core.h"

void raft_status(const struct raft *r, struct raft_status *out)
{
	const struct conf_at *top = raft_conf_top(r);

	*out = (struct raft_status){
		.id = r->cfg.id,
		.leader = r->leader,
		.role = r->role,
		.term = r->term,
		.vote = r->vote,
		.first = r->log.base + 1,
		.snapshot = r->snap.index,
		.last = raft_log_last(&r->log),
		.durable = r->log.durable,
		.commit = r->commit,
		.applied = r->applied,
		.conf_index = top ? top->index : 0,
		.joint = r->joint,
		.transfer_to = r->transfer_to,
		.removed = r->told_removed || raft_out(r),
		.failed = r->failed,
		.lost = raft_lost(r),
	};
	if (r->role != RAFT_LEADER)
		return;
	out->uncommitted = r->uncommitted;
	out->committed_in_term = r->commit >= r->term_start;
}

int raft_peer(const struct raft *r, int64_t id, struct raft_peer *out,
	      struct err *err)
{
	const struct peer *p = raft_peer_find(r, id);
	bool self = id == r->cfg.id;

	if (r->role != RAFT_LEADER || !p || !raft_peer_is_member(p))
		return err_set(err, ERR_NOT_FOUND,
			       "server %lld does not lead server %lld",
			       (long long)r->cfg.id, (long long)id);
	*out = (struct raft_peer){
		.match = self ? r->log.durable : p->match,
		.next = self ? raft_log_last(&r->log) + 1 : p->next,
		.heard_ms = self ? r->now_ms : p->heard_ms,
		.probing = !self && p->probing,
		.snapshot = !self && p->snap,
	};
	return 0;
}

const struct raft_entry *raft_entry(const struct raft *r, int64_t index)
{
	return raft_log_get(&r->log, index);
}

const char *raft_role_name(enum raft_role role)
{
	static const char *const name[] = {"follower", "pre-candidate",
					   "candidate", "leader"};

	return name[role];
}
