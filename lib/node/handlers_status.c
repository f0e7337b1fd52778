/* NodeService: what a node says of itself, and all that it knows. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "node/node_impl.h"
#include "node/state_impl.h"
#include "wire/rpc.h"

/* ---- status ---- */

static const char *role(const struct node *n, const struct raft_status *s)
{
	const Gfl__V1__Member *m = state_member(n->state, n->meta.node_id);

	if (!n->driver)
		return "joining";
	if (s->lost)
		return "recovering";
	if (s->role != RAFT_FOLLOWER)
		return raft_role_name(s->role);
	if (m && m->role == GFL__V1__ROLE__STANDBY)
		return "standby";
	return m && m->role == GFL__V1__ROLE__VOTER ? "follower" : "learner";
}

static void fill_raft(const struct node *n, Gfl__V1__NodeStatus *out)
{
	struct raft_status s = {0};
	const char *url = NULL;

	if (n->driver)
		raft_status(driver_raft(n->driver), &s);
	out->role = (char *)role(n, &s);
	out->term = s.term;
	out->leader_id = n->leader;
	if (n->leader)
		url = n->leader == n->meta.node_id ? node_url(n)
						   : node_url_of(n, n->leader);
	out->leader_url = (char *)(url ? url : "");
	out->last_index = s.last;
	out->commit_index = s.commit;
	out->applied_index = n->state->applied;
}

static void fill_state(const struct node *n, Gfl__V1__NodeStatus *out)
{
	const struct state *s = n->state;
	const Gfl__V1__Run *run = state_running(s);

	out->members = (int64_t)s->nmembers;
	for (size_t i = 0; i < s->nmembers; i++)
		out->voters += s->members[i]->role == GFL__V1__ROLE__VOTER;
	out->trainers = (int64_t)state_live(s, false);
	out->attached = (int64_t)reports_attached(n);
	out->run = run ? run->id : 0;
	out->round = run ? handlers_least_round(n, run) : 0;
	out->epoch = s->epoch;
}

/* Parts that the topology leaves of the live trainers. */
static size_t parts(const struct state *s)
{
	int64_t *ids = mem_zero(s->ntrainers + 1, sizeof(*ids));
	size_t n = 0, count;

	for (size_t i = 0; i < s->ntrainers; i++)
		if (!s->trainers[i]->liveness)
			ids[n++] = s->trainers[i]->id;
	count = graph_parts(&s->graph, ids, n);
	free(ids);
	return count;
}

static void fill_links(const struct state *s, Gfl__V1__NodeStatus *out)
{
	out->topology_version = s->graph.version;
	out->topology_edges = (int64_t)s->graph.n;
	out->topology_parts = s->graph.n ? (int64_t)parts(s) : 1;
	out->bandwidth_version = s->bandwidth.version;
	out->bandwidth_links = (int64_t)s->bandwidth.n;
}

static void fill_pairs(const struct node *n, Gfl__V1__NodeStatus *out)
{
	size_t most = n->state->nmembers;

	out->ready_peers = mem_zero(most + 1, sizeof(*out->ready_peers));
	out->n_ready_peers = pairs_ready(n, out->ready_peers, most);
	out->ready = pairs_all_ready(n);
}

void handlers_status(struct node *n, Gfl__V1__NodeStatus *out)
{
	out->node_id = n->meta.node_id;
	out->cluster_id = n->meta.cluster_id;
	out->instance_id = n->meta.instance_id;
	out->url = (char *)node_url(n);
	fill_raft(n, out);
	fill_state(n, out);
	fill_links(n->state, out);
	fill_pairs(n, out);
	out->uptime_s = (double)(clock_ms() - n->started_ms) / 1000;
	out->gateway_reachable = announce_reaches(n);
	out->inbox = inbox_count(n);
	outbox_counts(n, &out->outbox, &out->delivered, &out->expired);
	cluster_status(n->cluster, out);
	out->version = GFL_VERSION;
}

static void serve_status(struct node *n, struct call *call,
			 const ProtobufCMessage *in)
{
	Gfl__V1__NodeStatus out = GFL__V1__NODE_STATUS__INIT;

	(void)in;
	handlers_status(n, &out);
	call_reply(call, &out.base);
	free(out.ready_peers);
}

static void on_status(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__NodeStatusRequest *in =
		(const Gfl__V1__NodeStatusRequest *)msg;
	struct node *n = arg;

	if (in->of && in->of != n->meta.node_id)
		suspects_witness(n, call, in->of);
	else if (in->linearizable)
		read_begin(n, call, msg, serve_status);
	else
		serve_status(n, call, msg);
}

static void serve_state(struct node *n, struct call *call,
			const ProtobufCMessage *in)
{
	Gfl__V1__State *out = state_encode(n->state);

	(void)in;
	call_reply(call, &out->base);
	rpc_free(&out->base);
}

static void on_state(struct call *call, const ProtobufCMessage *in, void *arg)
{
	if (((const Gfl__V1__GetStateRequest *)in)->linearizable)
		read_begin(arg, call, in, serve_state);
	else
		serve_state(arg, call, in);
}

void handlers_serve_status(struct node *n)
{
	server_handle(n->server, RPC_NODE_GET_STATUS, on_status, n);
	server_handle(n->server, RPC_NODE_GET_STATE, on_state, n);
}
