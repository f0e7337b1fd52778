#include "registry/gateway.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "registry/info.h"
#include "registry/members.h"
#include "registry/watch.h"

enum { WRITER_JOBS = 65536 };

struct gateway {
	struct loop *loop;
	struct server *server;
	struct writer *writer;
	struct lease lease;
	struct watchers watchers;
	struct timer expiry;
	int64_t expiry_ms; /* when it is due; INT64_MAX: it does not run */
	int64_t started_ms;
	loop_fn *failed;
	void *failed_arg;
};

/* An answer, and the news it makes, that wait for a commit. */
struct answer {
	struct gateway *g;
	struct call *call;     /* NULL once its client has gone, or for news */
	ProtobufCMessage *msg; /* the reply */
	NodeEvent *event;      /* for the watchers, or NULL */
};

static void answer_free(struct answer *a)
{
	rpc_free(a->msg);
	rpc_free((ProtobufCMessage *)a->event);
	free(a);
}

static void committed(const struct err *err, void *arg)
{
	struct answer *a = arg;
	struct gateway *g = a->g;

	if (a->call && err)
		call_fail(a->call, err);
	else if (a->call)
		call_reply(a->call, a->msg);
	if (a->event && !err)
		watchers_tell(&g->watchers, a->event);
	if (err && writer_failed(g->writer))
		g->failed(g->failed_arg);
	answer_free(a);
}

static void forget_call(struct call *call, void *arg)
{
	(void)call;
	((struct answer *)arg)->call = NULL;
}

/* Store rows id and also, then answer call (may be NULL) with msg and tell
 * event (may be NULL); takes msg and event. */
static void answer_after(struct gateway *g, struct call *call,
			 ProtobufCMessage *msg, NodeEvent *event, int64_t id,
			 int64_t also)
{
	struct answer *a = mem_zero(1, sizeof(*a));
	struct err err;

	*a = (struct answer){g, call, msg, event};
	if (call)
		call_on_cancel(call, forget_call, a);
	if (members_store(g->writer, &g->lease, id, also, committed, a, &err))
		committed(&err, a);
}

/* Answer what was only read: at once, or after what is being committed, which
 * the answer may show. Takes msg. */
static void answer_read(struct gateway *g, struct call *call,
			ProtobufCMessage *msg)
{
	if (writer_pending(g->writer)) {
		answer_after(g, call, msg, NULL, 0, 0);
		return;
	}
	call_reply(call, msg);
	rpc_free(msg);
}

static NodeEvent *event_of(const struct gateway *g, const char *kind,
			   const struct member *m)
{
	NodeEvent *e = mem_zero(1, sizeof(*e));

	node_event__init(e);
	e->kind = mem_str(kind);
	e->node = m ? info_of(m, clock_ms()) : NULL;
	e->registry_version = (int32_t)g->lease.version;
	e->leader_term = g->lease.term;
	return e;
}

static void expired(struct member *who, bool gone, void *arg)
{
	struct gateway *g = arg;
	const char *kind = gone ? "left" : "expired";

	log_info(kind, "node=%" PRId64 " url=%s", who->id, who->url);
	answer_after(g, NULL, NULL, event_of(g, kind, who), who->id, 0);
}

static void on_expiry(void *arg);

/* Wake up when the next lease ends; the table is walked at most ten times a
 * second, however many there are. */
static void watch_leases(struct gateway *g)
{
	int64_t now_ms = clock_ms(), due_ms = lease_deadline(&g->lease);

	if (due_ms >= g->expiry_ms)
		return;
	due_ms = due_ms < now_ms + 100 ? now_ms + 100 : due_ms;
	g->expiry_ms = due_ms;
	timer_set(&g->expiry, g->loop, due_ms - now_ms, on_expiry, g);
}

static void on_expiry(void *arg)
{
	struct gateway *g = arg;

	g->expiry_ms = INT64_MAX;
	lease_expire(&g->lease, clock_ms(), expired, g);
	watch_leases(g);
}

static NodeInfo *leader_info(const struct gateway *g)
{
	const struct member *m =
		g->lease.leader ? lease_find(&g->lease, g->lease.leader) : NULL;

	return m ? info_of(m, clock_ms()) : NULL;
}

static ProtobufCMessage *registered(const struct gateway *g,
				    const struct lease_admission *a)
{
	RegisterNodeResponse *out = mem_zero(1, sizeof(*out));

	register_node_response__init(out);
	out->status = mem_str(a->is_new ? "registered" : "updated");
	out->node_id = (int32_t)a->member->id;
	out->is_bootstrap = a->bootstrap;
	out->registry_version = (int32_t)g->lease.version;
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
	struct gateway *g = arg;
	struct lease_admission a;
	struct member who;
	struct err err;
	const char *kind;

	if (info_parse(&who, (const RegisterNodeRequest *)msg, &err) ||
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
	answer_after(g, call, registered(g, &a), event_of(g, kind, a.member),
		     a.member->id, a.dropped);
	watch_leases(g);
}

static void on_get_nodes(struct call *call, const ProtobufCMessage *msg,
			 void *arg)
{
	struct gateway *g = arg;
	GetNodesResponse *out = mem_zero(1, sizeof(*out));

	(void)msg;
	get_nodes_response__init(out);
	out->nodes = info_all(&g->lease, clock_ms(), &out->n_nodes);
	out->registry_version = (int32_t)g->lease.version;
	out->cluster_id = mem_str(g->lease.cluster);
	out->leader_id = (int32_t)g->lease.leader;
	out->leader_term = g->lease.term;
	answer_read(g, call, &out->base);
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
	answer_read(g, call, &out->base);
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
		event = event_of(g, "leader",
				 lease_find(&g->lease, g->lease.leader));
	}
	if (event)
		answer_after(g, call, &out->base, event, 0, 0);
	else
		answer_read(g, call, &out->base);
}

static void on_heartbeat(struct call *call, const ProtobufCMessage *msg,
			 void *arg)
{
	const HeartbeatRequest *in = (const HeartbeatRequest *)msg;
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;
	struct gateway *g = arg;
	bool changed, known;

	known = lease_heartbeat(&g->lease, in->node_id, in->instance_id,
				in->role, clock_ms(), clock_wall_ms(),
				&changed);
	out.status = (char *)(known ? "received" : "unknown_node");
	out.registry_version = (int32_t)g->lease.version;
	out.lease_ms = g->lease.config.lease_ms;
	call_reply(call, &out.base);
	if (changed) {
		struct member *m = lease_find(&g->lease, in->node_id);

		answer_after(g, NULL, NULL, event_of(g, "changed", m), m->id,
			     0);
		watch_leases(g);
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
	NodeEvent *event = m ? event_of(g, "left", m) : NULL;
	bool removed = lease_remove(&g->lease, in->node_id, in->instance_id);

	remove_node_response__init(out);
	out->status = mem_str(removed ? "removed" : "not_found");
	out->node_id = in->node_id;
	out->message = mem_fmt("node %d %s", (int)in->node_id,
			       removed ? "removed" : "not found");
	if (removed) {
		log_info("removed", "node=%d", (int)in->node_id);
		answer_after(g, call, &out->base, event, in->node_id, 0);
		return;
	}
	rpc_free((ProtobufCMessage *)event);
	answer_read(g, call, &out->base);
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
	answer_read(g, call, &out->base);
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
	answer_after(g, call, &out->base, NULL, in->node_id, 0);
}

static void on_watch(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const WatchNodesRequest *in = (const WatchNodesRequest *)msg;
	struct gateway *g = arg;
	struct member **all;
	size_t n;

	if (!watchers_add(&g->watchers, call) || !in->snapshot)
		return;
	all = lease_sorted(&g->lease, &n);
	for (size_t i = 0; i < n; i++) {
		NodeEvent *e = event_of(g, "present", all[i]);
		int rc = call_send(call, (ProtobufCMessage *)e);

		rpc_free((ProtobufCMessage *)e);
		if (rc)
			break;
	}
	free(all);
}

static void metrics(struct buf *text, void *arg)
{
	const struct gateway *g = arg;

	buf_putf(text,
		 "# TYPE gfl_gateway_nodes gauge\n"
		 "gfl_gateway_nodes{state=\"alive\"} %zu\n"
		 "gfl_gateway_nodes{state=\"dead\"} %zu\n"
		 "# TYPE gfl_gateway_version counter\n"
		 "gfl_gateway_version %" PRId64 "\n"
		 "# TYPE gfl_gateway_leader gauge\n"
		 "gfl_gateway_leader %" PRId64 "\n"
		 "# TYPE gfl_gateway_term gauge\n"
		 "gfl_gateway_term %" PRId64 "\n",
		 lease_count(&g->lease, true),
		 lease_count(&g->lease, false) - lease_count(&g->lease, true),
		 g->lease.version, g->lease.leader, g->lease.term);
}

static void serve(struct gateway *g)
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
	server_metrics(g->server, metrics, g);
}

int gateway_open(struct gateway **out, struct loop *loop, struct server *s,
		 struct db *db, const struct lease_config *config,
		 loop_fn *failed, void *arg, struct err *err)
{
	struct gateway *g = mem_zero(1, sizeof(*g));

	g->loop = loop;
	g->server = s;
	g->started_ms = clock_ms();
	g->failed = failed;
	g->failed_arg = arg;
	g->expiry_ms = INT64_MAX;
	lease_init(&g->lease, config);
	if (members_load(db, &g->lease, g->started_ms, err) ||
	    writer_open(&g->writer, loop, db, WRITER_JOBS, err)) {
		lease_release(&g->lease);
		free(g);
		return (int)err->code;
	}
	serve(g);
	watch_leases(g);
	*out = g;
	return 0;
}

const struct err *gateway_failed(const struct gateway *g)
{
	return writer_failed(g->writer);
}

void gateway_close(struct gateway *g)
{
	if (!g)
		return;
	timer_stop(&g->expiry);
	writer_close(g->writer);
	watchers_end(&g->watchers);
	lease_release(&g->lease);
	free(g);
}
