/* membership.c - changing one server at a time (Diss. 4). */
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
		if (r->peer[i].role != RAFT_NONE)
			continue;
		if (r->peer[i].id != r->cfg.id)
			raft_heartbeat_one(r, &r->peer[i], 0);
		raft_peer_drop(r, &r->peer[i]);
	}
}

/* The commit index moved: forget configurations before the newest committed
 * one. A leader that is no longer a voter has done its work (Diss. 4.2.2). */
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
	dismiss(r);
	if (raft_may_campaign(r))
		return;
	for (size_t i = 0; i < r->n_peers; i++)
		if (r->peer[i].id != r->cfg.id)
			raft_heartbeat_one(r, &r->peer[i], 0);
	raft_follow(r, r->term, 0);
}

/* A copy of from in which id has this role. */
static struct raft_conf conf_with(const struct raft_conf *from, int64_t id,
				  enum raft_member_role role)
{
	struct raft_conf to = {0};
	bool placed = role == RAFT_NONE;

	to.member = mem_zero((size_t)from->n + 1, sizeof(*to.member));
	for (int i = 0; i < from->n; i++) {
		if (!placed && from->member[i].id >= id) {
			to.member[to.n++] = (struct raft_member){id, role};
			placed = true;
		}
		if (from->member[i].id != id)
			to.member[to.n++] = from->member[i];
	}
	if (!placed)
		to.member[to.n++] = (struct raft_member){id, role};
	return to;
}

static int voters(const struct raft_conf *conf)
{
	int n = 0;

	for (int i = 0; i < conf->n; i++)
		n += conf->member[i].role == RAFT_VOTER;
	return n;
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

static int check_promote(const struct raft *r, int64_t id, struct err *err)
{
	const struct peer *p = raft_peer_find(r, id);

	if (id == r->cfg.id)
		return 0;
	if (!p || p->role == RAFT_NONE)
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

static int check_change(const struct raft *r, int64_t id,
			enum raft_member_role role, struct err *err)
{
	const struct raft_conf *now = raft_conf(r);
	enum raft_member_role was = raft_conf_role(now, id);

	if (id < 1 || role > RAFT_LEARNER)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "no server %lld or role %d", (long long)id,
			       (int)role);
	if (was == role)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "server %lld has that role", (long long)id);
	if (was == RAFT_VOTER && voters(now) == 1)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "server %lld is the last voter", (long long)id);
	if (was == RAFT_NONE && now->n >= RAFT_MEMBERS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "there are %d members", now->n);
	return role == RAFT_VOTER ? check_promote(r, id, err) : 0;
}

static int append_change(struct raft *r, const struct raft_conf *conf,
			 const struct raft_entry *e, struct err *err)
{
	struct raft_entry own = *e;
	void *bytes;
	int rc = 0;

	own.type = RAFT_CONFIG;
	own.conf_len = raft_conf_encode(conf, &bytes);
	own.conf = bytes;
	if (own.len + own.conf_len > r->cfg.max_entry)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "an entry of %zu bytes is above %zu",
			     own.len + own.conf_len, r->cfg.max_entry);
	if (!rc) {
		raft_append_own(r, &own);
		rc = raft_conf_push(
			r, raft_log_get(&r->log, raft_log_last(&r->log)), err);
	}
	free(bytes);
	return rc;
}

int raft_change(struct raft *r, int64_t now_ms, int64_t id,
		enum raft_member_role role, const struct raft_entry *e,
		int64_t *index, int64_t *term, struct err *err)
{
	struct raft_conf conf;
	int rc;

	raft_clock(r, now_ms);
	rc = may_change(r, err);
	if (!rc)
		rc = check_change(r, id, role, err);
	if (rc)
		return rc;
	conf = conf_with(raft_conf(r), id, role);
	rc = append_change(r, &conf, e, err);
	raft_conf_release(&conf);
	if (rc)
		return rc;
	*index = raft_log_last(&r->log);
	*term = r->term;
	return 0;
}
