/* gfl-master - a durable queue of evaluation tasks, and the workers for it. */
#include <stdlib.h>

#include "base/daemon.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opt.h"
#include "task/master.h"
#include "wire/tls.h"

struct config {
	struct daemon_opts daemon;
	const char *scheduler;
	int64_t silence_ms, grace_ms, retry_ms, keep_ms, breaker_ms, max_tasks;
	int breaker_failures, breaker_successes;
	bool push;
};

static const struct opt opts[] = {
	OPT_WORD(0, "scheduler", struct config, scheduler, "NAME", SCHEDULERS,
		 "priority", "which task goes to which worker"),
	OPT_SECONDS(0, "silence", struct config, silence_ms, "30",
		    "a worker not heard for so long is dead", .min = 100,
		    .max = 86400000),
	OPT_SECONDS(0, "retry-delay", struct config, retry_ms, "1",
		    "before the first retry; doubles, up to 60 times that",
		    .min = 1, .max = 3600000),
	OPT_INT(0, "breaker-failures", struct config, breaker_failures, "N",
		"3", 0, 1000,
		"tasks that fail in a row keep a worker from more; 0: never"),
	OPT_SECONDS(0, "breaker-time", struct config, breaker_ms, "300",
		    "... for so long"),
	OPT_INT(0, "breaker-successes", struct config, breaker_successes, "N",
		"2", 1, 1000, "... then these in a row make it as before"),
	OPT_SECONDS(0, "grace", struct config, grace_ms, "10",
		    "beyond a task's time, for its worker to say so"),
	OPT_SECONDS(0, "keep", struct config, keep_ms, "30d",
		    "forget what ended so long ago; 0: never"),
	OPT_INT64(0, "max-tasks", struct config, max_tasks, "N", "1000000", 1,
		  100000000, "refuse more that have not ended"),
	OPT_BOOL(0, "push", struct config, push,
		 "call workers of others that have an address, unless they say "
		 "otherwise; else they ask"),
	OPT_DAEMON(struct config, daemon, "127.0.0.1:50051"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-master",
	.args = "",
	.brief = "a durable queue of evaluation tasks, and the workers for it",
	.about =
		"Takes tasks from gfl-submit, gives each to one worker at a "
		"time, and keeps what came of it, all in SQLite: a master that "
		"is killed and started again goes on where it was, and each "
		"task ends once. Workers are gfl-worker, or those that speak "
		"MorphML's MasterService and WorkerService. A task that fails "
		"is tried again after a while, elsewhere if there is an "
		"elsewhere; one whose worker is silent goes to another. What "
		"has ended is forgotten after --keep, together with what was "
		"submitted at once with it and its lines of a --token. By TLS "
		"the name of a worker is that of the certificate that it came "
		"with, and no other one may speak for it.",
	.example = "gfl-master --listen 127.0.0.1:50051\n"
		   "gfl-worker --exec ./evaluate &\n"
		   "jq -nc '{lr:(0.1,0.05)}' | gfl-submit --wait",
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
	struct client *client;
	struct master *master;
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

static int open_master(struct app *app, const struct config *cfg,
		       struct err *err)
{
	enum { RETRY_TIMES = 60 };
	const struct master_config how = {
		.farm = {.scheduler = schedule_find(cfg->scheduler),
			 .silence_ms = cfg->silence_ms,
			 .grace_ms = cfg->grace_ms,
			 .retry_ms = cfg->retry_ms,
			 .retry_max_ms = RETRY_TIMES * cfg->retry_ms,
			 .breaker = {cfg->breaker_failures, cfg->breaker_ms,
				     cfg->breaker_successes},
			 .max_tasks = (size_t)cfg->max_tasks},
		.keep_ms = cfg->keep_ms,
		.push = cfg->push,
	};

	client_bind(app->client, cfg->daemon.bind);
	return master_open(&app->master, app->loop, app->server, app->client,
			   app->db, &how, on_failed, app, err);
}

static int open_all(struct app *app, const struct config *cfg, struct err *err)
{
	const int64_t max = cfg->daemon.max_message;
	struct server_opts serve = {0};
	char *path = NULL;
	int rc;

	if (max && max < MASTER_MESSAGE_MIN)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--max-message: %lld bytes are too few for a "
			       "task and its result, at least %d",
			       (long long)max, MASTER_MESSAGE_MIN);
	if (tls_open(&app->tls, &cfg->daemon.tls, err) ||
	    daemon_db(&path, &cfg->daemon, "master.db", err))
		return (int)err->code;
	serve.tls = app->tls;
	rc = db_open(&app->db, path, DB_MASTER, err) ||
	     loop_open(&app->loop, err) ||
	     server_open_as(&app->server, app->loop, &cfg->daemon, serve,
			    err) ||
	     client_open(&app->client, app->loop, app->tls, err) ||
	     open_master(app, cfg, err);
	free(path);
	return rc ? (int)err->code : 0;
}

static void close_all(struct app *app)
{
	if (app->server) {
		server_ready(app->server, false);
		server_close(app->server, 1000);
	}
	master_close(app->master);
	client_close(app->client);
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
	join = mem_fmt("gfl-worker -m %s", server_url(app->server));
	log_info("serving", "join_with=%s unfinished=%zu", join,
		 master_unfinished(app->master));
	free(join);
	loop_run(app->loop);
	if (!master_failed(app->master))
		return 0;
	*err = *master_failed(app->master);
	return (int)err->code;
}

static int run(const struct config *cfg, struct err *err)
{
	struct app app = {0};
	int rc;

	mem_bulk();
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
