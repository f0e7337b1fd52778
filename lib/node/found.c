/* Founding a cluster: draw its id and keep it as pending, have the gateway
 * confirm it, and only then write the first entry. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "node/membership_impl.h"
#include "wire/rpc.h"

static void confirm(void *arg);

/* The first entry: this cluster, with us alone. */
static int bootstrap(struct node *n, struct err *err)
{
	Gfl__V1__Membership add = GFL__V1__MEMBERSHIP__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	Gfl__V1__Member self;
	uint8_t *bytes;
	size_t len;
	int rc;

	membership_self(n, &self);
	self.role = GFL__V1__ROLE__VOTER;
	add.action = GFL__V1__MEMBERSHIP__ACTION__ADD;
	add.member = &self;
	add.cluster_id = n->meta.cluster_id;
	e.kind_case = GFL__V1__ENTRY__KIND_MEMBERSHIP;
	e.membership = &add;
	bytes = mem_zero(1, gfl__v1__entry__get_packed_size(&e));
	len = gfl__v1__entry__pack(&e, bytes);
	rc = driver_bootstrap(n->driver, bytes, len, err);
	free(bytes);
	return rc;
}

/* The right to found is ours: open Raft, and write the first entry unless a
 * start before this one did. */
static void found(struct membership *m)
{
	struct node *n = m->n;
	struct raft_status s;
	struct err err;

	if (member_become(n, &err)) {
		node_end(m->n, &err);
		return;
	}
	raft_status(driver_raft(n->driver), &s);
	if (!s.last && bootstrap(n, &err)) {
		node_end(m->n, &err);
		return;
	}
	n->founding = false;
	life_store(n, NULL);
	node_settle(n);
}

static void pending(const struct err *err, void *arg)
{
	struct node *n = arg;

	if (err || !n->membership)
		return;
	if (n->cfg.bootstrap || !n->cfg.ngateways || n->membership->alone_ms)
		found(n->membership);
	else
		confirm(n->membership);
}

/* Draw the cluster's id, and keep it as pending. */
void found_begin(struct membership *m)
{
	struct node *n = m->n;

	m->denied = 0;
	node_draw_id(n->meta.cluster_id);
	n->meta.node_id = m->id ? m->id : 1;
	n->founding = true;
	membership_wait_for(m, "the confirmation of cluster %s",
			    n->meta.cluster_id);
	life_store(n, pending);
}

/* Somebody else had the grant by then: join what they founded. */
static void give_way(struct membership *m, const struct err *err)
{
	struct node *n = m->n;

	log_warn("too_late_to_found_a_cluster", "error=%s", err->msg);
	n->meta.cluster_id[0] = 0;
	n->founding = false;
	life_store(n, NULL);
	membership_later(m, join_begin);
}

/* Only the gateway that granted can deny, and before a restart that may have
 * been any of them. */
static void denied(struct membership *m, const struct err *err)
{
	m->gateway++;
	if (++m->denied < m->n->cfg.ngateways)
		confirm(m);
	else
		give_way(m, err);
}

static void confirmed(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	struct membership *m = arg;

	(void)out;
	m->rpc = NULL;
	if (!err) {
		found(m);
	} else if (err->code == ERR_FAILED_PRECONDITION ||
		   err->code == ERR_NOT_FOUND) {
		denied(m, err);
	} else {
		membership_wait_for(m, "a gateway to confirm cluster %s: %s",
				    m->n->meta.cluster_id, err->msg);
		m->denied = 0;
		m->gateway++;
		membership_later(m, confirm);
	}
}

static void confirm(void *arg)
{
	struct membership *m = arg;
	struct node *n = m->n;
	ConfirmBootstrapRequest in = CONFIRM_BOOTSTRAP_REQUEST__INIT;

	in.node_id = (int32_t)n->meta.node_id;
	in.instance_id = n->meta.instance_id;
	in.cluster_id = n->meta.cluster_id;
	membership_call(m, membership_gateway(m), RPC_GATEWAY_CONFIRM_BOOTSTRAP,
			&in.base, confirmed);
}

/* ---- --bootstrap: no gateway may know a cluster ---- */

static bool known(const ProtobufCMessage *msg, size_t i, void *arg)
{
	const GetNodesResponse *out = (const GetNodesResponse *)msg;
	struct membership *m = arg;

	if (!*out->cluster_id)
		return false;
	m->gateway = i;
	str_copy(m->cluster, sizeof(m->cluster), out->cluster_id);
	return true;
}

static void checked(const struct err *err, void *arg)
{
	struct membership *m = arg;
	struct err why;

	(void)err; /* who cannot be reached knows nothing */
	m->hedge = NULL;
	if (!*m->cluster) {
		found_begin(m);
		return;
	}
	err_set(&why, ERR_FAILED_PRECONDITION,
		"gateway %s knows cluster %s already", membership_gateway(m),
		m->cluster);
	err_hint(&why, "to join it, leave out --bootstrap");
	node_end(m->n, &why);
}

void found_unasked(struct membership *m)
{
	GetNodesRequest in = GET_NODES_REQUEST__INIT;
	const struct hedge_opts how = {
		.together = m->n->cfg.ngateways,
		.any_failure = true,
	};

	membership_ask_all(m, m->n->cfg.gateways, m->n->cfg.ngateways,
			   RPC_GATEWAY_GET_NODES, &in.base, &how, known,
			   checked);
}

void found_resume(struct node *n)
{
	pending(NULL, n);
}
