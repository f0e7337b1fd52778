/* Who votes: as somebody asks, and as the leader sees fit. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/node_impl.h"
#include "node/roles.h"

/* ---- as somebody asks ---- */

/* What a repeated request asks for may be so already. */
static size_t drop_done(const struct node *n, struct raft_member *to,
			size_t count)
{
	const struct raft_conf *conf = raft_conf(driver_raft(n->driver));
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (raft_conf_role(conf, to[i].id) != to[i].role)
			to[kept++] = to[i];
	return kept;
}

static void reply_done(struct ask *a, ask_reply_fn *reply)
{
	struct driver_result done = {0};
	struct raft_status s;

	raft_status(driver_raft(a->n->driver), &s);
	done.index = s.conf_index;
	done.term = s.term;
	reply(a, &done);
}

int voters_ask(struct ask *a, const Gfl__V1__Entry *e, ask_reply_fn *reply,
	       struct err *err)
{
	struct raft_member *to;
	size_t n;
	int rc = roles_read(&to, &n, e, err);

	if (rc)
		return rc;
	n = drop_done(a->n, to, n);
	if (n)
		rc = ask_change_many(a, to, n, reply, err);
	else
		reply_done(a, reply);
	free(to);
	return rc;
}

/* ---- as the leader sees fit ---- */

static bool fresh(const struct node *n, const Gfl__V1__Member *m)
{
	struct err err;

	return m->role != GFL__V1__ROLE__VOTER && !m->liveness &&
	       steward_silence_ms(n, m->id) < n->cfg.fail_after_ms &&
	       !raft_promotable(driver_raft(n->driver), m->id, &err);
}

struct tally {
	int voters, gone, fresh;
};

static struct tally count(const struct node *n)
{
	struct tally t = {0};

	for (size_t i = 0; i < n->state->nmembers; i++) {
		const Gfl__V1__Member *m = n->state->members[i];

		t.voters += m->role == GFL__V1__ROLE__VOTER;
		t.gone += m->role == GFL__V1__ROLE__VOTER && m->liveness;
		t.fresh += fresh(n, m);
	}
	return t;
}

/* What m is to be, or what it is. */
static enum raft_member_role due(const struct node *n, const Gfl__V1__Member *m,
				 int *demote, int *promote)
{
	enum raft_member_role now = (enum raft_member_role)m->role;

	if (now == RAFT_VOTER && m->liveness && *demote)
		return --*demote, RAFT_STANDBY;
	if (now == RAFT_VOTER || !fresh(n, m))
		return now;
	if (*promote)
		return --*promote, RAFT_VOTER;
	return RAFT_STANDBY;
}

/* A voter that is down goes when another takes its place in the same step, so
 * that no quorum is of fewer in between; then whoever has a place gets it. */
size_t voters_due(const struct node *n, struct raft_member **to)
{
	struct tally t = count(n);
	int seats =
		n->cfg.max_voters > t.voters ? n->cfg.max_voters - t.voters : 0;
	int demote = t.gone < t.fresh ? t.gone : t.fresh;
	int promote = seats + demote;
	size_t count = 0;

	*to = mem_zero(n->state->nmembers, sizeof(**to));
	for (size_t i = 0; i < n->state->nmembers; i++) {
		const Gfl__V1__Member *m = n->state->members[i];
		enum raft_member_role role = due(n, m, &demote, &promote);

		if (role != (enum raft_member_role)m->role)
			(*to)[count++] =
				(struct raft_member){.id = m->id, .role = role};
	}
	if (!count)
		free(*to);
	return count;
}
