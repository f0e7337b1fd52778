/* The methods of GatewayService. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "registry/gateway_impl.h"
#include "registry/info.h"
#include "registry/members.h"

static NodeInfo *leader_info(const struct gateway *g)
{
	const struct member *m =
		g->lease.leader ? lease_find(&g->lease, g->lease.leader) : NULL;

	return m ? info_of(m, clock_ms()) : NULL;
}

static ProtobufCMessage *registered(const struct gateway *g,
				    const struct lease_admission *a, bool brief)
{
	RegisterNodeResponse *out = mem_zero(1, sizeof(*out));

	register_node_response__init(out);
	out->status = mem_str(a->is_new ? "registered" : "updated");
	out->node_id = (int32_t)a->member->id;
	out->is_bootstrap = a->bootstrap;
	out->registry_version = (int32_t)g->lease.version;
	if (!brief)
		out->nodes = info_all(&g->lease, clock_ms(), &out->n_nodes);
	out->leader = leader_info(g);
	out->message =
		mem_fmt("node %" PRId64 " %s", a->member->id, out->status);
	out->cluster_id = mem_str(g->lease.cluster);
	out->lease_ms = g->lease.config.lease_ms;
	out->leader_term = g->lease.term;
	out->grant_ms = a->grant_ms;
	return &out->base;
}

static void on_register(struct call *call, const ProtobufCMessage *msg,
			void *arg)
{
	const RegisterNodeRequest *in = (const RegisterNodeRequest *)msg;
	struct gateway *g = arg;
	struct lease_admission a;
	struct member who;
	struct err err;
	const char *kind;

	if (info_parse(&who, in, &err) ||
	    lease_register(&g->lease, &who, clock_ms(), clock_wall_ms(), &a,
			   &err)) {
		call_fail(call, &err);
		info_release(&who);
		return;
	}
	info_release(&who);
	kind = a.is_new ? "joined" : "changed";
	log_info(kind, "node=%" PRId64 " url=%s bootstrap=%d", a.member->id,
		 a.member->url, a.bootstrap);
	gateway_answer_after(g, call, registered(g, &a, in->brief),
			     gateway_event(g, kind, a.member), a.member->id,
			     a.dropped);
	gateway_watch_leases(g);
}

static void on_get_nodes(struct call *call, const ProtobufCMessage *msg,
			 void *arg)
{
	struct gateway *g = arg;
	GetNodesResponse *out;
	struct err err;

	if (((const GetNodesRequest *)msg)->linearizable) {
		err_set(&err, ERR_FAILED_PRECONDITION,
			"a gateway only hears of members: ask one of them");
		call_fail(call, &err);
		return;
	}
	out = mem_zero(1, sizeof(*out));
	get_nodes_response__init(out);
	out->nodes = info_all(&g->lease, clock_ms(), &out->n_nodes);
	out->registry_version = (int32_t)g->lease.version;
	out->cluster_id = mem_str(g->lease.cluster);
	out->leader_id = (int32_t)g->lease.leader;
	out->leader_term = g->lease.term;
	gateway_answer_read(g, call, &out->base);
}

static void on_get_leader(struct call *call, const ProtobufCMessage *msg,
			  void *arg)
{
	struct gateway *g = arg;
	GetLeaderResponse *out = mem_zero(1, sizeof(*out));

	(void)msg;
	get_leader_response__init(out);
	out->leader = leader_info(g);
	out->registry_version = (int32_t)g->lease.version;
	out->message = mem_str(out->leader ? "" : "no leader known");
	out->leader_term = g->lease.term;
	out->cluster_id = mem_str(g->lease.cluster);
	gateway_answer_read(g, call, &out->base);
}

static void on_update_leader(struct call *call, const ProtobufCMessage *msg,
			     void *arg)
{
	const UpdateLeaderRequest *in = (const UpdateLeaderRequest *)msg;
	static const char *const words[] = {"unknown_node", "stale", "updated"};
	struct gateway *g = arg;
	int64_t before = g->lease.version;
	UpdateLeaderResponse *out;
	NodeEvent *event = NULL;
	struct err err;
	int taken;

	if (*in->cluster_id && *g->lease.cluster &&
	    strcmp(in->cluster_id, g->lease.cluster) != 0) {
		err_set(&err, ERR_FAILED_PRECONDITION,
			"this gateway serves cluster %s, not cluster %.40s",
			g->lease.cluster, in->cluster_id);
		call_fail(call, &err);
		return;
	}
	taken = lease_lead(&g->lease, in->leader_id, in->term);
	out = mem_zero(1, sizeof(*out));
	update_leader_response__init(out);
	out->status = mem_str(words[taken + 1]);
	out->leader_id = (int32_t)g->lease.leader;
	out->leader_term = g->lease.term;
	out->message = mem_fmt("leader is node %" PRId64 " in term %" PRId64,
			       g->lease.leader, g->lease.term);
	if (g->lease.version != before) {
		log_info("leader", "node=%" PRId64 " term=%" PRId64,
			 g->lease.leader, g->lease.term);
		event = gateway_event(g, "leader",
				      lease_find(&g->lease, g->lease.leader));
	}
	if (event)
		gateway_answer_after(g, call, &out->base, event, 0, 0);
	else
		gateway_answer_read(g, call, &out->base);
}

static void on_heartbeat(struct call *call, const ProtobufCMessage *msg,
			 void *arg)
{
	const HeartbeatRequest *in = (const HeartbeatRequest *)msg;
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;
	const struct lease_beat beat = {in->node_id, in->instance_id, in->role,
					in->url};
	struct gateway *g = arg;
	bool changed, known;

	known = lease_heartbeat(&g->lease, &beat, clock_ms(), clock_wall_ms(),
				&changed);
	out.status = (char *)(known ? "received" : "unknown_node");
	out.registry_version = (int32_t)g->lease.version;
	out.lease_ms = g->lease.config.lease_ms;
	out.leader_term = g->lease.term;
	call_reply(call, &out.base);
	if (changed) {
		struct member *m = lease_find(&g->lease, in->node_id);

		gateway_answer_after(g, NULL, NULL,
				     gateway_event(g, "changed", m), m->id, 0);
		gateway_watch_leases(g);
	}
}

static void on_health(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	HealthCheckResponse out = HEALTH_CHECK_RESPONSE__INIT;

	(void)msg, (void)arg;
	out.status = (char *)"healthy";
	out.timestamp = (double)clock_wall_ms() / 1000;
	out.version = (char *)GFL_VERSION;
	call_reply(call, &out.base);
}

static void on_remove(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const RemoveNodeRequest *in = (const RemoveNodeRequest *)msg;
	RemoveNodeResponse *out = mem_zero(1, sizeof(*out));
	struct gateway *g = arg;
	const struct member *m = lease_find(&g->lease, in->node_id);
	NodeEvent *event = m ? gateway_event(g, "left", m) : NULL;
	bool removed = lease_remove(&g->lease, in->node_id, in->instance_id);

	remove_node_response__init(out);
	out->status = mem_str(removed ? "removed" : "not_found");
	out->node_id = in->node_id;
	out->message = mem_fmt("node %d %s", (int)in->node_id,
			       removed ? "removed" : "not found");
	if (removed) {
		log_info("removed", "node=%d", (int)in->node_id);
		gateway_answer_after(g, call, &out->base, event, in->node_id,
				     0);
		return;
	}
	rpc_free((ProtobufCMessage *)event);
	gateway_answer_read(g, call, &out->base);
}

static void on_stats(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	struct gateway *g = arg;
	GetStatsResponse *out = mem_zero(1, sizeof(*out));

	(void)msg;
	get_stats_response__init(out);
	out->total_nodes = (int32_t)lease_count(&g->lease, false);
	out->active_nodes = (int32_t)lease_count(&g->lease, true);
	out->leader_id = (int32_t)g->lease.leader;
	out->registry_version = (int32_t)g->lease.version;
	out->bootstrap_initiated = g->lease.grantee || *g->lease.cluster;
	out->uptime = (double)(clock_ms() - g->started_ms) / 1000;
	out->cluster_id = mem_str(g->lease.cluster);
	out->leader_term = g->lease.term;
	gateway_answer_read(g, call, &out->base);
}

static void on_confirm(struct call *call, const ProtobufCMessage *msg,
		       void *arg)
{
	const ConfirmBootstrapRequest *in =
		(const ConfirmBootstrapRequest *)msg;
	ConfirmBootstrapResponse *out;
	struct gateway *g = arg;
	struct err err;

	if (lease_confirm(&g->lease, in->node_id, in->instance_id,
			  in->cluster_id, clock_ms(), &err)) {
		call_fail(call, &err);
		return;
	}
	log_info("bootstrap", "node=%d cluster=%s", (int)in->node_id,
		 g->lease.cluster);
	out = mem_zero(1, sizeof(*out));
	confirm_bootstrap_response__init(out);
	out->cluster_id = mem_str(g->lease.cluster);
	gateway_answer_after(g, call, &out->base, NULL, in->node_id, 0);
}

/* Who begins to watch: what the snapshot shows may still be on its way to the
 * disk, and what comes later is told by its own commit. */
struct newcomer {
	struct gateway *g;
	struct call *call; /* NULL once its client has gone */
	NodeEvent **events;
	size_t n;
};

static void newcomer_gone(struct call *call, void *arg)
{
	(void)call;
	((struct newcomer *)arg)->call = NULL;
}

static void newcomer_free(struct newcomer *w)
{
	for (size_t i = 0; i < w->n; i++)
		rpc_free((ProtobufCMessage *)w->events[i]);
	free(w->events);
	free(w);
}

static void welcome(const struct err *err, void *arg)
{
	struct newcomer *w = arg;

	if (w->call && err) {
		call_fail(w->call, err);
	} else if (w->call && watchers_add(&w->g->watchers, w->call)) {
		for (size_t i = 0; i < w->n; i++)
			if (call_send(w->call,
				      (ProtobufCMessage *)w->events[i]))
				break;
	}
	newcomer_free(w);
}

static void take_snapshot(struct newcomer *w)
{
	struct member **all = lease_sorted(&w->g->lease, &w->n);

	w->events = mem_zero(w->n, sizeof(*w->events));
	for (size_t i = 0; i < w->n; i++)
		w->events[i] = gateway_event(w->g, "present", all[i]);
	free(all);
}

static void on_watch(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const WatchNodesRequest *in = (const WatchNodesRequest *)msg;
	struct newcomer *w = mem_zero(1, sizeof(*w));
	struct gateway *g = arg;
	struct err err;

	*w = (struct newcomer){.g = g, .call = call};
	if (in->snapshot)
		take_snapshot(w);
	call_on_cancel(call, newcomer_gone, w);
	if (!writer_pending(g->writer))
		welcome(NULL, w);
	else if (members_store(g->writer, &g->lease, 0, 0, welcome, w, &err))
		welcome(&err, w);
}

/* The paths that the first comm manager had. */
static void serve_old(struct server *s)
{
	static const struct {
		const char *verb, *path;
		enum rpc_name name;
	} rows[] = {
		{"GET", "/health", RPC_GATEWAY_HEALTH_CHECK},
		{"GET", "/nodes", RPC_GATEWAY_GET_NODES},
		{"GET", "/leader", RPC_GATEWAY_GET_LEADER},
		{"GET", "/stats", RPC_GATEWAY_GET_STATS},
		{"POST", "/register", RPC_GATEWAY_REGISTER_NODE},
		{"POST", "/heartbeat", RPC_GATEWAY_HEARTBEAT},
		{"POST", "/leader", RPC_GATEWAY_UPDATE_LEADER},
		{"POST", "/remove", RPC_GATEWAY_REMOVE_NODE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		server_alias(s, rows[i].verb, rows[i].path, rows[i].name);
}

void gateway_serve(struct gateway *g)
{
	static const struct {
		enum rpc_name name;
		server_fn *fn;
	} rows[] = {
		{RPC_GATEWAY_REGISTER_NODE, on_register},
		{RPC_GATEWAY_GET_NODES, on_get_nodes},
		{RPC_GATEWAY_GET_LEADER, on_get_leader},
		{RPC_GATEWAY_UPDATE_LEADER, on_update_leader},
		{RPC_GATEWAY_HEARTBEAT, on_heartbeat},
		{RPC_GATEWAY_HEALTH_CHECK, on_health},
		{RPC_GATEWAY_REMOVE_NODE, on_remove},
		{RPC_GATEWAY_GET_STATS, on_stats},
		{RPC_GATEWAY_CONFIRM_BOOTSTRAP, on_confirm},
		{RPC_GATEWAY_WATCH_NODES, on_watch},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		server_handle(g->server, rows[i].name, rows[i].fn, g);
	serve_old(g->server);
}
