/* membership.c - which configuration is in force, and changing it (Diss. 4). */
#include "core.h"

#include <stdlib.h>
#include <string.h>

/* How far behind a member may be that is to become a voter: little enough to
 * be there within a heartbeat or two (Diss. 4.2.1). */
enum { PROMOTE_LAG = 256 };

/* The newest configuration in the log, committed or not, or NULL. */
const struct conf_at *raft_conf_top(const struct raft *r)
{
	return r->n_confs ? &r->conf[r->n_confs - 1] : NULL;
}

const struct raft_conf *raft_conf(const struct raft *r)
{
	static const struct raft_conf none;
	const struct conf_at *top = raft_conf_top(r);

	return top ? &top->conf : &none;
}

/* In force as soon as it is in the log (Diss. 4.1). */
int raft_conf_push(struct raft *r, const struct raft_entry *e, struct err *err)
{
	struct conf_at at = {.index = e->index};

	if (raft_conf_decode(&at.conf, e->conf, e->conf_len, err))
		return ERR_INVALID_ARGUMENT;
	r->conf = mem_grow(r->conf, &r->confs_cap, r->n_confs + 1,
			   sizeof(*r->conf));
	r->conf[r->n_confs++] = at;
	if (raft_conf_role(&at.conf, r->cfg.id) != RAFT_NONE)
		r->was_member = true;
	raft_peers_follow(r, &at.conf);
	return 0;
}

/* Entries from `from` on are gone: the configuration before them is in force
 * again (Diss. 4.1). */
void raft_conf_cut(struct raft *r, int64_t from)
{
	size_t n = r->n_confs;

	if (RAFT_BUG(RAFT_BUG_CONF_STAYS))
		return;
	while (r->n_confs && raft_conf_top(r)->index >= from)
		raft_conf_release(&r->conf[--r->n_confs].conf);
	if (n != r->n_confs)
		raft_peers_follow(r, raft_conf(r));
}

/* Our own log has a committed configuration that is without us. A server that
 * was not added yet has such ones too, but was never a member. */
bool raft_out(const struct raft *r)
{
	const struct conf_at *top = raft_conf_top(r);

	return r->was_member && top && top->index <= r->commit &&
	       raft_conf_role(&top->conf, r->cfg.id) == RAFT_NONE;
}

/* The last word to members that the committed configuration leaves out. */
static void dismiss(struct raft *r)
{
	for (size_t i = r->n_peers; i-- > 0;) {
		if (raft_peer_is_member(&r->peer[i]))
			continue;
		if (r->peer[i].id != r->cfg.id)
			raft_heartbeat_one(r, &r->peer[i], 0);
		raft_peer_drop(r, &r->peer[i]);
	}
}

/* The commit index moved: forget configurations before the newest committed
 * one. If that is joint, a leader goes on to the new one, whoever began it. A
 * leader that is no longer a voter has done its work (Diss. 4.2.2). */
void raft_conf_committed(struct raft *r)
{
	size_t old = 0;

	while (old + 1 < r->n_confs && r->conf[old + 1].index <= r->commit)
		raft_conf_release(&r->conf[old++].conf);
	r->n_confs -= old;
	if (old)
		memmove(r->conf, r->conf + old, r->n_confs * sizeof(*r->conf));
	if (r->role != RAFT_LEADER || raft_conf_top(r)->index > r->commit)
		return;
	if (r->joint) {
		if (!RAFT_BUG(RAFT_BUG_JOINT_STAYS) &&
		    !(RAFT_BUG(RAFT_BUG_JOINT_NOT_INHERITED) &&
		      raft_conf_top(r)->index < r->term_start))
			raft_joint_leave(r);
		return;
	}
	dismiss(r);
	if (raft_may_campaign(r))
		return;
	for (size_t i = 0; i < r->n_peers; i++)
		if (r->peer[i].id != r->cfg.id)
			raft_heartbeat_one(r, &r->peer[i], 0);
	raft_hand_over(r);
	raft_follow(r, r->term, 0);
}

/* The 2015 correction: two leaders that each change one server relative to
 * configurations neither of which is committed can end with majorities that
 * do not meet. So no change before an entry of our own term has committed. */
static int may_change(const struct raft *r, struct err *err)
{
	if (r->role != RAFT_LEADER)
		return err_set(err, ERR_UNAVAILABLE,
			       "server %lld is not the leader",
			       (long long)r->cfg.id);
	if (r->transfer_to)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "leadership is being handed to server %lld",
			       (long long)r->transfer_to);
	if (r->commit < r->term_start &&
	    !RAFT_BUG(RAFT_BUG_CHANGE_BEFORE_COMMIT))
		return err_set(err, ERR_UNAVAILABLE,
			       "the leader has not committed in its term yet");
	if (raft_conf_top(r)->index > r->commit)
		return err_set(err, ERR_UNAVAILABLE,
			       "another membership change is under way");
	return 0;
}

/* A configuration takes effect with its entry, on this server at once. */
void raft_conf_append(struct raft *r, const struct raft_conf *conf,
		      const struct raft_entry *e)
{
	struct raft_entry own = *e;
	struct err err;
	void *bytes;

	own.type = RAFT_CONFIG;
	own.conf_len = raft_conf_encode(conf, &bytes);
	own.conf = bytes;
	raft_append_own(r, &own);
	free(bytes);
	if (raft_conf_push(r, raft_log_get(&r->log, raft_log_last(&r->log)),
			   &err))
		abort(); /* it was made by us */
}

/* A voter that has to be waited for would hold commits up (Diss. 4.2.1). */
int raft_promotable(const struct raft *r, int64_t id, struct err *err)
{
	const struct peer *p = raft_peer_find(r, id);

	if (id == r->cfg.id)
		return 0;
	if (!p || !raft_peer_is_member(p))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "server %lld is not a member yet",
			       (long long)id);
	if (p->probing || p->match + PROMOTE_LAG < r->commit ||
	    r->now_ms - p->heard_ms >= r->cfg.election_max_ms)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "server %lld has not caught up: it has entry "
			       "%lld of %lld",
			       (long long)id, (long long)p->match,
			       (long long)r->commit);
	return 0;
}

static int check_change(const struct raft *r, const struct raft_member *to,
			struct err *err)
{
	if (to->id < 1 || to->role > RAFT_LEARNER)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "no server %lld or role %d", (long long)to->id,
			       (int)to->role);
	if (raft_conf_role(raft_conf(r), to->id) == to->role)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "server %lld has that role", (long long)to->id);
	return to->role == RAFT_VOTER ? raft_promotable(r, to->id, err) : 0;
}

static int check_changes(const struct raft *r, const struct raft_member *to,
			 size_t n, struct err *err)
{
	int rc =
		n ? 0
		  : err_set(err, ERR_INVALID_ARGUMENT, "a change of no member");

	for (size_t i = 0; i < n && !rc; i++) {
		for (size_t j = 0; j < i && !rc; j++)
			if (to[j].id == to[i].id)
				rc = err_set(err, ERR_INVALID_ARGUMENT,
					     "server %lld is to change twice",
					     (long long)to[i].id);
		if (!rc)
			rc = check_change(r, &to[i], err);
	}
	return rc;
}

static int check_result(const struct raft *r, const struct raft_conf *conf,
			size_t len, struct err *err)
{
	size_t size = len + raft_conf_size(conf);

	if (!raft_conf_voters(conf))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "no voter would be left");
	if (conf->n > RAFT_MEMBERS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "there would be %d members", conf->n);
	if (size > r->cfg.max_entry)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "an entry of %zu bytes is above %zu", size,
			       r->cfg.max_entry);
	return 0;
}

int raft_change_many(struct raft *r, int64_t now_ms,
		     const struct raft_member *to, size_t n,
		     const struct raft_entry *e, int64_t *index, int64_t *term,
		     struct err *err)
{
	struct raft_conf conf;
	int rc;

	raft_clock(r, now_ms);
	rc = may_change(r, err);
	if (!rc)
		rc = check_changes(r, to, n, err);
	if (rc)
		return rc;
	conf = raft_conf_changed(raft_conf(r), to, n);
	rc = check_result(r, &conf, e->len, err);
	if (!rc) {
		raft_conf_append(r, &conf, e);
		*index = raft_log_last(&r->log);
		*term = r->term;
	}
	if (RAFT_BUG(RAFT_BUG_JOINT_LEFT_EARLY) && r->joint)
		raft_joint_leave(r);
	raft_conf_release(&conf);
	return rc;
}

int raft_change(struct raft *r, int64_t now_ms, int64_t id,
		enum raft_member_role role, const struct raft_entry *e,
		int64_t *index, int64_t *term, struct err *err)
{
	const struct raft_member to = {.id = id, .role = role};

	return raft_change_many(r, now_ms, &to, 1, e, index, term, err);
}
