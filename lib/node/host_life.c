/* One life of a node: from its database until it leaves, or is removed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "node/host_impl.h"

enum { PROMPT_MS = 10, SETTLE_MS = 3000 };

static void stop_loop(void *arg)
{
	struct host *h = arg;

	h->over = true;
	loop_stop(h->loop);
}

void host_stop(void *arg)
{
	struct host *h = arg;

	daemon_stopping(&h->daemon);
	loop_on_interrupt(h->loop, NULL);
	timer_stop(&h->prompt);
	timer_stop(&h->reload);
	if (h->repl)
		repl_stop(h->repl);
	if (h->node)
		node_leave(h->node);
	else
		stop_loop(h);
}

/* What runs for the person hears it from the terminal too. */
static void on_interrupt(void *arg)
{
	repl_interrupt(((struct host *)arg)->repl);
}

/* A line to paste. */
static void tell_how_to_join(const struct host *h)
{
	const struct host_config *cfg = h->cfg;
	bool gateway = !cfg->joins.n && !cfg->node.bootstrap && cfg->gateways.n;
	char *line = mem_fmt("gfl-node %s %s", gateway ? "-g" : "--join",
			     gateway ? cfg->gateways.at[0] : node_url(h->node));

	log_info("serving", "node=%" PRId64 " cluster=%s url=%s join_with=%s",
		 node_id(h->node), node_cluster(h->node), node_url(h->node),
		 line);
	free(line);
}

/* What a word asks of the node should not be answered from half a log. */
static void look_at_prompt(void *arg)
{
	struct host *h = arg;

	if (!node_settled(h->node) && clock_ms() - h->ready_ms < SETTLE_MS)
		return;
	timer_stop(&h->prompt);
	repl_start(h->repl, node_id(h->node), node_url(h->node));
	if (repl_is_person(h->repl))
		loop_on_interrupt(h->loop, on_interrupt);
}

static void on_ready(void *arg)
{
	struct host *h = arg;
	int port = server_port(node_server(h->node));

	if (!h->port && daemon_ready(&h->daemon, port, &h->err)) {
		stop_loop(h);
		return;
	}
	h->port = port;
	tell_how_to_join(h);
	h->ready_ms = clock_ms();
	if (h->repl)
		timer_every(&h->prompt, h->loop, PROMPT_MS, look_at_prompt, h);
}

static void on_end(const struct err *err, void *arg)
{
	struct host *h = arg;

	h->err.code = ERR_OK;
	if (err)
		h->err = *err;
	stop_loop(h);
}

static char *listen_at(const struct host *h)
{
	const struct host_config *cfg = h->cfg;
	struct opt_addr at = cfg->daemon.listen;

	if (!at.host[0]) {
		snprintf(at.host, sizeof(at.host), "127.0.0.1");
		if (!at.port && cfg->node.node_id &&
		    cfg->node.node_id <= 65535 - HOST_BASE_PORT)
			at.port = HOST_BASE_PORT + (int)cfg->node.node_id;
	}
	if (h->port) /* another life, at the same place */
		at.port = h->port;
	return opt_addr_text(&at);
}

static bool has_upper(const struct host_config *cfg)
{
	return cfg->upper.gateways.n || cfg->upper.joins.n;
}

/* A free port beside the node's own, unless the option says where. */
static char *upper_listen(const struct host *h)
{
	struct opt_addr at = h->cfg->upper.listen;

	if (!at.host[0])
		str_copy(at.host, sizeof(at.host),
			 h->cfg->daemon.listen.host[0]
				 ? h->cfg->daemon.listen.host
				 : "127.0.0.1");
	return opt_addr_text(&at);
}

/* PATH/node.db has PATH/node.upper.db. */
static char *upper_db(const char *path)
{
	return mem_fmt("%.*s.upper.db", str_stem(path), path);
}

/* What a node and the one above have in common. */
static struct node_config node_config(const struct host *h, const char *path,
				      const char *at)
{
	const struct daemon_opts *d = &h->cfg->daemon;
	struct node_config node = h->cfg->node;

	node.loop = h->loop;
	node.db_path = path;
	node.server = (struct server_opts){
		.listen = at,
		.tls = h->tls,
		.insecure = d->insecure,
		.cors = &d->cors,
		.max_message = (size_t)d->max_message,
		.max_connections = (size_t)d->max_connections,
		.max_per_source = (size_t)d->per_source,
	};
	node.shutdown_ms = d->shutdown_ms;
	node.bind = d->bind;
	return node;
}

static int open_node(struct host *h, const char *path, const char *at,
		     struct err *err)
{
	const struct host_config *cfg = h->cfg;
	struct node_config node = node_config(h, path, at);

	node.server.advertise = cfg->daemon.advertise;
	node.gateways = cfg->gateways.at;
	node.ngateways = cfg->gateways.n;
	node.joins = cfg->joins.at;
	node.njoins = cfg->joins.n;
	node.handlers = h->commands->all.handlers;
	node.nhandlers = h->commands->all.nhandlers;
	node.hooks = h->commands->all.hooks;
	node.nhooks = h->commands->all.nhooks;
	node.facts = &h->facts;
	node.on_ready = on_ready;
	node.on_shutdown = host_stop;
	node.on_end = on_end;
	node.arg = h;
	return node_open(&h->node, &node, err);
}

static void on_turn(void *arg)
{
	loop_stop(((struct host *)arg)->loop);
}

/* Where there is an upper cluster. It bootstraps by its gateways alone. */
static void open_cluster(struct host *h, const char *path, const char *at)
{
	const struct host_config *cfg = h->cfg;
	struct cluster_config above = {
		.node = node_config(h, path, at),
		.on_turn = on_turn,
		.arg = h,
	};

	above.node.server.advertise = cfg->upper.advertise;
	above.node.node_id = 0;
	above.node.gateways = cfg->upper.gateways.at;
	above.node.ngateways = cfg->upper.gateways.n;
	above.node.joins = cfg->upper.joins.at;
	above.node.njoins = cfg->upper.joins.n;
	above.node.bootstrap = above.node.bootstrap_alone = false;
	above.node.client_num = 0;
	cluster_open(&h->cluster, h->node, &above);
}

static void run(struct host *h)
{
	h->over = false;
	cluster_turn(h->cluster);
	while (!h->over) {
		loop_run(h->loop);
		cluster_turn(h->cluster);
	}
}

/* The member above outlives the node: it votes until it is let go. */
static void close_both(struct host *h)
{
	if (h->cluster && !h->err.code)
		cluster_leave(h->cluster, node_alone(h->node));
	else
		cluster_close(h->cluster);
	node_close(h->node);
	h->node = NULL;
	if (h->cluster && !h->err.code) {
		for (cluster_turn(h->cluster); !cluster_left(h->cluster);
		     cluster_turn(h->cluster))
			loop_run(h->loop);
		cluster_close(h->cluster);
	}
	h->cluster = NULL;
}

int host_live(struct host *h, const char *path, bool *again, struct err *err)
{
	char *at = listen_at(h), *above = NULL, *above_at = NULL;
	int rc = open_node(h, path, at, err);

	free(at);
	*again = false;
	if (rc)
		return rc;
	if (has_upper(h->cfg)) {
		above = upper_db(path);
		above_at = upper_listen(h);
		open_cluster(h, above, above_at);
	}
	run(h);
	*again = node_removed(h->node, h->cfg->rejoin);
	timer_stop(&h->prompt);
	close_both(h);
	free(above);
	free(above_at);
	if (!h->err.code)
		return 0;
	*err = h->err;
	return (int)err->code;
}
