/* gfl-gateway - the registry of nodes: discovery, leader hint, bootstrap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/daemon.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opt.h"
#include "registry/gateway.h"
#include "wire/tls.h"

struct config {
	struct daemon_opts daemon;
	int64_t lease_ms, forget_ms, grant_ms;
	bool no_bootstrap;
};

static const struct opt opts[] = {
	OPT_SERVING(struct config, daemon, "127.0.0.1:8090"),
	OPT_DB(struct config, daemon),
	OPT_SECONDS(0, "lease", struct config, lease_ms, "15",
		    "a node not heard for so long is dead"),
	OPT_SECONDS(0, "forget-after", struct config, forget_ms, "600",
		    "a dead node is dropped after so long again"),
	OPT_SECONDS(0, "grant", struct config, grant_ms, "30",
		    "time to found the cluster, then another node may"),
	OPT_BOOL(0, "no-bootstrap", struct config, no_bootstrap,
		 "grant no bootstrap: another gateway does"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-gateway",
	.args = "",
	.brief = "the registry of nodes: discovery, leader hint, bootstrap",
	.about = "Nodes register here and send heartbeats; whoever looks for "
		 "the cluster asks here. The first node to come is granted to "
		 "found the cluster, once for ever. State is in SQLite: a "
		 "gateway that is killed and started again knows its nodes. "
		 "The cluster goes on while the gateway is away; one that "
		 "comes back, even with an empty database, knows the living "
		 "within two heartbeats. There may be several gateways, each "
		 "of which hears every node: all but one are started with "
		 "--no-bootstrap.",
	.example = "gfl-gateway --listen 127.0.0.1:8090\n"
		   "curl -d '{}' -H 'content-type: application/json' "
		   "http://127.0.0.1:8090/GatewayService/GetNodes",
	.opts = opts,
	.daemon = true,
};

/* All that the daemon owns. */
struct app {
	struct daemon daemon;
	struct loop *loop;
	struct tls *tls;
	struct db *db;
	struct server *server;
	struct gateway *gateway;
};

static void on_stop(void *arg)
{
	struct app *app = arg;

	daemon_stopping(&app->daemon);
	loop_stop(app->loop);
}

static void on_hangup(void *arg)
{
	tls_reload(((struct app *)arg)->tls);
}

static void on_failed(void *arg)
{
	loop_stop(((struct app *)arg)->loop);
}

static int open_all(struct app *app, const struct config *cfg, struct err *err)
{
	const struct lease_config lease = {
		.lease_ms = cfg->lease_ms,
		.forget_ms = cfg->forget_ms,
		.grant_ms = cfg->grant_ms,
		.grants = !cfg->no_bootstrap,
	};
	struct server_opts serve = {0};
	char *path = NULL;
	int rc;

	if (tls_open(&app->tls, &cfg->daemon.tls, err) ||
	    daemon_db(&path, &cfg->daemon, "gateway.db", err))
		return (int)err->code;
	serve.tls = app->tls;
	rc = db_open(&app->db, path, DB_GATEWAY, err) ||
	     loop_open(&app->loop, err) ||
	     server_open_as(&app->server, app->loop, &cfg->daemon, serve,
			    err) ||
	     gateway_open(&app->gateway, app->loop, app->server, app->db,
			  &lease, on_failed, app, err);
	free(path);
	return rc ? (int)err->code : 0;
}

static void close_all(struct app *app)
{
	if (app->server)
		server_ready(app->server, false);
	gateway_close(app->gateway);
	if (app->server)
		server_close(app->server, 1000);
	db_close(app->db);
	if (app->loop)
		loop_close(app->loop);
	tls_close(app->tls);
}

static int serve(struct app *app, struct err *err)
{
	char *join;

	loop_signals(app->loop, on_stop, on_hangup, app);
	server_ready(app->server, true);
	if (daemon_ready(&app->daemon, server_port(app->server), err))
		return (int)err->code;
	join = mem_fmt("gfl-node -g %s", server_url(app->server));
	log_info("serving", "join_with=%s", join);
	free(join);
	loop_run(app->loop);
	if (!gateway_failed(app->gateway))
		return 0;
	*err = *gateway_failed(app->gateway);
	return (int)err->code;
}

static int run(const struct config *cfg, struct err *err)
{
	struct app app = {0};
	int rc;

	if (daemon_start(&app.daemon, &cfg->daemon, err))
		return (int)err->code;
	rc = open_all(&app, cfg, err) || serve(&app, err);
	close_all(&app);
	daemon_end(&app.daemon);
	return rc ? (int)err->code : 0;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;

	opt_parse(&prog, &cfg, argc, argv);
	if (run(&cfg, &err))
		return err_report(&prog, &err);
	return 0;
}
