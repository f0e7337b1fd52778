/* gfl-leader - print who leads; exit 5 when nobody does. */
#include <unistd.h>

#include "base/clock.h"
#include "base/opt.h"
#include "base/out.h"
#include "proto/node.pb-c.h"
#include "registry/directory.h"

enum { POLL_US = 50000 };

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
	.name = "gfl-leader",
	.args = "",
	.brief = "print the id of the node that leads",
	.about = "Asks a node, not the gateway's hint. Prints the id alone "
		 "unless -o or -F ask for more. While the node asked knows of "
		 "no leader, as during an election, it is asked again; exits 5 "
		 "when --timeout comes first.",
	.example = "old=$(gfl-leader) && echo \"node $old leads\"\n"
		   "gfl-leader -o json",
	.opts = opts,
};

static const struct out_col cols[] = {
	{"id", OUT_INT}, {"url", OUT_TEXT}, {"term", OUT_INT},
};

static int print(const struct config *cfg, const Gfl__V1__NodeStatus *s,
		 struct err *err)
{
	struct out_opts opts_here = cfg->out;
	struct out *o;

	if (!s->leader_id) {
		err_set(err, ERR_FAILED_PRECONDITION,
			"node %lld knows of no leader in term %lld",
			(long long)s->node_id, (long long)s->term);
		return err_hint(err, "more than half of the voters have to be "
				     "up to elect one");
	}
	if (!opts_here.fields && !opts_here.format)
		opts_here.fields = "id";
	if (out_begin(&o, &opts_here, cols, 3, false, err))
		return (int)err->code;
	out_row(o, out_int(s->leader_id), out_text(s->leader_url),
		out_int(s->term));
	return out_end(o, err);
}

static int ask(const struct config *cfg, Gfl__V1__NodeStatus **out,
	       struct err *err)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;

	in.linearizable = cfg->linearizable;
	return directory_call(&cfg->client, RPC_NODE_GET_STATUS, &in.base,
			      (ProtobufCMessage **)out, err);
}

/* Until the node knows of a leader, or the last answer that comes in time;
 * who falls silent meanwhile takes no answer back. */
static int ask_on(const struct config *cfg, Gfl__V1__NodeStatus **out,
		  struct err *err)
{
	int64_t limit_ms = cfg->client.timeout_ms, since_ms = clock_ms();
	Gfl__V1__NodeStatus *next;

	if (ask(cfg, out, err))
		return (int)err->code;
	while (!(*out)->leader_id &&
	       (!limit_ms || clock_ms() - since_ms < limit_ms)) {
		usleep(POLL_US);
		if (ask(cfg, &next, err))
			continue;
		rpc_free(&(*out)->base);
		*out = next;
	}
	return 0;
}

static int run(const struct config *cfg, struct err *err)
{
	Gfl__V1__NodeStatus *status;
	int rc;

	if (ask_on(cfg, &status, err))
		return err_wrap(err, "ask for the leader");
	rc = print(cfg, status, err);
	rpc_free(&status->base);
	return rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;

	opt_parse(&prog, &cfg, argc, argv);
	if (run(&cfg, &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}
