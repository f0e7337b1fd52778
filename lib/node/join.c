/* Joining a cluster through a member that a gateway or the user named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "node/membership_impl.h"
#include "wire/rpc.h"

enum { TAKEN_MS = 30000 }; /* a lease, and what marks a member down */

static void ask_gateway(struct membership *m);
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
	m->url++;
	if (m->url < m->nurls)
		join(m);
	else
		membership_later(m, join_begin);
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
		membership_later(m, join_begin);
		return;
	}
	membership_self(m->n, &self);
	self.id = m->id;
	in.cluster_id = m->cluster;
	in.member = &self;
	membership_call(m, m->urls[m->url], RPC_NODE_JOIN, &in.base, joined);
}

static void found_or_join(struct membership *m, const RegisterNodeResponse *out)
{
	if (!m->id)
		m->id = out->node_id;
	if (out->is_bootstrap) {
		found_begin(m);
		return;
	}
	if (*out->cluster_id && strlen(out->cluster_id) < sizeof(m->cluster)) {
		memcpy(m->cluster, out->cluster_id,
		       strlen(out->cluster_id) + 1);
		membership_forget_urls(m);
		if (out->leader)
			add_url(m, out->leader->url);
		for (size_t i = 0; i < out->n_nodes; i++)
			if (*out->nodes[i]->cluster_id)
				add_url(m, out->nodes[i]->url);
		membership_wait_for(m, "a member of cluster %s", m->cluster);
		join(m);
		return;
	}
	membership_wait_for(m, "gateway %s to know a cluster",
			    membership_gateway(m));
	m->gateway++;
	membership_later(m, join_begin);
}

static void registered(const struct err *err, const ProtobufCMessage *out,
		       void *arg)
{
	struct membership *m = arg;

	m->rpc = NULL;
	if (!err) {
		found_or_join(m, (const RegisterNodeResponse *)out);
	} else if ((err->code == ERR_ALREADY_EXISTS &&
		    !may_become_free(m, err)) ||
		   err->code == ERR_FAILED_PRECONDITION ||
		   err->code == ERR_INVALID_ARGUMENT) {
		node_end(m->n, err);
	} else {
		membership_wait_for(m, "a gateway: %s", err->msg);
		m->gateway++;
		membership_later(m, join_begin);
	}
}

static void ask_gateway(struct membership *m)
{
	RegisterNodeRequest in = REGISTER_NODE_REQUEST__INIT;

	in.node_id = (int32_t)m->id;
	in.url = (char *)node_url(m->n);
	in.instance_id = m->n->meta.instance_id;
	membership_call(m, membership_gateway(m), RPC_GATEWAY_REGISTER_NODE,
			&in.base, registered);
}

void join_begin(void *arg)
{
	struct membership *m = arg;

	if (!m->n->cfg.njoins) {
		ask_gateway(m);
		return;
	}
	membership_forget_urls(m);
	for (size_t i = 0; i < m->n->cfg.njoins; i++)
		add_url(m, m->n->cfg.joins[i]);
	join(m);
}
