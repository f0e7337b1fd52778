/* gfl-status - one node's own view: its role, its log, its trainers. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/opt.h"
#include "base/out.h"
#include "proto/node.pb-c.h"
#include "registry/directory.h"

struct config {
	struct client_opts client;
	struct out_opts out;
	bool linearizable;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_LINEARIZABLE(struct config, linearizable),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-status",
	.args = "[NODE]",
	.brief = "print one node's state",
	.about = "NODE is an id or a URL; without it, any node that answers. "
		 "The record is what that node knows, from its own memory. "
		 "upper… tell of the upper cluster, if the node is a member "
		 "there: which it is, the node's number and URL in it, the "
		 "place of its cluster there if it speaks for it, and what "
		 "keeps it from doing so.",
	.example = "gfl-status 2 -o jsonl | jq .commit_index\n"
		   "gfl-status -F id,role,term",
	.opts = opts,
};

static const struct out_col cols[] = {
	{"id", OUT_INT},	  {"role", OUT_TEXT},
	{"term", OUT_INT},	  {"leader", OUT_INT},
	{"last_index", OUT_INT},  {"commit_index", OUT_INT},
	{"applied_index", OUT_INT}, {"members", OUT_INT},
	{"voters", OUT_INT},	  {"trainers", OUT_INT},
	{"attached", OUT_INT},	  {"run", OUT_INT},
	{"round", OUT_INT},	  {"epoch", OUT_INT},
	{"inbox", OUT_INT},	  {"uptime_s", OUT_REAL},
	{"gateway_reachable", OUT_BOOL}, {"url", OUT_TEXT},
	{"cluster", OUT_TEXT},	  {"instance", OUT_TEXT},
	{"version", OUT_TEXT},	  {"outbox", OUT_INT},
	{"delivered", OUT_INT},   {"expired", OUT_INT},
	{"ready", OUT_BOOL},	  {"ready_peers", OUT_TEXT},
	{"topology_version", OUT_INT}, {"topology_edges", OUT_INT},
	{"topology_parts", OUT_INT}, {"bandwidth_version", OUT_INT},
	{"bandwidth_links", OUT_INT},
	{"upper", OUT_TEXT},	  {"upper_id", OUT_INT},
	{"upper_url", OUT_TEXT},  {"upper_trainer", OUT_INT},
	{"upper_error", OUT_TEXT},
};

/* "2,3"; free() it. */
static char *list(const int64_t *ids, size_t n)
{
	struct buf b = BUF_INIT(0);

	buf_puts(&b, "");
	for (size_t i = 0; i < n; i++)
		buf_putf(&b, "%s%" PRId64, i ? "," : "", ids[i]);
	return buf_take(&b);
}

static int print(const struct config *cfg, const Gfl__V1__NodeStatus *s,
		 struct err *err)
{
	struct out *o;
	char *peers;

	if (out_begin(&o, &cfg->out, cols, sizeof(cols) / sizeof(cols[0]),
		      false, err))
		return (int)err->code;
	peers = list(s->ready_peers, s->n_ready_peers);
	out_row(o, out_int(s->node_id), out_text(s->role), out_int(s->term),
		out_int(s->leader_id), out_int(s->last_index),
		out_int(s->commit_index), out_int(s->applied_index),
		out_int(s->members), out_int(s->voters), out_int(s->trainers),
		out_int(s->attached), out_int(s->run), out_int(s->round),
		out_int(s->epoch), out_int(s->inbox), out_real(s->uptime_s),
		out_bool(s->gateway_reachable), out_text(s->url),
		out_text(s->cluster_id), out_text(s->instance_id),
		out_text(s->version), out_int(s->outbox),
		out_int(s->delivered), out_int(s->expired), out_bool(s->ready),
		out_text(peers), out_int(s->topology_version),
		out_int(s->topology_edges), out_int(s->topology_parts),
		out_int(s->bandwidth_version), out_int(s->bandwidth_links),
		out_text(s->upper_cluster_id), out_int(s->upper_node_id),
		out_text(s->upper_url), out_int(s->upper_trainer_id),
		out_text(s->upper_error));
	free(peers);
	return out_end(o, err);
}

static int run(const struct config *cfg, const char *node, struct err *err)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	struct client_opts client = cfg->client;
	Gfl__V1__NodeStatus *status;
	int rc;

	if (node)
		client.node = node;
	in.linearizable = cfg->linearizable;
	if (directory_call(&client, RPC_NODE_GET_STATUS, &in.base,
			   (ProtobufCMessage **)&status, err))
		return err_wrap(err, "ask for the status");
	rc = print(cfg, status, err);
	rpc_free(&status->base);
	return rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {.out.record = true};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv);

	if (run(&cfg, opt_arg(argc, argv, rest, NULL), &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}
