/* How a node becomes a member: it resumes, founds a cluster, or joins one. A
 * node whose file knows a cluster asks nobody. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "node/node_impl.h"
#include "wire/rpc.h"

enum {
	CALL_MS = 5000,
	BACKOFF_MS = 100, /* doubles up to the next, jittered by half */
	BACKOFF_MAX_MS = 5000,
	LOOK_MS = 1000,
	PATIENCE_MS = 2000, /* to be let go: several elections */
};

struct membership {
	struct node *n;
	struct rpc *rpc;
	struct timer timer, patience;
	int tries;
	char waits[256];
	int64_t id;                      /* to ask for, 0: any */
	char cluster[RAFT_STORE_ID + 1]; /* that the gateway knows, or empty */
	size_t gateway;                  /* to be asked next */
	char **urls;                     /* of members to join through */
	size_t nurls, url;
	int64_t looked_ms;
};

static void begin(void *arg);
static void ask_gateway(struct membership *m);
static void join(struct membership *m);
static void confirm(void *arg);

void membership_open(struct node *n)
{
	n->membership = mem_zero(1, sizeof(*n->membership));
	n->membership->n = n;
	n->membership->id = n->meta.node_id;
}

static void forget_urls(struct membership *m)
{
	for (size_t i = 0; i < m->nurls; i++)
		free(m->urls[i]);
	free(m->urls);
	m->urls = NULL;
	m->nurls = m->url = 0;
}

void membership_close(struct node *n)
{
	struct membership *m = n->membership;

	if (!m)
		return;
	client_cancel(m->rpc);
	timer_stop(&m->timer);
	timer_stop(&m->patience);
	forget_urls(m);
	free(m);
	n->membership = NULL;
}

const char *membership_waits(const struct node *n)
{
	return n->driver ? NULL : n->membership->waits;
}

/* ---- waiting ---- */

static void waits(struct membership *m, const char *fmt, ...) PRINTF(2, 3);

static void waits(struct membership *m, const char *fmt, ...)
{
	char now[sizeof(m->waits)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(now, sizeof(now), fmt, ap);
	va_end(ap);
	if (!strcmp(now, m->waits))
		return;
	memcpy(m->waits, now, sizeof(now));
	log_info("waiting", "for=%s", m->waits);
}

static int64_t backoff_ms(struct membership *m)
{
	int64_t ms = BACKOFF_MS << (m->tries < 6 ? m->tries : 6);
	struct rand r;

	m->tries++;
	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	rand_os(&r, sizeof(r));
	return ms / 2 + (int64_t)rand_below(&r, (uint64_t)ms / 2 + 1);
}

static void later(struct membership *m, timer_fn *fn)
{
	timer_set(&m->timer, m->n->loop, backoff_ms(m), fn, m);
}

static void call(struct membership *m, const char *url, enum rpc_name name,
		 const ProtobufCMessage *in, rpc_done_fn *done)
{
	const struct rpc_opts opts = {
		.timeout_ms = CALL_MS,
		.bind = m->n->cfg.bind,
	};

	m->rpc = client_call(m->n->client, url, name, in, &opts, done, m);
}

static void end(struct membership *m, const struct err *err)
{
	node_end(m->n, err);
}

/* ---- founding ---- */

static void fill_self(const struct node *n, Gfl__V1__Member *self)
{
	gfl__v1__member__init(self);
	self->id = n->meta.node_id;
	self->url = (char *)node_url(n);
	self->instance_id = (char *)n->meta.instance_id;
}

/* The first entry: this cluster, with us alone. */
static int bootstrap(struct node *n, struct err *err)
{
	Gfl__V1__Membership add = GFL__V1__MEMBERSHIP__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	Gfl__V1__Member self;
	uint8_t *bytes;
	size_t len;
	int rc;

	fill_self(n, &self);
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

	if (node_become(n, &err)) {
		end(m, &err);
		return;
	}
	raft_status(driver_raft(n->driver), &s);
	if (!s.last && bootstrap(n, &err)) {
		end(m, &err);
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
	if (n->cfg.bootstrap || !n->cfg.ngateways)
		found(n->membership);
	else
		confirm(n->membership);
}

/* Draw the cluster's id, and keep it as pending. */
static void draw(struct membership *m)
{
	struct node *n = m->n;

	node_draw_id(n->meta.cluster_id);
	n->meta.node_id = m->id ? m->id : 1;
	n->founding = true;
	waits(m, "the confirmation of cluster %s", n->meta.cluster_id);
	life_store(n, pending);
}

/* Somebody else had the grant by then: join what they founded. */
static void give_way(struct membership *m, const struct err *err)
{
	struct node *n = m->n;

	log_warn("too late to found a cluster", "reason=%s", err->msg);
	n->meta.cluster_id[0] = 0;
	n->founding = false;
	life_store(n, NULL);
	later(m, begin);
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
		give_way(m, err);
	} else {
		waits(m, "a gateway to confirm cluster %s: %s",
		      m->n->meta.cluster_id, err->msg);
		m->gateway++;
		later(m, confirm);
	}
}

static const char *gateway(const struct membership *m)
{
	return m->n->cfg.gateways[m->gateway % m->n->cfg.ngateways];
}

static void confirm(void *arg)
{
	struct membership *m = arg;
	struct node *n = m->n;
	ConfirmBootstrapRequest in = CONFIRM_BOOTSTRAP_REQUEST__INIT;

	in.node_id = (int32_t)n->meta.node_id;
	in.instance_id = n->meta.instance_id;
	in.cluster_id = n->meta.cluster_id;
	call(m, gateway(m), RPC_GATEWAY_CONFIRM_BOOTSTRAP, &in.base, confirmed);
}

/* ---- --bootstrap: no gateway may know a cluster ---- */

static void check_gateways(struct membership *m);

static void checked(const struct err *err, const ProtobufCMessage *msg,
		    void *arg)
{
	const GetNodesResponse *out = (const GetNodesResponse *)msg;
	struct membership *m = arg;
	struct err why;

	m->rpc = NULL;
	if (!err && *out->cluster_id) {
		err_set(&why, ERR_FAILED_PRECONDITION,
			"gateway %s knows cluster %s already", gateway(m),
			out->cluster_id);
		err_hint(&why, "to join it, leave out --bootstrap");
		end(m, &why);
		return;
	}
	m->gateway++;
	check_gateways(m);
}

static void check_gateways(struct membership *m)
{
	GetNodesRequest in = GET_NODES_REQUEST__INIT;

	if (m->gateway < m->n->cfg.ngateways)
		call(m, gateway(m), RPC_GATEWAY_GET_NODES, &in.base, checked);
	else
		draw(m);
}

/* ---- joining ---- */

static void add_url(struct membership *m, const char *url)
{
	if (!*url || !strcmp(url, node_url(m->n)))
		return;
	for (size_t i = 0; i < m->nurls; i++)
		if (!strcmp(m->urls[i], url))
			return;
	m->urls = realloc(m->urls, (m->nurls + 1) * sizeof(*m->urls));
	m->urls[m->nurls++] = mem_str(url);
}

static void stored(const struct err *err, void *arg)
{
	struct node *n = arg;
	struct err why;

	if (err || !n->membership || n->leaving)
		return;
	if (node_become(n, &why))
		node_end(n, &why);
}

static void admitted(struct membership *m, const Gfl__V1__JoinResponse *out)
{
	struct node *n = m->n;

	snprintf(n->meta.cluster_id, sizeof(n->meta.cluster_id), "%s",
		 out->cluster_id);
	n->meta.node_id = out->node_id;
	for (size_t i = 0; i < out->n_members; i++)
		node_hint(n, out->members[i]->id, out->members[i]->url);
	waits(m, "the log of cluster %s", n->meta.cluster_id);
	life_store(n, stored);
}

/* Try the next member, or begin anew. */
static void refused(struct membership *m, const struct err *err)
{
	bool taken = err->code == ERR_ALREADY_EXISTS;

	if (err->code == ERR_FAILED_PRECONDITION ||
	    err->code == ERR_INVALID_ARGUMENT ||
	    (taken && m->id && m->id == m->n->cfg.node_id)) {
		end(m, err);
		return;
	}
	if (taken)
		m->id = 0;
	waits(m, "a member at %s: %s", m->urls[m->url], err->msg);
	m->url++;
	if (m->url < m->nurls)
		join(m);
	else
		later(m, begin);
}

static void joined(const struct err *err, const ProtobufCMessage *out,
		   void *arg)
{
	struct membership *m = arg;

	m->rpc = NULL;
	if (err)
		refused(m, err);
	else
		admitted(m, (const Gfl__V1__JoinResponse *)out);
}

static void join(struct membership *m)
{
	Gfl__V1__JoinRequest in = GFL__V1__JOIN_REQUEST__INIT;
	Gfl__V1__Member self;

	if (m->url >= m->nurls) {
		later(m, begin);
		return;
	}
	fill_self(m->n, &self);
	self.id = m->id;
	in.cluster_id = m->cluster;
	in.member = &self;
	call(m, m->urls[m->url], RPC_NODE_JOIN, &in.base, joined);
}

static void found_or_join(struct membership *m, const RegisterNodeResponse *out)
{
	if (!m->id)
		m->id = out->node_id;
	if (out->is_bootstrap) {
		draw(m);
		return;
	}
	if (*out->cluster_id && strlen(out->cluster_id) < sizeof(m->cluster)) {
		memcpy(m->cluster, out->cluster_id,
		       strlen(out->cluster_id) + 1);
		forget_urls(m);
		if (out->leader)
			add_url(m, out->leader->url);
		for (size_t i = 0; i < out->n_nodes; i++)
			if (*out->nodes[i]->cluster_id)
				add_url(m, out->nodes[i]->url);
		waits(m, "a member of cluster %s", m->cluster);
		join(m);
		return;
	}
	waits(m, "gateway %s to know a cluster", gateway(m));
	m->gateway++;
	later(m, begin);
}

static void registered(const struct err *err, const ProtobufCMessage *out,
		       void *arg)
{
	struct membership *m = arg;

	m->rpc = NULL;
	if (!err) {
		found_or_join(m, (const RegisterNodeResponse *)out);
	} else if (err->code == ERR_ALREADY_EXISTS ||
		   err->code == ERR_FAILED_PRECONDITION ||
		   err->code == ERR_INVALID_ARGUMENT) {
		end(m, err);
	} else {
		waits(m, "a gateway: %s", err->msg);
		m->gateway++;
		later(m, begin);
	}
}

static void ask_gateway(struct membership *m)
{
	RegisterNodeRequest in = REGISTER_NODE_REQUEST__INIT;

	in.node_id = (int32_t)m->id;
	in.url = (char *)node_url(m->n);
	in.instance_id = m->n->meta.instance_id;
	call(m, gateway(m), RPC_GATEWAY_REGISTER_NODE, &in.base, registered);
}

static void begin(void *arg)
{
	struct membership *m = arg;

	if (!m->n->cfg.njoins) {
		ask_gateway(m);
		return;
	}
	forget_urls(m);
	for (size_t i = 0; i < m->n->cfg.njoins; i++)
		add_url(m, m->n->cfg.joins[i]);
	join(m);
}

/* ---- resuming, and staying known ---- */

static int resume(struct node *n, struct err *err)
{
	n->resumed = true;
	if (n->cfg.bootstrap) {
		err_set(err, ERR_FAILED_PRECONDITION,
			"%s knows cluster %s already", n->cfg.db_path,
			n->meta.cluster_id);
		return err_hint(err, "to resume, leave out --bootstrap");
	}
	if (node_become(n, err))
		return (int)err->code;
	node_settle(n);
	return 0;
}

int membership_start(struct node *n, struct err *err)
{
	struct membership *m = n->membership;

	if (n->founding)
		pending(NULL, n);
	else if (n->meta.cluster_id[0])
		return resume(n, err);
	else if (n->cfg.bootstrap)
		check_gateways(m);
	else if (n->cfg.njoins || n->cfg.ngateways)
		begin(m);
	else
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "no gateway, no member to join, no bootstrap");
	return 0;
}

static void told(const struct err *err, const ProtobufCMessage *out, void *arg)
{
	struct membership *m = arg;

	(void)out;
	m->rpc = NULL;
	if (err)
		log_debug("tell url", "error=%s", err->msg);
}

/* We are back, perhaps elsewhere: the log shall say so. */
void membership_look(struct node *n)
{
	struct membership *m = n->membership;
	const Gfl__V1__Member *self = state_member(n->state, n->meta.node_id);
	Gfl__V1__JoinRequest in = GFL__V1__JOIN_REQUEST__INIT;
	Gfl__V1__Member now;
	const char *url;

	if (!self || m->rpc || n->leaving || !n->leader ||
	    (!strcmp(self->url, node_url(n)) && !self->liveness) ||
	    clock_ms() - m->looked_ms < LOOK_MS)
		return;
	m->looked_ms = clock_ms();
	fill_self(n, &now);
	in.cluster_id = n->meta.cluster_id;
	in.member = &now;
	url = n->leads ? node_url(n) : node_url_of(n, n->leader);
	if (url)
		call(m, url, RPC_NODE_JOIN, &in.base, told);
}

/* ---- going ---- */

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
	timer_set(&m->timer, m->n->loop, BACKOFF_MS / 2, ask_again, m);
}

static void give_up(void *arg)
{
	struct membership *m = arg;

	log_warn("left without being let go", "node=%" PRId64,
		 m->n->meta.node_id);
	node_end(m->n, NULL);
}

static void ask_to_go(struct node *n, const char *url)
{
	Gfl__V1__LeaveRequest in = GFL__V1__LEAVE_REQUEST__INIT;

	in.node_id = n->meta.node_id;
	in.instance_id = n->meta.instance_id;
	call(n->membership, url, RPC_NODE_LEAVE, &in.base, left);
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
	m->rpc = NULL;
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
