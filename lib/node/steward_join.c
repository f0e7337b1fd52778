/* The leader lets servers into the cluster, and out of it. */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "node/steward_impl.h"
#include "wire/rpc.h"
#include "wire/transfer.h"

static void reply_joined(struct ask *a, const struct driver_result *result)
{
	const struct state *s = a->n->state;
	Gfl__V1__JoinResponse out = GFL__V1__JOIN_RESPONSE__INIT;

	out.node_id = result->id;
	out.cluster_id = a->n->meta.cluster_id;
	out.n_members = s->nmembers;
	out.members = s->members;
	out.index = s->applied;
	out.term = s->term;
	ask_answer(a, &out.base);
}

static void join_again(struct ask *a, const struct driver_result *result)
{
	(void)result;
	ask_begin(a);
}

static Gfl__V1__Member *by_instance(const struct state *s, const char *instance)
{
	for (size_t i = 0; i < s->nmembers; i++)
		if (!strcmp(s->members[i]->instance_id, instance))
			return s->members[i];
	return NULL;
}

/* No cluster is above itself, not even by way of another. */
static int check_lower(const struct node *n, const char *lower, struct err *err)
{
	if (!*lower)
		return 0;
	if (!str_is_id(lower))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a cluster id is 32 hex digits, not \"%.40s\"",
			       lower);
	if (strcmp(lower, n->meta.cluster_id) != 0 &&
	    strcmp(lower, cluster_upper_id(n->cluster)) != 0)
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION,
		       "cluster %s is not below cluster %s: it is that, or "
		       "above it",
		       lower, n->meta.cluster_id);
}

static int check_join(const struct node *n, const Gfl__V1__JoinRequest *in,
		      struct err *err)
{
	if (*in->cluster_id && strcmp(in->cluster_id, n->meta.cluster_id))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "node %" PRId64 " is of cluster %s, not of %s",
			       n->meta.node_id, n->meta.cluster_id,
			       in->cluster_id);
	if (!in->member || !*in->member->instance_id ||
	    strlen(in->member->instance_id) > 64 || in->member->id < 0 ||
	    in->member->id > STATE_ID_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a member has an id, a URL and an instance");
	if (check_lower(n, in->member->lower_id, err))
		return (int)err->code;
	if (n->state->nmembers >= STATE_MEMBERS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "the cluster has %d members", STATE_MEMBERS_MAX);
	return transfer_check_url(in->member->url, err);
}

/* A member that is known to us by its instance: it may have moved. */
static int welcome_back(struct ask *a, const Gfl__V1__Member *old,
			const Gfl__V1__Member *now, struct err *err)
{
	struct driver_result same = {.id = old->id};
	struct steward_note e;

	if (!strcmp(old->url, now->url) && !old->liveness) {
		reply_joined(a, &same);
		return 0;
	}
	steward_note(&e, STEWARD_ACTION(ADD), old->id);
	e.member.url = now->url;
	e.member.instance_id = now->instance_id;
	return ask_propose(a, &e.entry, reply_joined, err);
}

static int admit(struct ask *a, const Gfl__V1__Member *who, int64_t id,
		 struct err *err)
{
	struct steward_note e;

	steward_note(&e, STEWARD_ACTION(ADD), id);
	e.member.url = who->url;
	e.member.instance_id = who->instance_id;
	e.member.lower_id = who->lower_id;
	e.member.lower_term = who->lower_term;
	e.member.role = GFL__V1__ROLE__LEARNER;
	log_info("join", "node=%" PRId64 " url=%s", id, who->url);
	return ask_change(a, id, RAFT_LEARNER, &e.entry, reply_joined, err);
}

/* Certain by now that we lead, and so that we know all members. */
static void reply_stranger(struct ask *a, const struct driver_result *result)
{
	const Gfl__V1__JoinRequest *in = (const Gfl__V1__JoinRequest *)a->in;
	const Gfl__V1__Member *m =
		by_instance(a->n->state, in->member->instance_id);
	struct driver_result same = {.id = m ? m->id : 0};
	struct err err;

	(void)result;
	if (m) {
		reply_joined(a, &same);
		return;
	}
	err_set(&err, ERR_NOT_FOUND,
		"node %" PRId64 " is not a member any more", in->member->id);
	ask_fail(a, &err);
}

int steward_join(struct ask *a, struct err *err)
{
	const Gfl__V1__JoinRequest *in = (const Gfl__V1__JoinRequest *)a->in;
	struct node *n = a->n;
	const Gfl__V1__Member *who = in->member, *old, *holder;
	struct steward_note e;
	int rc = check_join(n, in, err);

	if (rc)
		return rc;
	old = by_instance(n->state, who->instance_id);
	if (old)
		return welcome_back(a, old, who, err);
	if (who->role) /* it was a member, it says */
		return ask_read(a, reply_stranger, err);
	holder = state_member(n->state, who->id);
	if (holder && !holder->liveness && strcmp(holder->url, who->url) != 0)
		return err_set(err, ERR_ALREADY_EXISTS,
			       "node %" PRId64 " is alive at %s", who->id,
			       holder->url);
	if (holder) /* its log may be gone with it: it is another server */
		return ask_change(
			a, who->id, RAFT_NONE,
			steward_note(&e, STEWARD_ACTION(REMOVE), who->id),
			join_again, err);
	return admit(a, who, who->id ? who->id : state_next_id(n->state), err);
}

static void reply_left(struct ask *a, const struct driver_result *result)
{
	Gfl__V1__LeaveResponse out = GFL__V1__LEAVE_RESPONSE__INIT;

	out.index = result->index;
	ask_answer(a, &out.base);
}

int steward_leave(struct ask *a, struct err *err)
{
	const Gfl__V1__LeaveRequest *in = (const Gfl__V1__LeaveRequest *)a->in;
	struct node *n = a->n;
	const Gfl__V1__Member *m = state_member(n->state, in->node_id);
	struct driver_result none = {0};
	struct steward_note e;

	if (m && *in->instance_id && strcmp(m->instance_id, in->instance_id))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "node %" PRId64 " is another one by now",
			       in->node_id);
	if (!m) {
		reply_left(a, &none);
		return 0;
	}
	if (in->node_id == n->meta.node_id)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "node %" PRId64 " leads: transfer first",
			       in->node_id);
	log_info("leave", "node=%" PRId64, in->node_id);
	return ask_change(a, in->node_id, RAFT_NONE,
			  steward_note(&e, STEWARD_ACTION(REMOVE), in->node_id),
			  reply_left, err);
}
