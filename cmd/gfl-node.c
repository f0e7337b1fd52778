/* gfl-node - a member of the cluster: replicates its log, coordinates when it
 * leads, and stands between the trainers and the rest. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/daemon.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opt.h"
#include "node/node.h"
#include "wire/tls.h"

enum { BASE_PORT = 8900, ID_MAX = 1 << 30, WAIT_MAX_MS = 86400000 };

struct config {
	struct daemon_opts daemon;
	struct opt_list gateways, joins;
	struct node_config node; /* what options set of it */
	struct opt_pairs on_message, on;
	int rank;
	int on_gateway_failure; /* enum policy */
	bool rejoin;
};

enum policy { RETRY, BOOTSTRAP };

static const struct opt opts[] = {
	OPT_INT64(0, "node-id", struct config, node.node_id, "N", "0", 0,
		  ID_MAX, "number in the cluster; 0: the next free one"),
	OPT_INT(0, "rank", struct config, rank, "N", "-1", -1, ID_MAX - 1,
		"where a launcher starts the nodes: --node-id is N + 1",
		.env = "OMPI_COMM_WORLD_RANK PMIX_RANK PMI_RANK SLURM_PROCID "
		       "JOB_COMPLETION_INDEX"),
	OPT_GATEWAY(struct config, gateways),
	OPT_URLS(0, "join", struct config, joins, NULL,
		 "join by these members instead of a gateway"),
	OPT_BOOL(0, "bootstrap", struct config, node.bootstrap,
		 "found a new cluster, without a gateway's grant"),
	OPT_CHOICE(0, "on-gateway-failure", struct config, on_gateway_failure,
		   "retry|bootstrap", "retry",
		   "without a gateway and a cluster, wait or found one"),
	OPT_DAEMON(struct config, daemon, NULL),
	OPT_MILLIS(0, "min-election-timeout", struct config,
		   node.election_min_ms, "150",
		   "silence of the leader after which to elect", .min = 1,
		   .max = WAIT_MAX_MS),
	OPT_MILLIS(0, "max-election-timeout", struct config,
		   node.election_max_ms, "300",
		   "the same, at most; each time one between the two", .min = 1,
		   .max = WAIT_MAX_MS),
	OPT_MILLIS(0, "heartbeat", struct config, node.heartbeat_ms, "50",
		   "a leader is heard at least so often", .min = 1,
		   .max = WAIT_MAX_MS),
	OPT_SECONDS(0, "fail-after", struct config, node.fail_after_ms, "5",
		    "a node or trainer silent for so long is down", .min = 100,
		    .max = WAIT_MAX_MS),
	OPT_SECONDS(0, "remove-after", struct config, node.remove_after_ms,
		    "600", "a node that is down is removed after so long"),
	OPT_SIZE(0, "snapshot-after", struct config, node.snapshot_bytes, "4M",
		 "replace the log by a snapshot when it has grown so much"),
	OPT_INT(0, "max-voters", struct config, node.max_voters, "N", "5", 1,
		99, "voters at most; further nodes stand by"),
	OPT_INT(0, "client-num", struct config, node.client_num, "N", "0", 0,
		ID_MAX, "members that make the cluster ready; 0: those it has"),
	OPT_BOOL(0, "keep-membership", struct config, node.keep_membership,
		 "stay a member while stopped, for a restart soon"),
	OPT_BOOL(0, "rejoin", struct config, rejoin,
		 "when removed by the others, join again as a new member"),
	OPT_PAIRS(0, "on-message", struct config, on_message, "TYPE=CMD",
		  "run this for each message of that type"),
	OPT_PAIRS(0, "on", struct config, on, "EVENT=CMD",
		  "run this when a node is discovered or lost, or another is "
		  "leader"),
	OPT_SECONDS(0, "handler-timeout", struct config, node.handler_ms, "60",
		    "stop such a command after this long; 0 never"),
	OPT_INT(0, "handler-tries", struct config, node.handler_tries, "N", "5",
		1, 1000, "times that a message is tried to be handled"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-node",
	.args = "",
	.brief = "a member of the cluster",
	.about =
		"Joins the cluster that the gateway knows, or founds it if the "
		"gateway grants that; from then on it is a member, and starts "
		"again from its own database. Members elect a leader among "
		"them, which plans who trains with whom. Trainers attach to "
		"any node; requests that only the leader can serve are passed "
		"on to it. A node that is stopped by TERM leaves the cluster, "
		"and joins again when it is started; one that is killed stays "
		"a member until --remove-after. A gateway that is lost is "
		"missed by nobody but newcomers: they join by any member's "
		"--join, or wait; one of them, and not more, may be told by "
		"--on-gateway-failure=bootstrap to found the cluster when no "
		"gateway has been there for three seconds and no member of "
		"one was seen. Without --listen it serves on "
		"port 8900 + node id of 127.0.0.1, or on a free one if it has "
		"no id of its own.",
	.example = "gfl-node --node-id 1 -g http://127.0.0.1:8090\n"
		   "gfl-node --bootstrap --listen 127.0.0.1:8901\n"
		   "gfl-node --join http://127.0.0.1:8901",
	.opts = opts,
	.daemon = true,
};

/* All that the daemon owns. */
struct app {
	const struct config *cfg;
	struct daemon daemon;
	struct loop *loop;
	struct tls *tls;
	struct node *node;
	struct node_commands commands;
	struct facts facts; /* for them */
	int port;           /* that it had when it first was ready, or 0 */
	struct err err;     /* why it ended; code 0: it left */
};

static void on_stop(void *arg)
{
	struct app *app = arg;

	daemon_stopping(&app->daemon);
	if (app->node)
		node_leave(app->node);
	else
		loop_stop(app->loop);
}

static void on_hangup(void *arg)
{
	tls_reload(((struct app *)arg)->tls);
}

/* A line to paste. */
static void tell_how_to_join(const struct app *app)
{
	const struct config *cfg = app->cfg;
	bool gateway = !cfg->joins.n && !cfg->node.bootstrap && cfg->gateways.n;
	char *line =
		mem_fmt("gfl-node %s %s", gateway ? "-g" : "--join",
			gateway ? cfg->gateways.at[0] : node_url(app->node));

	log_info("serving", "node=%" PRId64 " cluster=%s url=%s join_with=%s",
		 node_id(app->node), node_cluster(app->node),
		 node_url(app->node), line);
	free(line);
}

static void on_ready(void *arg)
{
	struct app *app = arg;
	int port = server_port(node_server(app->node));

	if (!app->port && daemon_ready(&app->daemon, port, &app->err)) {
		loop_stop(app->loop);
		return;
	}
	app->port = port;
	tell_how_to_join(app);
}

static void on_end(const struct err *err, void *arg)
{
	struct app *app = arg;

	app->err.code = ERR_OK;
	if (err)
		app->err = *err;
	loop_stop(app->loop);
}

static char *listen_at(const struct app *app)
{
	const struct config *cfg = app->cfg;
	struct opt_addr at = cfg->daemon.listen;

	if (!at.host[0]) {
		snprintf(at.host, sizeof(at.host), "127.0.0.1");
		if (!at.port && cfg->node.node_id &&
		    cfg->node.node_id <= 65535 - BASE_PORT)
			at.port = BASE_PORT + (int)cfg->node.node_id;
	}
	if (app->port) /* another life, at the same place */
		at.port = app->port;
	return opt_addr_text(&at);
}

static int open_node(struct app *app, const char *path, const char *at,
		     struct err *err)
{
	const struct config *cfg = app->cfg;
	const struct daemon_opts *d = &cfg->daemon;
	struct node_config node = cfg->node;

	node.loop = app->loop;
	node.db_path = path;
	node.server = (struct server_opts){
		.listen = at,
		.advertise = d->advertise,
		.tls = app->tls,
		.insecure = d->insecure,
		.cors = &d->cors,
		.max_message = (size_t)d->max_message,
		.max_connections = (size_t)d->max_connections,
		.max_per_source = (size_t)d->per_source,
	};
	node.gateways = cfg->gateways.at;
	node.ngateways = cfg->gateways.n;
	node.joins = cfg->joins.at;
	node.njoins = cfg->joins.n;
	node.bootstrap_alone = cfg->on_gateway_failure == BOOTSTRAP;
	node.shutdown_ms = d->shutdown_ms;
	node.bind = d->bind;
	node.handlers = app->commands.handlers;
	node.nhandlers = app->commands.nhandlers;
	node.hooks = app->commands.hooks;
	node.nhooks = app->commands.nhooks;
	node.facts = &app->facts;
	node.on_ready = on_ready;
	node.on_shutdown = on_stop;
	node.on_end = on_end;
	node.arg = app;
	return node_open(&app->node, &node, err);
}

/* One life as a member; *again: it was removed, and begins another. */
static int live(struct app *app, const char *path, bool *again, struct err *err)
{
	char *at = listen_at(app);
	int rc = open_node(app, path, at, err);

	free(at);
	*again = false;
	if (rc)
		return rc;
	loop_run(app->loop);
	*again = node_removed(app->node, app->cfg->rejoin);
	node_close(app->node);
	app->node = NULL;
	if (!app->err.code)
		return 0;
	*err = app->err;
	return (int)err->code;
}

static int serve(struct app *app, const char *path, struct err *err)
{
	bool again = true;
	int rc = tls_open(&app->tls, &app->cfg->daemon.tls, err);

	if (!rc)
		rc = loop_open(&app->loop, err);
	if (!rc)
		loop_signals(app->loop, on_stop, on_hangup, app);
	while (!rc && again) {
		rc = live(app, path, &again, err);
		if (again) {
			log_warn("removed", "error=%s", err->msg);
			rc = 0;
		}
	}
	if (app->loop)
		loop_close(app->loop);
	tls_close(app->tls);
	return rc;
}

/* From its database on, for which there is a name where none is given. */
static int begin(struct app *app, struct err *err)
{
	const struct config *cfg = app->cfg;
	int64_t id = cfg->node.node_id;
	char *path = NULL, *file = id ? mem_fmt("node-%" PRId64 ".db", id)
				      : mem_str("node.db");
	int rc = daemon_db(&path, &cfg->daemon, file, err);

	if (!rc)
		rc = serve(app, path, err);
	if (rc && err->code == ERR_RESOURCE_EXHAUSTED && !id && !cfg->daemon.db)
		err_hint(err, "another node of this machine is told apart by "
			      "--node-id or --db");
	free(path);
	free(file);
	return rc;
}

static int run(const struct config *cfg, struct err *err)
{
	struct app app = {.cfg = cfg};
	int rc;

	if (cfg->node.bootstrap && cfg->joins.n)
		return err_set(
			err, ERR_INVALID_ARGUMENT,
			"--bootstrap founds a cluster, --join joins one: "
			"not both");
	rc = node_commands_open(&app.commands, &cfg->on_message, &cfg->on, err);
	if (!rc)
		rc = daemon_start(&app.daemon, &cfg->daemon, err);
	if (!rc) {
		node_commands_tls(&app.facts, &cfg->daemon.tls);
		rc = begin(&app, err);
		daemon_end(&app.daemon);
	}
	node_commands_release(&app.commands);
	facts_release(&app.facts);
	return rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;

	opt_parse(&prog, &cfg, argc, argv);
	if (!cfg.node.node_id && cfg.rank >= 0)
		cfg.node.node_id = cfg.rank + 1;
	if (run(&cfg, &err))
		return err_report(&prog, &err);
	return 0;
}
