/* Joining a cluster through a member that a gateway or the user named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/membership_impl.h"
#include "registry/seen.h"
#include "wire/rpc.h"

enum {
	TAKEN_MS = 30000, /* a lease, and what marks a member down */
	ALONE_MS = 3000,  /* without any gateway, before founding alone */
};

static void join(struct membership *m);

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
	if (member_become(n, &why))
		node_end(n, &why);
}

static void admitted(struct membership *m, const Gfl__V1__JoinResponse *out)
{
	struct node *n = m->n;

	snprintf(n->meta.cluster_id, sizeof(n->meta.cluster_id), "%s",
		 out->cluster_id);
	n->meta.node_id = out->node_id;
	n->joined = out->index;
	n->joined_term = out->term;
	for (size_t i = 0; i < out->n_members; i++)
		node_hint(n, out->members[i]->id, out->members[i]->url);
	membership_wait_for(m, "the log of cluster %s", n->meta.cluster_id);
	life_store(n, stored);
}

/* It may be an earlier life of ours that has the id: who could not be told of
 * its end finds out when it stays silent. */
static bool may_become_free(struct membership *m, const struct err *err)
{
	if (err->code != ERR_ALREADY_EXISTS || !m->n->reborn)
		return false;
	if (!m->taken_ms)
		m->taken_ms = clock_ms();
	return clock_ms() - m->taken_ms < TAKEN_MS;
}

/* ---- by a member ---- */

static void drop_url(struct membership *m, size_t i)
{
	free(m->urls[i]);
	m->urls[i] = m->urls[--m->nurls];
}

/* Try the next member, or begin anew. */
static void refused(struct membership *m, const struct err *err)
{
	bool taken =
		err->code == ERR_ALREADY_EXISTS && !may_become_free(m, err);

	if (err->code == ERR_FAILED_PRECONDITION ||
	    err->code == ERR_INVALID_ARGUMENT ||
	    (taken && m->id && m->id == m->n->cfg.node_id)) {
		node_end(m->n, err);
		return;
	}
	if (taken)
		m->id = 0;
	membership_wait_for(m, "a member at %s: %s", m->urls[m->url], err->msg);
	drop_url(m, m->url);
	join(m);
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

static void ask_to_join(struct membership *m)
{
	Gfl__V1__JoinRequest in = GFL__V1__JOIN_REQUEST__INIT;
	Gfl__V1__Member self;

	membership_self(m->n, &self);
	self.id = m->id;
	in.cluster_id = m->cluster;
	in.member = &self;
	membership_call(m, m->urls[m->url], RPC_NODE_JOIN, &in.base, joined);
}

/* A node that waits for a cluster itself is of no help. */
static bool is_member(const ProtobufCMessage *out, size_t i, void *arg)
{
	struct membership *m = arg;

	m->url = i;
	m->found = *((const Gfl__V1__NodeStatus *)out)->cluster_id != '\0';
	return m->found;
}

static void looked(const struct err *err, void *arg)
{
	struct membership *m = arg;

	m->hedge = NULL;
	if (m->found) {
		ask_to_join(m);
		return;
	}
	membership_wait_for(m, "a member: %s",
			    err ? err->msg : "none is in a cluster yet");
	membership_later(m, join_begin);
}

/* Find one that answers, then ask it: that it takes its time is no sign that
 * it hangs. */
static void join(struct membership *m)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;

	m->found = false;
	if (m->nurls)
		membership_ask_all(m, (const char *const *)m->urls, m->nurls,
				   RPC_NODE_GET_STATUS, &in.base,
				   &(struct hedge_opts){0}, is_member, looked);
	else
		membership_later(m, join_begin);
}

/* ---- by the gateways ---- */

/* All gateways are asked: one that was set up anew may grant a bootstrap where
 * another knows the cluster. */
static bool welcomed(const ProtobufCMessage *msg, size_t i, void *arg)
{
	const RegisterNodeResponse *out = (const RegisterNodeResponse *)msg;
	struct membership *m = arg;

	if (!m->id)
		m->id = out->node_id;
	if (out->is_bootstrap) {
		m->granted = true;
		m->gateway = i;
	}
	if (!*out->cluster_id || strlen(out->cluster_id) >= sizeof(m->cluster))
		return false;
	memcpy(m->cluster, out->cluster_id, strlen(out->cluster_id) + 1);
	if (out->leader)
		add_url(m, out->leader->url);
	for (size_t k = 0; k < out->n_nodes; k++)
		if (*out->nodes[k]->cluster_id)
			add_url(m, out->nodes[k]->url);
	return false;
}

/* Is it time to found a cluster without any gateway? Where the members of one
 * were seen, never. */
static bool may_found_alone(struct membership *m, const struct err *err)
{
	const struct node_config *cfg = &m->n->cfg;
	struct opt_list gateways = {0}, seen;

	if (!cfg->bootstrap_alone || *m->cluster)
		return false;
	if (!m->alone_ms)
		m->alone_ms = clock_ms();
	for (size_t i = 0; i < cfg->ngateways && i < OPT_LIST_MAX; i++)
		gateways.at[gateways.n++] = cfg->gateways[i];
	seen_get(&gateways, &seen);
	if (seen.n)
		membership_wait_for(m,
				    "a gateway (%s), or --join=%s, which "
				    "was a member",
				    err->msg, seen.at[0]);
	for (size_t i = 0; i < seen.n; i++)
		free((char *)(uintptr_t)seen.at[i]);
	return !seen.n && clock_ms() - m->alone_ms >= ALONE_MS;
}

static void not_welcomed(struct membership *m, const struct err *err)
{
	if ((err->code == ERR_ALREADY_EXISTS && !may_become_free(m, err)) ||
	    err->code == ERR_FAILED_PRECONDITION ||
	    err->code == ERR_INVALID_ARGUMENT) {
		node_end(m->n, err);
	} else if (may_found_alone(m, err)) {
		log_warn("founding_without_a_gateway", "error=%s", err->msg);
		found_begin(m);
	} else {
		if (!m->n->cfg.bootstrap_alone)
			membership_wait_for(m, "a gateway: %s", err->msg);
		membership_later(m, join_begin);
	}
}

static void registered(const struct err *err, void *arg)
{
	struct membership *m = arg;

	m->hedge = NULL;
	if (err) {
		not_welcomed(m, err);
		return;
	}
	m->alone_ms = 0;
	if (*m->cluster) {
		m->granted = false; /* our grant ends with its time */
		membership_wait_for(m, "a member of cluster %s", m->cluster);
		join(m);
	} else if (m->granted) {
		found_begin(m);
	} else {
		membership_wait_for(m, "gateway %s to know a cluster",
				    m->n->cfg.gateways[0]);
		membership_later(m, join_begin);
	}
}

static void ask_gateways(struct membership *m)
{
	RegisterNodeRequest in = REGISTER_NODE_REQUEST__INIT;
	const struct hedge_opts how = {
		.together = m->n->cfg.ngateways,
		.grace_ms = HEDGE_PACE_MS,
		.any_failure = true,
	};

	in.node_id = (int32_t)m->id;
	in.url = (char *)node_url(m->n);
	in.instance_id = m->n->meta.instance_id;
	m->granted = false;
	membership_ask_all(m, m->n->cfg.gateways, m->n->cfg.ngateways,
			   RPC_GATEWAY_REGISTER_NODE, &in.base, &how, welcomed,
			   registered);
}

void join_begin(void *arg)
{
	struct membership *m = arg;

	membership_forget_urls(m);
	if (!m->n->cfg.njoins) {
		ask_gateways(m);
		return;
	}
	for (size_t i = 0; i < m->n->cfg.njoins; i++)
		add_url(m, m->n->cfg.joins[i]);
	join(m);
}
