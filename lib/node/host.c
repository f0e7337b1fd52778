#include "node/host_impl.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/check.h"

enum { RELOAD_MS = 20 };

static int add_commands(struct host *h, const struct host_config *cfg,
			struct err *err)
{
	struct commands_life *c = mem_zero(1, sizeof(*c));
	int rc = node_commands_open(&c->all, &cfg->on_message, &cfg->on, err);

	if (rc) {
		node_commands_release(&c->all);
		free(c);
		return rc;
	}
	c->before = h->commands;
	h->commands = c;
	return 0;
}

static void free_commands(struct host *h)
{
	while (h->commands) {
		struct commands_life *c = h->commands;

		h->commands = c->before;
		node_commands_release(&c->all);
		free(c);
	}
}

static void hand_commands(void *arg)
{
	struct host *h = arg;
	const struct node_commands *c = &h->commands->all;

	if (h->node && !node_handle(h->node, c->handlers, c->nhandlers,
				    c->hooks, c->nhooks))
		return;
	timer_stop(&h->reload);
	log_info("reloaded", "handlers=%zu hooks=%zu", c->nhandlers, c->nhooks);
}

/* What is wrong is logged, and all stays as it was. */
static void on_hangup(void *arg)
{
	struct host_config fresh = {0};
	struct host *h = arg;
	struct err err;

	tls_reload(h->tls);
	if (h->cfg->reload(&fresh, h->cfg->arg, &err) ||
	    add_commands(h, &fresh, &err)) {
		log_err("reload", &err);
		return;
	}
	log_info("reloading");
	timer_every(&h->reload, h->loop, RELOAD_MS, hand_commands, h);
	hand_commands(h); /* from now on none of the old ones starts */
}

static int open_repl(struct host *h, struct err *err)
{
	const struct repl_config cfg = {
		.loop = h->loop,
		.facts = &h->facts,
		.stop_on_error = h->cfg->errexit,
		.on_end = host_stop,
		.arg = h,
	};

	return h->cfg->interactive ? repl_open(&h->repl, &cfg, err) : 0;
}

static int serve(struct host *h, const char *path, struct err *err)
{
	bool again = true;
	int rc = tls_open(&h->tls, &h->cfg->daemon.tls, err);

	if (!rc)
		rc = loop_open(&h->loop, err);
	if (!rc) {
		loop_signals(h->loop, host_stop, on_hangup, h);
		rc = open_repl(h, err);
	}
	while (!rc && again) {
		rc = host_live(h, path, &again, err);
		if (again) {
			log_warn("removed", "error=%s", err->msg);
			rc = 0;
		}
	}
	h->failed = h->repl && repl_failed(h->repl);
	repl_close(h->repl);
	timer_stop(&h->reload);
	if (h->loop)
		loop_close(h->loop);
	tls_close(h->tls);
	return rc;
}

/* From its database on, for which there is a name where none is given. */
static int begin(struct host *h, struct err *err)
{
	const struct host_config *cfg = h->cfg;
	int64_t id = cfg->node.node_id;
	char *path = NULL, *file = id ? mem_fmt("node-%" PRId64 ".db", id)
				      : mem_str("node.db");
	int rc = daemon_db(&path, &cfg->daemon, file, err);

	if (!rc && cfg->check)
		rc = check_file(path, true, &(struct out_opts){0}, err);
	else if (!rc)
		rc = serve(h, path, err);
	if (rc && err->code == ERR_RESOURCE_EXHAUSTED && !id && !cfg->daemon.db)
		err_hint(err, "another node of this machine is told apart by "
			      "--node-id or --db");
	free(path);
	free(file);
	return rc;
}

static int check(const struct host_config *cfg, struct err *err)
{
	if (cfg->node.bootstrap && cfg->joins.n)
		return err_set(
			err, ERR_INVALID_ARGUMENT,
			"--bootstrap founds a cluster, --join joins one: "
			"not both");
	if (cfg->interactive && cfg->daemon.background)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--interactive has no place in the "
			       "--background");
	return 0;
}

int host_run(const struct host_config *cfg, bool *failed, struct err *err)
{
	struct host h = {.cfg = cfg};
	int rc = check(cfg, err);

	if (!rc)
		rc = add_commands(&h, cfg, err);
	if (!rc)
		rc = daemon_start(&h.daemon, &cfg->daemon, err);
	if (!rc) {
		node_commands_tls(&h.facts, &cfg->daemon.tls);
		rc = begin(&h, err);
		daemon_end(&h.daemon);
	}
	free_commands(&h);
	facts_release(&h.facts);
	*failed = h.failed;
	return rc;
}
