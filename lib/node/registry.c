/* The read side of GatewayService, from this node's own state, and metrics: who
 * looks for the cluster may ask any member. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "node/node_impl.h"
#include "wire/rpc.h"

static const char *role(const struct node *n, const Gfl__V1__Member *m)
{
	if (m->id == n->leader)
		return "leader";
	if (m->role == GFL__V1__ROLE__VOTER)
		return "voter";
	return m->role == GFL__V1__ROLE__STANDBY ? "standby" : "learner";
}

/* Host and port of "http://HOST:PORT", as the first comm manager shows them. */
static void split(NodeInfo *out, const char *url)
{
	const char *host = strstr(url, "://");
	const char *colon = strrchr(url, ':');

	host = host ? host + 3 : url;
	if (!colon || colon < host)
		return;
	out->port = atoi(colon + 1);
	out->ip_address = mem_dup(host, (size_t)(colon - host));
}

static NodeInfo *info(const struct node *n, const Gfl__V1__Member *m)
{
	NodeInfo *out = mem_zero(1, sizeof(*out));

	node_info__init(out);
	out->node_id = (int32_t)m->id;
	out->url = mem_str(m->url);
	split(out, m->url);
	out->status = mem_str(m->liveness ? "dead" : "alive");
	out->instance_id = mem_str(m->instance_id);
	out->cluster_id = mem_str(n->meta.cluster_id);
	out->role = mem_str(role(n, m));
	if (n->leads)
		out->last_seen = (double)(clock_wall_ms() -
					  steward_silence_ms(n, m->id)) /
				 1000;
	else if (m->id == n->meta.node_id)
		out->last_seen = (double)clock_wall_ms() / 1000;
	return out;
}

static void serve_nodes(struct node *n, struct call *call,
			const ProtobufCMessage *in)
{
	const struct state *s = n->state;
	GetNodesResponse *out = mem_zero(1, sizeof(*out));

	(void)in;
	get_nodes_response__init(out);
	out->nodes = mem_zero(s->nmembers + 1, sizeof(*out->nodes));
	out->n_nodes = s->nmembers;
	for (size_t i = 0; i < s->nmembers; i++)
		out->nodes[i] = info(n, s->members[i]);
	out->registry_version = (int32_t)s->applied;
	out->cluster_id = mem_str(n->meta.cluster_id);
	out->leader_id = (int32_t)n->leader;
	out->leader_term = n->term;
	call_reply(call, &out->base);
	rpc_free(&out->base);
}

static void on_nodes(struct call *call, const ProtobufCMessage *in, void *arg)
{
	if (((const GetNodesRequest *)in)->linearizable)
		read_begin(arg, call, in, serve_nodes);
	else
		serve_nodes(arg, call, in);
}

static void on_leader(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const struct node *n = arg;
	const Gfl__V1__Member *m = state_member(n->state, n->leader);
	GetLeaderResponse *out = mem_zero(1, sizeof(*out));

	(void)in;
	get_leader_response__init(out);
	out->leader = m ? info(n, m) : NULL;
	out->registry_version = (int32_t)n->state->applied;
	out->message = mem_str(m ? "leader known" : "no leader known");
	out->leader_term = n->term;
	out->cluster_id = mem_str(n->meta.cluster_id);
	call_reply(call, &out->base);
	rpc_free(&out->base);
}

static void on_stats(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct node *n = arg;
	GetStatsResponse out = GET_STATS_RESPONSE__INIT;

	(void)in;
	out.total_nodes = (int32_t)n->state->nmembers;
	for (size_t i = 0; i < n->state->nmembers; i++)
		out.active_nodes += !n->state->members[i]->liveness;
	out.leader_id = (int32_t)n->leader;
	out.registry_version = (int32_t)n->state->applied;
	out.bootstrap_initiated = n->meta.cluster_id[0] != 0;
	out.uptime = (double)(clock_ms() - n->started_ms) / 1000;
	out.cluster_id = n->meta.cluster_id;
	out.leader_term = n->term;
	call_reply(call, &out.base);
}

static void on_health(struct call *call, const ProtobufCMessage *in, void *arg)
{
	HealthCheckResponse out = HEALTH_CHECK_RESPONSE__INIT;

	(void)in;
	(void)arg;
	out.status = "healthy";
	out.timestamp = (double)clock_wall_ms() / 1000;
	out.version = GFL_VERSION;
	call_reply(call, &out.base);
}

void registry_serve(struct node *n)
{
	server_handle(n->server, RPC_GATEWAY_GET_NODES, on_nodes, n);
	server_handle(n->server, RPC_GATEWAY_GET_LEADER, on_leader, n);
	server_handle(n->server, RPC_GATEWAY_GET_STATS, on_stats, n);
	server_handle(n->server, RPC_GATEWAY_HEALTH_CHECK, on_health, n);
}

/* ---- metrics ---- */

static void metric(struct buf *text, const char *type, const char *name,
		   const char *help, int64_t value)
{
	buf_putf(text, "# HELP gfl_node_%s %s\n# TYPE gfl_node_%s %s\n",
		 name, help, name, type);
	buf_putf(text, "gfl_node_%s %" PRId64 "\n", name, value);
}

static void gauge(struct buf *text, const char *name, const char *help,
		  int64_t value)
{
	metric(text, "gauge", name, help, value);
}

static void mail_metrics(struct buf *text, const struct node *n)
{
	int64_t waiting, delivered, expired;

	outbox_counts(n, &waiting, &delivered, &expired);
	gauge(text, "inbox", "Messages that wait to be read.", inbox_count(n));
	gauge(text, "outbox", "Messages queued for others.", waiting);
	metric(text, "counter", "outbox_delivered_total",
	       "Messages that others have got from the outbox.", delivered);
	metric(text, "counter", "outbox_expired_total",
	       "Messages given up: expired, or refused for good.", expired);
}

void node_metrics(struct buf *text, void *arg)
{
	const struct node *n = arg;
	const Gfl__V1__Run *run = state_running(n->state);
	struct raft_status s = {0};

	if (n->driver)
		raft_status(driver_raft(n->driver), &s);
	gauge(text, "term", "Term of the consensus.", s.term);
	gauge(text, "last_index", "Last entry of the log.", s.last);
	gauge(text, "commit_index", "Last entry known committed.", s.commit);
	gauge(text, "applied_index", "Last entry applied.", n->state->applied);
	gauge(text, "is_leader", "1 if this node leads.", n->leads);
	gauge(text, "leader_id", "Node that leads, 0 for none.", n->leader);
	gauge(text, "members", "Members of the cluster.",
	      (int64_t)n->state->nmembers);
	gauge(text, "trainers", "Live trainers of the cluster.",
	      (int64_t)state_live(n->state, false));
	gauge(text, "attached", "Live trainers attached here.",
	      (int64_t)reports_attached(n));
	gauge(text, "run", "Run under way, 0 for none.", run ? run->id : 0);
	gauge(text, "epoch", "Index of the last change of the trainer set.",
	      n->state->epoch);
	mail_metrics(text, n);
	gauge(text, "gateway_reachable", "1 if a gateway knows this node.",
	      announce_reaches(n));
}
