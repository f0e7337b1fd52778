/* The gateways know us: registration, heartbeats, and who leads. A gateway that
 * is lost is tolerated; each is on its own. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/node_impl.h"
#include "registry/lease.h"

enum {
	CALL_MS = 5000, /* unless the lease is short */
	CALL_MIN_MS = 1000,
	LEAVE_MS = 1000,
	RETRY_MS = 1000,
	PERIOD_MIN_MS = 10,
};

struct gateway_link {
	struct node *n;
	const char *url;
	struct rpc *rpc;
	struct timer timer;
	bool registered, warned;
	bool known;   /* it has taken us in before */
	bool unknown; /* it knows us no more, or not yet, or not as we are */
	int64_t period_ms, call_ms;
	int32_t version;   /* of its registry, when last heard */
	int64_t told_term; /* of the leadership it was told */
	const char *role;  /* that it was told */
};

struct announce {
	size_t n, leaving; /* links; those that have yet to let us go */
	void (*on_left)(struct node *n);
	struct gateway_link links[];
};

static void step(void *arg);

void announce_open(struct node *n)
{
	size_t count = n->cfg.ngateways;
	struct announce *a =
		mem_zero(1, sizeof(*a) + count * sizeof(struct gateway_link));

	a->n = count;
	for (size_t i = 0; i < count; i++) {
		a->links[i].n = n;
		a->links[i].url = n->cfg.gateways[i];
		a->links[i].period_ms = LEASE_BEAT_MS;
		a->links[i].call_ms = CALL_MS;
		a->links[i].unknown = true;
	}
	n->announce = a;
}

void announce_close(struct node *n)
{
	struct announce *a = n->announce;

	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++) {
		client_cancel(a->links[i].rpc);
		timer_stop(&a->links[i].timer);
	}
	free(a);
	n->announce = NULL;
}

bool announce_reaches(const struct node *n)
{
	for (size_t i = 0; i < n->announce->n; i++)
		if (n->announce->links[i].registered)
			return true;
	return false;
}

static void call(struct gateway_link *l, enum rpc_name name,
		 const ProtobufCMessage *in, rpc_done_fn *done)
{
	const struct rpc_opts opts = {.timeout_ms = l->call_ms};

	l->rpc = client_call(l->n->client, l->url, name, in, &opts, done, l);
}

static void again(struct gateway_link *l, int64_t after_ms)
{
	timer_set(&l->timer, l->n->loop, after_ms, step, l);
}

/* Its restart leaves us two periods to be heard. */
static int64_t retry_ms(const struct gateway_link *l)
{
	return l->period_ms / 2 < RETRY_MS ? l->period_ms / 2 : RETRY_MS;
}

/* The first answer of all decides whether this is our gateway; later it may
 * have been set up anew for others, and we go on without it. */
static void failed(struct gateway_link *l, const struct err *err)
{
	l->rpc = NULL;
	l->registered = false;
	if (err->code == ERR_FAILED_PRECONDITION && !l->known) {
		node_end(l->n, err);
		return;
	}
	if (!l->warned)
		log_warn("gateway_lost", "url=%s error=%s", l->url, err->msg);
	l->warned = true;
	again(l, retry_ms(l));
}

static void took(struct gateway_link *l, int64_t lease_ms)
{
	if (l->warned)
		log_info("gateway_back", "url=%s", l->url);
	l->warned = l->unknown = false;
	l->registered = l->known = true;
	if (lease_ms <= 0)
		return;
	l->period_ms = lease_beat_ms(lease_ms);
	if (l->period_ms < PERIOD_MIN_MS)
		l->period_ms = PERIOD_MIN_MS;
	l->call_ms = l->period_ms < CALL_MIN_MS ? CALL_MIN_MS : l->period_ms;
}

static void registered(const struct err *err, const ProtobufCMessage *msg,
		       void *arg)
{
	const RegisterNodeResponse *out = (const RegisterNodeResponse *)msg;
	struct gateway_link *l = arg;

	l->rpc = NULL;
	if (err) {
		failed(l, err);
		return;
	}
	took(l, out->lease_ms);
	l->told_term = 0;
	for (size_t i = 0; i < out->n_nodes; i++)
		if (!strcmp(out->nodes[i]->cluster_id, l->n->meta.cluster_id))
			node_hint(l->n, out->nodes[i]->node_id,
				  out->nodes[i]->url);
	again(l, l->n->leads ? 0 : l->n->leader ? l->period_ms : RETRY_MS);
}

/* A registry that has gone back in time, by a copy of its file put in place,
 * knows of a leader before us, or of an address that we had before. */
static void heard(const struct err *err, const ProtobufCMessage *msg, void *arg)
{
	const HeartbeatResponse *out = (const HeartbeatResponse *)msg;
	struct gateway_link *l = arg;

	l->rpc = NULL;
	if (err) {
		failed(l, err);
		return;
	}
	if (!strcmp(out->status, "received")) {
		took(l, out->lease_ms);
		if (out->leader_term < l->told_term)
			l->told_term = 0;
		again(l, l->period_ms);
		return;
	}
	l->registered = false;
	l->unknown = true;
	again(l, 0);
}

static void led(const struct err *err, const ProtobufCMessage *msg, void *arg)
{
	struct gateway_link *l = arg;

	(void)msg;
	l->rpc = NULL;
	if (err)
		failed(l, err);
	else
		again(l, 0);
}

static const char *role(const struct node *n)
{
	const Gfl__V1__Member *m = state_member(n->state, n->meta.node_id);

	if (n->leads)
		return "leader";
	if (!m || m->role == GFL__V1__ROLE__LEARNER)
		return "learner";
	return m->role == GFL__V1__ROLE__VOTER ? "voter" : "standby";
}

static void enroll(struct gateway_link *l)
{
	RegisterNodeRequest in = REGISTER_NODE_REQUEST__INIT;
	struct node *n = l->n;

	in.node_id = (int32_t)n->meta.node_id;
	in.url = (char *)node_url(n);
	in.instance_id = n->meta.instance_id;
	in.cluster_id = n->meta.cluster_id;
	in.role = (char *)(l->role = role(n));
	in.brief = n->leader != 0;
	call(l, RPC_GATEWAY_REGISTER_NODE, &in.base, registered);
}

static void tell_leader(struct gateway_link *l)
{
	UpdateLeaderRequest in = UPDATE_LEADER_REQUEST__INIT;
	struct node *n = l->n;

	in.leader_id = (int32_t)n->meta.node_id;
	in.term = l->told_term = n->term;
	in.cluster_id = n->meta.cluster_id;
	in.instance_id = n->meta.instance_id;
	call(l, RPC_GATEWAY_UPDATE_LEADER, &in.base, led);
}

static void beat(struct gateway_link *l)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;
	struct node *n = l->n;

	in.node_id = (int32_t)n->meta.node_id;
	in.instance_id = n->meta.instance_id;
	in.cluster_id = n->meta.cluster_id;
	in.url = (char *)node_url(n);
	in.role = (char *)(l->role = role(n));
	call(l, RPC_GATEWAY_HEARTBEAT, &in.base, heard);
}

static void step(void *arg)
{
	struct gateway_link *l = arg;

	if (l->rpc || l->n->leaving)
		return;
	if (l->unknown || !l->n->leader) /* where are the others? */
		enroll(l);
	else if (l->n->leads && l->told_term < l->n->term)
		tell_leader(l);
	else
		beat(l);
}

void announce_start(struct node *n)
{
	for (size_t i = 0; i < n->announce->n; i++)
		again(&n->announce->links[i], 0);
}

/* A new leader or a new role is told at once, not with the next heartbeat. */
void announce_news(struct node *n)
{
	for (size_t i = 0; i < n->announce->n; i++) {
		struct gateway_link *l = &n->announce->links[i];

		if (l->registered && !l->rpc &&
		    (l->role != role(n) ||
		     (n->leads && l->told_term < n->term)))
			again(l, 0);
	}
}

void announce_refresh(struct node *n)
{
	for (size_t i = 0; i < n->announce->n; i++) {
		struct gateway_link *l = &n->announce->links[i];

		if (!l->rpc) {
			l->registered = false;
			again(l, 0);
		}
	}
}

static void left(struct node *n)
{
	if (n->announce->on_left)
		n->announce->on_left(n);
}

static void removed(const struct err *err, const ProtobufCMessage *msg,
		    void *arg)
{
	struct gateway_link *l = arg;

	(void)msg;
	l->rpc = NULL;
	if (err)
		log_debug("leave_gateway", "error=%s", err->msg);
	if (!--l->n->announce->leaving)
		left(l->n);
}

static void leave(struct gateway_link *l)
{
	const struct rpc_opts opts = {.timeout_ms = LEAVE_MS};
	RemoveNodeRequest in = REMOVE_NODE_REQUEST__INIT;

	timer_stop(&l->timer);
	client_cancel(l->rpc);
	in.node_id = (int32_t)l->n->meta.node_id;
	in.instance_id = l->n->meta.instance_id;
	l->rpc = client_call(l->n->client, l->url, RPC_GATEWAY_REMOVE_NODE,
			     &in.base, &opts, removed, l);
	l->n->announce->leaving++;
}

void announce_leave(struct node *n, void (*on_left)(struct node *n))
{
	struct announce *a = n->announce;

	a->on_left = on_left;
	for (size_t i = 0; i < a->n; i++)
		leave(&a->links[i]);
	if (!a->leaving)
		left(n);
}
