/* gfl-trainer - train on local data, exchange the model with peers. */
#include <stdlib.h>

#include "base/daemon.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opt.h"
#include "fl/spoke.h"
#include "fl/trainer.h"
#include "nn/threads.h"
#include "wire/tls.h"

struct config {
	struct daemon_opts daemon;
	struct opt_list nodes, gateways;
	const char *data, *label, *index, *test, *model_out;
	int classes, threads;
	int64_t trainer_id, eval_every, checkpoint_rounds,
		checkpoint_ms;
	bool no_runs;
	struct opt_list server;
	bool active, passive;
};

static const struct opt opts[] = {
	OPT_URLS(0, "node", struct config, nodes, NULL,
		 "attach to the first of these nodes that answers"),
	OPT_URLS('g', "gateway", struct config, gateways, NULL,
		 "where no node answers, ask these gateways for others"),
	OPT_FILE(0, "data", struct config, data, NULL,
		 "train on this: a file (IDX, .npy, .npz, .csv, .svm; also "
		 "gzipped), or a folder with MNIST's names",
		 .required = true),
	OPT_STRING(0, "label", struct config, label, "NAME", NULL,
		   "column of labels of a .csv (name, or number from 1), or "
		   "file of labels of a .npy"),
	OPT_FILE(0, "index", struct config, index, NULL,
		 "only on the examples of this index file (see gfl-data)"),
	OPT_FILE(0, "test", struct config, test, NULL,
		 "evaluate on this, a file or a folder likewise"),
	OPT_INT(0, "classes", struct config, classes, "N", "10", 0, 256,
		"refuse labels from this on; 0 takes whatever comes"),
	OPT_INT(0, "threads", struct config, threads, "N", "1", 1, THREADS_MAX,
		"compute on so many threads"),
	OPT_INT64(0, "eval-every", struct config, eval_every, "ROUNDS", "20", 1,
		  INT64_MAX, "evaluate so often, unless the run says"),
	OPT_INT64(0, "checkpoint-every", struct config, checkpoint_rounds,
		  "ROUNDS", "0", 0, INT64_MAX,
		  "a crash loses at most so many rounds; 0: as many as fit "
		  "into --checkpoint-interval"),
	OPT_SECONDS(0, "checkpoint-interval", struct config, checkpoint_ms,
		    "10", "a crash loses at most so much training", .min = 1,
		    .max = 86400000),
	OPT_FILE(0, "model-out", struct config, model_out, NULL,
		 "write the last model here, not beside the database"),
	OPT_INT64(0, "trainer-id", struct config, trainer_id, "N", "0", 0,
		  1 << 30, "the id to ask for; 0 takes what is given"),
	OPT_BOOL(0, "no-runs", struct config, no_runs,
		 "attach, but take part in no training run"),
	OPT_URLS(0, "server", struct config, server, NULL,
		 "be the client of this gfl-server instead: no node, no peers"),
	OPT_BOOL(0, "passive", struct config, passive,
		 "wait at the server to be activated, as is usual"),
	OPT_BOOL(0, "active", struct config, active,
		 "ask the server when there is nothing to do, and hold no "
		 "request there meanwhile"),
	OPT_DAEMON(struct config, daemon, "127.0.0.1:0"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-trainer",
	.args = "",
	.brief = "train on local data, exchange the model with peers",
	.about = "Attaches to a node and waits for training runs. In a run it "
		 "takes a few steps of SGD on its own data, exchanges a part "
		 "of the parameters with the peer that the committed plan "
		 "names for the round, averages, and goes on. The data never "
		 "leave it. When its node dies it attaches to another that it "
		 "knows, or that a gateway of -g tells; when it is killed and "
		 "started again with the same "
		 "--db it goes on from its last checkpoint, beside that file. "
		 "The last model of a run is written there too.",
	.example = "gfl-trainer --node http://127.0.0.1:8901 --data "
		   "/usr/share/datasets/fashion-mnist --test "
		   "/usr/share/datasets/fashion-mnist --index part-1.idx --db "
		   "trainer1.db",
	.opts = opts,
	.daemon = true,
};

/* All that the daemon owns. */
struct app {
	struct daemon daemon;
	struct loop *loop;
	struct tls *tls;
	struct server *server;
	struct data *train, *test;
	struct index index;
	struct trainer *trainer; /* or */
	struct spoke *spoke;
};

static void on_end(void *arg)
{
	loop_stop(((struct app *)arg)->loop);
}

static void on_stop(void *arg)
{
	struct app *app = arg;

	daemon_stopping(&app->daemon);
	if (app->spoke)
		spoke_stop(app->spoke);
	else
		trainer_stop(app->trainer, on_end, app);
}

static void on_hangup(void *arg)
{
	tls_reload(((struct app *)arg)->tls);
}

static int open_data(struct app *app, const struct config *cfg, struct err *err)
{
	struct data_opts how = {"train", cfg->classes, cfg->label};
	int rc = data_open_as(&app->train, cfg->data, &how, err);

	how.part = "test";
	if (!rc && cfg->test)
		rc = data_open_as(&app->test, cfg->test, &how, err);
	if (rc)
		return rc;
	if (cfg->index)
		return index_read(&app->index, cfg->index, app->train->count,
				  err);
	index_all(&app->index, app->train->count);
	return 0;
}

static int open_spoke(struct app *app, const struct config *cfg,
		      const struct learner_data *data, const char *db,
		      struct err *err)
{
	const struct spoke_opts how = {
		.url = cfg->server.at[0],
		.db = db,
		.active = cfg->active,
		.tls = app->tls,
	};

	return spoke_open(&app->spoke, app->loop, app->server, data, &how,
			  on_end, app, err);
}

static int open_trainer(struct app *app, const struct config *cfg,
			const char *db, struct err *err)
{
	const struct learner_data data = {app->train, &app->index, app->test,
					  cfg->threads};
	const struct trainer_opts how = {
		.nodes = cfg->nodes.at,
		.nnodes = cfg->nodes.n,
		.gateways = &cfg->gateways,
		.trainer_id = cfg->trainer_id,
		.no_runs = cfg->no_runs,
		.eval_every = cfg->eval_every,
		.checkpoint_rounds = cfg->checkpoint_rounds,
		.checkpoint_ms = cfg->checkpoint_ms,
		.model_out = cfg->model_out,
		.url = server_url(app->server),
		.db = db,
		.tls = app->tls,
	};

	if (cfg->server.n)
		return open_spoke(app, cfg, &data, db, err);
	return trainer_open(&app->trainer, app->loop, app->server, &data, &how,
			    on_end, app, err);
}

static int open_all(struct app *app, const struct config *cfg, const char *db,
		    struct err *err)
{
	struct server_opts serve = {
		.advertise = cfg->daemon.advertise,
		.insecure = cfg->daemon.insecure,
		.cors = &cfg->daemon.cors,
		.max_message = (size_t)cfg->daemon.max_message,
		.max_connections = (size_t)cfg->daemon.max_connections,
		.max_per_source = (size_t)cfg->daemon.per_source,
	};
	char *listen = opt_addr_text(&cfg->daemon.listen);
	int rc;

	serve.listen = listen;
	rc = tls_open(&app->tls, &cfg->daemon.tls, err);
	serve.tls = app->tls;
	rc = rc || open_data(app, cfg, err) || loop_open(&app->loop, err) ||
	     server_open(&app->server, app->loop, &serve, err) ||
	     open_trainer(app, cfg, db, err);
	free(listen);
	return rc ? (int)err->code : 0;
}

/* The server first: while it drains, its calls are still the trainer's. */
static void close_all(struct app *app)
{
	if (app->server) {
		server_ready(app->server, false);
		server_close(app->server, 1000);
	}
	trainer_close(app->trainer);
	spoke_close(app->spoke);
	if (app->loop)
		loop_close(app->loop);
	tls_close(app->tls);
	index_release(&app->index);
	data_close(app->test);
	data_close(app->train);
}

static const struct err *failure_of(const struct app *app)
{
	return app->spoke ? spoke_failed(app->spoke)
			  : trainer_failed(app->trainer);
}

static int serve(struct app *app, struct err *err)
{
	loop_signals(app->loop, on_stop, on_hangup, app);
	if (daemon_ready(&app->daemon, server_port(app->server), err))
		return (int)err->code;
	log_info("serving", "url=%s examples=%zu", server_url(app->server),
		 app->index.n);
	loop_run(app->loop);
	if (!failure_of(app))
		return 0;
	*err = *failure_of(app);
	return (int)err->code;
}

static int check(const struct config *cfg, struct err *err)
{
	const bool server = cfg->server.n;

	if (!cfg->nodes.n && !cfg->gateways.n && !server)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "name a node with --node, a gateway with -g, or "
			       "a server with --server");
	if (server && (cfg->nodes.n || cfg->gateways.n))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--server goes with neither --node nor -g");
	if (cfg->server.n > 1 || (cfg->active && cfg->passive) ||
	    (!server && (cfg->active || cfg->passive)))
		return err_set(err, ERR_INVALID_ARGUMENT, "%s",
			       cfg->server.n > 1
				       ? "--server names one server"
				       : "one of --active and --passive goes "
					 "with --server");
	return 0;
}

static int run(const struct config *cfg, struct err *err)
{
	struct app app = {0};
	char *db = NULL;
	int rc;

	if (check(cfg, err))
		return (int)err->code;
	mem_bulk();
	if (daemon_start(&app.daemon, &cfg->daemon, err) ||
	    daemon_db(&db, &cfg->daemon, "trainer.db", err))
		return (int)err->code;
	rc = open_all(&app, cfg, db, err) || serve(&app, err);
	close_all(&app);
	daemon_end(&app.daemon);
	free(db);
	return rc ? (int)err->code : 0;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;

	opt_parse(&prog, &cfg, argc, argv);
	if (threads_begin(cfg.threads, argv, &err) || run(&cfg, &err))
		return err_report(&prog, &err);
	return 0;
}
