/* gfl-list - print what the cluster has, one a line: nodes, trainers, runs,
 * clusters below, the topology, the bandwidth; a server's participants. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/opt.h"
#include "base/out.h"
#include "plan/bandwidth.h"
#include "proto/node.pb-c.h"
#include "proto/participation.pb-c.h"
#include "proto/server.pb-c.h"
#include "registry/active.h"
#include "registry/directory.h"
#include "registry/runs.h"
#include "task/rows.h"

struct config {
	struct client_opts client;
	struct out_opts out;
	struct opt_list masters;
	bool linearizable;
	struct opt_list servers;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_LINEARIZABLE(struct config, linearizable),
	OPT_MASTER(struct config, masters),
	OPT_SERVER(struct config, servers),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-list",
	.args = "[nodes|trainers|runs|clusters|topology|bandwidth|tasks|"
		"workers|participants|clients]",
	.brief = "list nodes, trainers and runs; tasks, workers, participants",
	.about = "Prints one line per node, trainer or run, by ascending id; "
		 "of the topology one per edge along which trainers may "
		 "exchange (none: all with all), of the bandwidth one per link "
		 "of known speed; clusters are those for which this one "
		 "is the upper cluster: which node of it speaks for each, in "
		 "which term of its leader, how many members, live trainers "
		 "and examples it has, the median speed between its trainers. "
		 "Nodes come from the gateways, or from the members seen last "
		 "when no gateway answers; tasks and workers from --master; "
		 "participants, who wait for a gfl-server's instructions, and "
		 "its clients, who train, from --server; all else from a node.",
	.example = "gfl-list | awk -F'\\t' '$4==\"alive\"{print $1}'\n"
		   "gfl-list trainers -o json\n"
		   "gfl-list tasks -o jsonl | jq -c "
		   "'select(.status==\"failed\")'\n"
		   "gfl-list topology >saved && gfl-log append topology saved",
	.opts = opts,
};

static const struct out_col node_cols[] = {
	{"id", OUT_INT},       {"url", OUT_TEXT},    {"role", OUT_TEXT},
	{"status", OUT_TEXT},  {"leader", OUT_BOOL}, {"last_seen", OUT_TIME},
	{"lease_ms", OUT_INT}, {"joined", OUT_TIME}, {"instance", OUT_TEXT},
	{"cluster", OUT_TEXT},
};

/* No gateway knows that it has all: only a member can. */
static int get_nodes(const struct config *cfg, GetNodesResponse **out,
		     struct err *err)
{
	GetNodesRequest in = GET_NODES_REQUEST__INIT;

	if (!cfg->linearizable)
		return directory_nodes(&cfg->client, out, err);
	in.linearizable = true;
	return directory_call(&cfg->client, RPC_GATEWAY_GET_NODES, &in.base,
			      (ProtobufCMessage **)out, err);
}

static int print_nodes(const struct config *cfg, struct err *err)
{
	GetNodesResponse *all;
	struct out *o;

	if (get_nodes(cfg, &all, err))
		return (int)err->code;
	if (out_begin(&o, &cfg->out, node_cols, 10, false, err)) {
		rpc_free(&all->base);
		return (int)err->code;
	}
	for (size_t i = 0; i < all->n_nodes; i++) {
		const NodeInfo *n = all->nodes[i];

		out_row(o, out_int(n->node_id), out_text(n->url),
			out_text(n->role), out_text(n->status),
			out_bool(n->node_id == all->leader_id),
			out_time((int64_t)(n->last_seen * 1000)),
			out_int(n->lease_ms),
			out_time((int64_t)(n->join_timestamp * 1000)),
			out_text(n->instance_id), out_text(n->cluster_id));
	}
	rpc_free(&all->base);
	return out_end(o, err);
}

static int get_state(const struct config *cfg, Gfl__V1__State **out,
		     struct err *err)
{
	Gfl__V1__GetStateRequest in = GFL__V1__GET_STATE_REQUEST__INIT;

	in.linearizable = cfg->linearizable;
	return directory_call(&cfg->client, RPC_NODE_GET_STATE, &in.base,
			      (ProtobufCMessage **)out, err);
}

static int print_trainers(const struct config *cfg, struct err *err)
{
	return runs_trainers(&cfg->client, cfg->linearizable, &cfg->out, err);
}

static const struct out_col cluster_cols[] = {
	{"id", OUT_INT},       {"cluster", OUT_TEXT}, {"node", OUT_INT},
	{"term", OUT_INT},     {"status", OUT_TEXT},  {"members", OUT_INT},
	{"trainers", OUT_INT}, {"examples", OUT_INT}, {"bytes_per_s", OUT_REAL},
	{"url", OUT_TEXT},
};

static void print_cluster(struct out *o, const Gfl__V1__Trainer *t)
{
	bool live = t->liveness == GFL__V1__LIVENESS__LIVE;

	out_row(o, out_int(t->id), out_text(t->instance_id),
		out_int(t->node_id), out_int(t->term),
		out_text(live ? "live" : "down"), out_int(t->members),
		out_int(t->trainers), out_int(t->examples),
		out_real(t->half_octaves ? bandwidth_bps(t->half_octaves)
					 : NAN),
		out_text(t->url));
}

static int print_clusters(const struct config *cfg, struct err *err)
{
	Gfl__V1__State *state;
	struct out *o;

	if (get_state(cfg, &state, err))
		return (int)err->code;
	if (out_begin(&o, &cfg->out, cluster_cols, 10, false, err)) {
		rpc_free(&state->base);
		return (int)err->code;
	}
	for (size_t i = 0; i < state->n_trainers; i++)
		if (state->trainers[i]->term)
			print_cluster(o, state->trainers[i]);
	rpc_free(&state->base);
	return out_end(o, err);
}

static const struct out_col edge_cols[] = {
	{"a", OUT_INT},
	{"b", OUT_INT},
	{"weight", OUT_REAL},
};

static int print_topology(const struct config *cfg, struct err *err)
{
	Gfl__V1__State *state;
	struct out *o;

	if (get_state(cfg, &state, err))
		return (int)err->code;
	if (out_begin(&o, &cfg->out, edge_cols, 3, false, err)) {
		rpc_free(&state->base);
		return (int)err->code;
	}
	for (size_t i = 0; i < state->n_edges; i++)
		out_row(o, out_int(state->edges[i]->a),
			out_int(state->edges[i]->b),
			out_real(state->edges[i]->weight));
	rpc_free(&state->base);
	return out_end(o, err);
}

static const struct out_col link_cols[] = {
	{"from", OUT_INT},
	{"to", OUT_INT},
	{"bytes_per_s", OUT_REAL},
};

static int print_bandwidth(const struct config *cfg, struct err *err)
{
	Gfl__V1__State *state;
	struct out *o;

	if (get_state(cfg, &state, err))
		return (int)err->code;
	if (out_begin(&o, &cfg->out, link_cols, 3, false, err)) {
		rpc_free(&state->base);
		return (int)err->code;
	}
	for (size_t i = 0; i < state->n_links; i++)
		out_row(o, out_int(state->links[i]->from),
			out_int(state->links[i]->to),
			out_real(bandwidth_bps(state->links[i]->half_octaves)));
	rpc_free(&state->base);
	return out_end(o, err);
}

static int print_runs(const struct config *cfg, struct err *err)
{
	return runs_list(&cfg->client, cfg->linearizable, &cfg->out, err);
}

static struct reach master_of(const struct config *cfg)
{
	return (struct reach){cfg->masters, cfg->client.timeout_ms,
			      cfg->client.tls};
}

static int print_tasks(const struct config *cfg, struct err *err)
{
	const struct reach r = master_of(cfg);

	return rows_tasks(&r, &cfg->out, err);
}

static int print_workers(const struct config *cfg, struct err *err)
{
	const struct reach r = master_of(cfg);

	return rows_workers(&r, &cfg->out, err);
}

static const struct out_col participant_cols[] = {
	{"id", OUT_INT},       {"status", OUT_TEXT},  {"since", OUT_TIME},
	{"answered", OUT_INT}, {"failed", OUT_INT},   {"instruction", OUT_INT},
	{"via", OUT_TEXT},     {"address", OUT_TEXT},
};

static int print_participants(const struct config *cfg, struct err *err)
{
	Gfl__V1__ListParticipantsRequest in =
		GFL__V1__LIST_PARTICIPANTS_REQUEST__INIT;
	Gfl__V1__ListParticipantsResponse *all;
	const struct active whom = {&cfg->client, &cfg->servers};
	struct out *o;

	if (active_call(&whom, RPC_PARTICIPANT_LIST, &in.base,
			(ProtobufCMessage **)&all, err))
		return (int)err->code;
	if (out_begin(&o, &cfg->out, participant_cols, 8, false, err)) {
		rpc_free(&all->base);
		return (int)err->code;
	}
	for (size_t i = 0; i < all->n_participants; i++) {
		const Gfl__V1__Participant *p = all->participants[i];

		out_row(o, out_int(p->id), out_text(p->state),
			out_time(p->since_ms), out_int(p->answered),
			out_int(p->failed),
			p->instruction ? out_int(p->instruction) : out_none(),
			out_text(p->via), out_text(p->address));
	}
	rpc_free(&all->base);
	return out_end(o, err);
}

static const struct out_col client_cols[] = {
	{"id", OUT_INT},           {"status", OUT_TEXT},
	{"logical", OUT_INT},      {"examples", OUT_INT},
	{"round", OUT_INT},        {"accepted", OUT_INT},
	{"refused", OUT_INT},      {"missed", OUT_INT},
	{"bytes_sent", OUT_INT},   {"bytes_received", OUT_INT},
	{"loss", OUT_REAL},        {"address", OUT_TEXT},
	{"refused_for", OUT_TEXT},
};

/* "late 2, values 1" */
static void put_reasons(struct buf *b, const Gfl__V1__FlClient *c)
{
	buf_reset(b);
	buf_puts(b, "");
	for (size_t i = 0; i < c->n_refused_for; i++)
		buf_putf(b, "%s%s %" PRId64, i ? ", " : "",
			 c->refused_for[i]->reason, c->refused_for[i]->updates);
}

static int print_clients(const struct config *cfg, struct err *err)
{
	const struct active whom = {&cfg->client, &cfg->servers};
	struct buf reasons = BUF_INIT(0);
	Gfl__V1__FlStatus *all;
	struct out *o;

	if (active_status(&whom, &all, err))
		return (int)err->code;
	if (out_begin(&o, &cfg->out, client_cols, 13, false, err)) {
		rpc_free(&all->base);
		return (int)err->code;
	}
	for (size_t i = 0; i < all->n_clients; i++) {
		const Gfl__V1__FlClient *c = all->clients[i];

		put_reasons(&reasons, c);
		out_row(o, out_int(c->client_id), out_text(c->state),
			out_int(c->logical), out_int(c->examples),
			out_int(c->round), out_int(c->accepted),
			out_int(c->refused), out_int(c->missed),
			out_int(c->bytes_sent), out_int(c->bytes_received),
			c->accepted ? out_real(c->loss) : out_none(),
			out_text(c->address), out_text(reasons.p));
	}
	buf_release(&reasons);
	rpc_free(&all->base);
	return out_end(o, err);
}

static int run(const struct config *cfg, const char *what, struct err *err)
{
	static const struct {
		const char *what;
		int (*print)(const struct config *cfg, struct err *err);
	} kinds[] = {
		{"nodes", print_nodes},
		{"trainers", print_trainers},
		{"runs", print_runs},
		{"clusters", print_clusters},
		{"topology", print_topology},
		{"bandwidth", print_bandwidth},
		{"tasks", print_tasks},
		{"workers", print_workers},
		{"participants", print_participants},
		{"clients", print_clients},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(what, kinds[i].what) != 0)
			continue;
		if (kinds[i].print(cfg, err))
			return err_wrap(err, "list %s", what);
		return 0;
	}
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "cannot list \"%s\": nodes, trainers, runs, clusters, "
		       "topology, bandwidth, tasks, workers, participants "
		       "or clients",
		       what);
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv);

	if (run(&cfg, opt_arg(argc, argv, rest, "nodes"), &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}
