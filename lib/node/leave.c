/* Leaving a cluster, by will or removed by the others. */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "node/membership_impl.h"
#include "wire/rpc.h"

enum { PATIENCE_MS = 2000 }; /* to be let go: several elections */

static void parted(const struct err *err, void *arg)
{
	struct node *n = arg;
	struct err why;

	if (!n->membership)
		return;
	if (err || !n->removed) {
		node_end(n, err);
		return;
	}
	err_set(&why, ERR_FAILED_PRECONDITION,
		"node %" PRId64 " was removed from cluster %s", n->meta.node_id,
		n->meta.cluster_id);
	err_hint(&why, "start it again to join as a new member");
	node_end(n, &why);
}

static void unlisted(struct node *n)
{
	life_part(n, parted);
}

/* The gateways forget this life first: the next has another instance. */
void membership_removed(struct node *n)
{
	n->removed = true;
	announce_leave(n, unlisted);
}

static void ask_again(void *arg)
{
	membership_leader(((struct membership *)arg)->n);
}

static void left(const struct err *err, const ProtobufCMessage *out, void *arg)
{
	struct membership *m = arg;

	(void)out;
	m->rpc = NULL;
	if (!err) {
		life_part(m->n, parted);
		return;
	}
	log_debug("leaving", "error=%s", err->msg);
	timer_set(&m->timer, m->n->loop, MEMBERSHIP_BACKOFF_MS / 2, ask_again,
		  m);
}

static void give_up(void *arg)
{
	struct membership *m = arg;

	log_warn("left_without_being_let_go", "node=%" PRId64,
		 m->n->meta.node_id);
	node_end(m->n, NULL);
}

static void ask_to_go(struct node *n, const char *url)
{
	Gfl__V1__LeaveRequest in = GFL__V1__LEAVE_REQUEST__INIT;

	in.node_id = n->meta.node_id;
	in.instance_id = n->meta.instance_id;
	membership_call(n->membership, url, RPC_NODE_LEAVE, &in.base, left);
}

/* Hand over, then ask the new leader to remove us. */
void membership_leader(struct node *n)
{
	struct membership *m = n->membership;
	struct raft_status s;
	const char *url;
	struct err err;

	if (!n->leaving || !n->driver || m->rpc || n->ended)
		return;
	raft_status(driver_raft(n->driver), &s);
	if (s.role == RAFT_LEADER) {
		if (!s.transfer_to && driver_transfer(n->driver, 0, &err))
			node_end(n, NULL);
		return;
	}
	url = n->leader ? node_url_of(n, n->leader) : NULL;
	if (url && n->cfg.keep_membership)
		node_end(n, NULL);
	else if (url)
		ask_to_go(n, url);
}

void membership_leave(struct node *n)
{
	struct membership *m = n->membership;
	int64_t patience_ms = n->cfg.shutdown_ms / 2;

	client_cancel(m->rpc);
	hedge_cancel(m->hedge);
	m->rpc = NULL;
	m->hedge = NULL;
	if (!n->driver || n->state->nmembers < 2) {
		node_end(n, NULL);
		return;
	}
	log_info("leaving", "node=%" PRId64, n->meta.node_id);
	if (!patience_ms || patience_ms > PATIENCE_MS)
		patience_ms = PATIENCE_MS;
	timer_stop(&m->timer);
	timer_set(&m->patience, n->loop, patience_ms, give_up, m);
	if (!n->cfg.keep_membership) {
		life_ask(n);
		announce_leave(n, NULL);
	}
	membership_leader(n);
}
