/* Members of the cluster, as membership entries make them. */
#include <string.h>

#include "node/state_impl.h"
#include "wire/rpc.h"

#define ACTION(name) GFL__V1__MEMBERSHIP__ACTION__##name

/* The first entry names the cluster; no other may rename it. */
static bool adopt(struct turn *t, const char *cluster_id)
{
	if (!*cluster_id || !strcmp(cluster_id, t->s->cluster_id))
		return true;
	if (*t->s->cluster_id || strlen(cluster_id) != 32) {
		err_set(&t->res->refused, ERR_FAILED_PRECONDITION,
			"cluster %s cannot become %s", t->s->cluster_id,
			cluster_id);
		return false;
	}
	memcpy(t->s->cluster_id, cluster_id, 33);
	return true;
}

/* Raft's configuration has a new member, or one in a new role. */
static void put(struct turn *t, const Gfl__V1__Member *m)
{
	struct state_list members = STATE_LIST(t->s, members);

	if (state_find(members, m->id))
		state_remove(members, m->id);
	state_insert(members, rpc_copy(&m->base));
}

/* A member is back, perhaps at another address. */
static void readdress(struct turn *t, const Gfl__V1__Member *m)
{
	Gfl__V1__Member *old = state_member(t->s, m->id);

	if (!old) {
		err_set(&t->res->refused, ERR_NOT_FOUND,
			"node %lld is no member", (long long)m->id);
	} else if (strcmp(old->instance_id, m->instance_id)) {
		err_set(&t->res->refused, ERR_ALREADY_EXISTS,
			"node %lld is another one, at %s", (long long)m->id,
			old->url);
	} else {
		state_text(&old->url, m->url);
		old->liveness = GFL__V1__LIVENESS__LIVE;
	}
}

static void mark(struct turn *t, const Gfl__V1__Member *m,
		 Gfl__V1__Liveness liveness)
{
	Gfl__V1__Member *old = state_member(t->s, m->id);

	if (!old)
		err_set(&t->res->refused, ERR_NOT_FOUND,
			"node %lld is no member", (long long)m->id);
	else
		old->liveness = liveness;
}

static void set_role(struct turn *t, int64_t id, Gfl__V1__Role role)
{
	Gfl__V1__Member *m = state_member(t->s, id);

	if (m && role)
		m->role = role;
	else if (m)
		state_remove(STATE_LIST(t->s, members), id);
}

/* A voter that is to go keeps its vote, and its URL here, as long as a joint
 * configuration needs it. */
static void take_vote(struct turn *t, int64_t id, Gfl__V1__Role role)
{
	Gfl__V1__Member *m = state_member(t->s, id);

	if (t->config != STATE_JOINT || !m || m->role != GFL__V1__ROLE__VOTER)
		set_role(t, id, role);
	else
		m->fate = role ? GFL__V1__FATE__TO_BE_STANDBY
			       : GFL__V1__FATE__TO_BE_REMOVED;
}

void state_end_joint(struct turn *t)
{
	for (size_t i = t->s->nmembers; i-- > 0;) {
		Gfl__V1__Member *m = t->s->members[i];
		bool removed = m->fate == GFL__V1__FATE__TO_BE_REMOVED;

		if (!m->fate)
			continue;
		m->fate = GFL__V1__FATE__STAYS;
		set_role(t, m->id,
			 removed ? GFL__V1__ROLE__ROLE_NONE
				 : GFL__V1__ROLE__STANDBY);
		t->res->changed |= STATE_MEMBER;
	}
}

/* Raft changed its configuration with this entry, so the state follows. */
static void follow(struct turn *t, const Gfl__V1__Membership *c)
{
	switch (c->action) {
	case ACTION(ADD):
		put(t, c->member);
		break;
	case ACTION(PROMOTE):
		set_role(t, c->member->id, GFL__V1__ROLE__VOTER);
		break;
	case ACTION(DEMOTE):
		take_vote(t, c->member->id, GFL__V1__ROLE__STANDBY);
		break;
	case ACTION(REMOVE):
		take_vote(t, c->member->id, GFL__V1__ROLE__ROLE_NONE);
		break;
	default:
		break;
	}
}

void state_apply_membership(struct turn *t, const Gfl__V1__Membership *c)
{
	t->res->id = c->member->id;
	if (!adopt(t, c->cluster_id))
		return;
	if (t->config)
		follow(t, c);
	else if (c->action == ACTION(ADD))
		readdress(t, c->member);
	else if (c->action == ACTION(MARK_DOWN))
		mark(t, c->member, GFL__V1__LIVENESS__DOWN);
	else if (c->action == ACTION(MARK_UP))
		mark(t, c->member, GFL__V1__LIVENESS__LIVE);
	else
		err_set(&t->res->refused, ERR_INVALID_ARGUMENT,
			"roles change by Raft's configuration only");
	if (!t->res->refused.code)
		t->res->changed |= STATE_MEMBER;
}
