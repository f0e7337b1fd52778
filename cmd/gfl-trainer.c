/* gfl-trainer - train on local data, exchange the model with peers. */
#include <stdlib.h>
#include <string.h>

#include "base/daemon.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opt.h"
#include "fl/clients.h"
#include "fl/local.h"
#include "fl/spoke.h"
#include "nn/threads.h"
#include "wire/tls.h"

struct config {
	struct daemon_opts daemon;
	struct opt_list nodes, gateways, server;
	const char *data, *label, *index, *test, *model_out;
	int rank, classes, threads, clients;
	int64_t trainer_id, eval_every, checkpoint_rounds, checkpoint_ms;
	const char *exec, *serve;
	int64_t task_ms, ready_ms, grace_ms, stuck_ms, give_up_ms;
	bool active, passive, no_runs;
};

static const struct opt opts[] = {
	OPT_URLS(0, "node", struct config, nodes, NULL,
		 "attach to the first of these nodes that answers"),
	OPT_URLS('g', "gateway", struct config, gateways, NULL,
		 "where no node answers, ask these gateways for others"),
	OPT_FILE(0, "data", struct config, data, NULL,
		 "train on this: a file (IDX, .npy, .npz, .csv, .svm; also "
		 "gzipped), or a folder with MNIST's names; with --exec "
		 "whatever that takes"),
	OPT_STRING(0, "label", struct config, label, "NAME", NULL,
		   "column of labels of a .csv (name, or number from 1), or "
		   "file of labels of a .npy"),
	OPT_INT(0, "clients", struct config, clients, "N", "1", 1, CLIENTS_MAX,
		"host so many logical clients: each is a trainer of its own "
		"to the cluster"),
	OPT_FILE(0, "index", struct config, index, NULL,
		 "only on the examples of this index file (see gfl-data); with "
		 "--clients a list of files, or a name with %d for 1 to N"),
	OPT_FILE(0, "test", struct config, test, NULL,
		 "evaluate on this, a file or a folder likewise"),
	OPT_INT(0, "classes", struct config, classes, "N", "10", 0, 256,
		"refuse labels from this on; 0 takes whatever comes"),
	OPT_INT(0, "threads", struct config, threads, "N", "1", 1, THREADS_MAX,
		"compute on so many threads, which clients share"),
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
		 "write the last model here, not beside the database; with "
		 "--clients as --index"),
	OPT_INT64(0, "trainer-id", struct config, trainer_id, "N", "0", 0,
		  1 << 30,
		  "the id to ask for, and those that follow for further "
		  "clients; 0 takes what is given"),
	OPT_RANK(struct config, rank,
		 "where a launcher starts the trainers: --trainer-id is N "
		 "times --clients + 1, and %d in --data, --index and "
		 "--model-out of one client N + 1"),
	OPT_STRING(0, "exec", struct config, exec, "COMMAND", NULL,
		   "have this train, once a round (see gfl(7), TRAINERS); "
		   "words without a shell"),
	OPT_STRING(0, "exec-serve", struct config, serve, "COMMAND", NULL,
		   "have this train, one process for all rounds"),
	OPT_SECONDS(0, "exec-timeout", struct config, task_ms, "600",
		    "a round, or evaluation, that takes it longer has failed",
		    .min = 1, .max = 86400000),
	OPT_SECONDS(0, "exec-ready", struct config, ready_ms, "60",
		    "time until a serving one is ready", .min = 1,
		    .max = 86400000),
	OPT_SECONDS(0, "exec-grace", struct config, grace_ms, "10",
		    "time from TERM to KILL, when it is ended", .min = 1,
		    .max = 3600000),
	OPT_SECONDS(0, "stuck-after", struct config, stuck_ms, "600",
		    "abort when a single batch takes longer", .min = 10,
		    .max = 86400000),
	OPT_BOOL(0, "no-runs", struct config, no_runs,
		 "attach, but take part in no training run"),
	OPT_URLS(0, "server", struct config, server, NULL,
		 "be the client of this gfl-server instead: no node, no "
		 "peers; of several (--on-leader) that of the active one"),
	OPT_BOOL(0, "passive", struct config, passive,
		 "wait at the server to be activated, as is usual"),
	OPT_BOOL(0, "active", struct config, active,
		 "ask the server when there is nothing to do, and hold no "
		 "request there meanwhile"),
	OPT_SECONDS(0, "give-up", struct config, give_up_ms, "300",
		    "once the client of a server, end (status 3) when it "
		    "does not answer for so long; 0: never",
		    .max = 1 << 30),
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
		 "leave it.\n\n"
		 "When its node dies it attaches to another that it knows, or "
		 "that a gateway of -g tells; when it is killed and started "
		 "again with the same --db it goes on from its last "
		 "checkpoint, beside that file. The last model of a run is "
		 "written there too.\n\n"
		 "With --clients it is N trainers, which share its data, "
		 "address and threads; the files of each have its number "
		 "before their last dot, and keep its id.\n\n"
		 "With --exec or --exec-serve a program of yours takes the "
		 "steps; gfl(7) says under TRAINERS how, and which runs it "
		 "takes part in.\n\n"
		 "The client of a server has nothing to do with runs, nor "
		 "with what is said above of them: --trainer-id, --no-runs, "
		 "--eval-every, --checkpoint-... and --model-out. By scaffold "
		 "and feddyn it keeps a vector of its own beside --db.",
	.example = "gfl-trainer --node http://127.0.0.1:8901 --data "
		   "/usr/share/datasets/fashion-mnist --test "
		   "/usr/share/datasets/fashion-mnist --index part-1.idx --db "
		   "trainer1.db\n"
		   "gfl-trainer --server http://127.0.0.1:8700 --data "
		   "/usr/share/datasets/fashion-mnist --index part-1.idx\n"
		   "gfl-trainer --exec-serve 'python3 mine.py' --data mine.npz "
		   "--node http://127.0.0.1:8901",
	.opts = opts,
	.daemon = true,
};

/* All that the daemon owns. */
struct app {
	struct daemon daemon;
	struct loop *loop;
	struct tls *tls;
	struct server *server;
	struct local local;
	struct clients *clients; /* or */
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
		clients_stop(app->clients, on_end, app);
}

static void on_hangup(void *arg)
{
	tls_reload(((struct app *)arg)->tls);
}

static int open_data(struct app *app, const struct config *cfg, struct err *err)
{
	const struct local_opts how = {
		.data = cfg->data,
		.test = cfg->test,
		.label = cfg->label,
		.index = cfg->index,
		.classes = cfg->classes,
		.clients = cfg->clients,
		.elsewhere = cfg->exec || cfg->serve,
	};

	return local_open(&app->local, &how, err);
}

static struct exec_opts exec_of(const struct config *cfg)
{
	return (struct exec_opts){
		.command = cfg->exec ? cfg->exec : cfg->serve,
		.serves = cfg->serve,
		.data = cfg->data,
		.index = cfg->index,
		.test = cfg->test,
		.threads = cfg->threads,
		.task_ms = cfg->task_ms,
		.ready_ms = cfg->ready_ms,
		.grace_ms = cfg->grace_ms,
	};
}

static int open_spoke(struct app *app, const struct config *cfg, const char *db,
		      struct err *err)
{
	const struct learner_data data = {.train = app->local.train,
					  .test = app->local.test,
					  .threads = cfg->threads};
	const struct spoke_opts how = {
		.urls = cfg->server.at,
		.nurls = cfg->server.n,
		.db = db,
		.active = cfg->active,
		.give_up_ms = cfg->give_up_ms,
		.indexes = app->local.indexes,
		.nclients = cfg->clients,
		.stuck_ms = cfg->stuck_ms,
		.exec = exec_of(cfg),
		.bind = cfg->daemon.bind,
		.tls = app->tls,
	};

	return spoke_open(&app->spoke, app->loop, app->server, &data, &how,
			  on_end, app, err);
}

static int open_clients(struct app *app, const struct config *cfg,
			const char *db, struct err *err)
{
	const struct learner_data data = {.train = app->local.train,
					  .test = app->local.test};
	const struct clients_opts how = {
		.each =
			{
				.nodes = cfg->nodes.at,
				.nnodes = cfg->nodes.n,
				.gateways = &cfg->gateways,
				.trainer_id = cfg->trainer_id,
				.no_runs = cfg->no_runs,
				.eval_every = cfg->eval_every,
				.checkpoint_rounds = cfg->checkpoint_rounds,
				.checkpoint_ms = cfg->checkpoint_ms,
				.model_out = cfg->model_out,
				.db = db,
				.stuck_ms = cfg->stuck_ms,
				.exec = exec_of(cfg),
			},
		.n = cfg->clients,
		.threads = cfg->threads,
		.bind = cfg->daemon.bind,
		.tls = app->tls,
	};

	if (cfg->server.n)
		return open_spoke(app, cfg, db, err);
	return clients_open(&app->clients, app->loop, app->server, &data,
			    app->local.indexes, &how, on_end, app, err);
}

static int open_all(struct app *app, const struct config *cfg, const char *db,
		    struct err *err)
{
	struct server_opts serve = {0};
	int rc = tls_open(&app->tls, &cfg->daemon.tls, err);

	serve.tls = app->tls;
	rc = rc || open_data(app, cfg, err) || loop_open(&app->loop, err) ||
	     server_open_as(&app->server, app->loop, &cfg->daemon, serve,
			    err) ||
	     open_clients(app, cfg, db, err);
	return rc ? (int)err->code : 0;
}

/* The server first: while it drains, its calls are still the trainer's. */
static void close_all(struct app *app)
{
	if (app->server) {
		server_ready(app->server, false);
		server_close(app->server, 1000);
	}
	clients_close(app->clients);
	spoke_close(app->spoke);
	if (app->loop)
		loop_close(app->loop);
	tls_close(app->tls);
	local_release(&app->local);
}

static const struct err *failure_of(const struct app *a)
{
	return a->spoke ? spoke_failed(a->spoke) : clients_failed(a->clients);
}

static int serve(struct app *app, struct err *err)
{
	loop_signals(app->loop, on_stop, on_hangup, app);
	if (daemon_ready(&app->daemon, server_port(app->server), err))
		return (int)err->code;
	log_info("serving", "url=%s clients=%d examples=%zu",
		 server_url(app->server), app->local.clients,
		 local_examples(&app->local));
	loop_run(app->loop);
	if (!failure_of(app))
		return 0;
	*err = *failure_of(app);
	return (int)err->code;
}

static int check_exec(const struct config *cfg, struct err *err)
{
	if (cfg->exec && cfg->serve)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--exec and --exec-serve: one of them");
	if (!cfg->data && !cfg->exec && !cfg->serve)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "name data with --data, or a trainer of your "
			       "own with --exec");
	if (cfg->server.n && (cfg->exec || cfg->serve) && cfg->clients > 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--exec with --server is one client: start "
			       "another gfl-trainer for each");
	return 0;
}

static int check(const struct config *cfg, struct err *err)
{
	const bool server = cfg->server.n;

	if (check_exec(cfg, err))
		return (int)err->code;
	if (!cfg->nodes.n && !cfg->gateways.n && !server)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "name a node with --node, a gateway with -g, or "
			       "a server with --server");
	if (server && (cfg->nodes.n || cfg->gateways.n))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--server goes with neither --node nor -g");
	if (cfg->active + cfg->passive > server)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "one of --active and --passive goes with "
			       "--server");
	return 0;
}

static int run(const struct config *cfg, struct err *err)
{
	struct app app = {0};
	char *db = NULL, *file;
	int rc;

	if (check(cfg, err))
		return (int)err->code;
	mem_bulk();
	if (daemon_start(&app.daemon, &cfg->daemon, err))
		return (int)err->code;
	file = cfg->rank < 0 ? mem_str("trainer.db")
			     : mem_fmt("trainer-%d.db", cfg->rank + 1);
	rc = daemon_db(&db, &cfg->daemon, file, err);
	free(file);
	if (rc)
		return rc;
	rc = open_all(&app, cfg, db, err) || serve(&app, err);
	close_all(&app);
	daemon_end(&app.daemon);
	free(db);
	return rc ? (int)err->code : 0;
}

/* The text with the number of this process for its %d. */
static const char *numbered(const struct config *cfg, const char *text)
{
	const char *at = text ? strstr(text, "%d") : NULL;

	if (!at || cfg->clients > 1)
		return text;
	return mem_fmt("%.*s%d%s", (int)(at - text), text, cfg->rank + 1,
		       at + 2);
}

/* One of several that a launcher has started alike. */
static void take_place(struct config *cfg)
{
	if (cfg->rank < 0)
		return;
	if (!cfg->trainer_id)
		cfg->trainer_id = (int64_t)cfg->rank * cfg->clients + 1;
	cfg->data = numbered(cfg, cfg->data);
	cfg->index = numbered(cfg, cfg->index);
	cfg->model_out = numbered(cfg, cfg->model_out);
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;

	opt_parse(&prog, &cfg, argc, argv);
	take_place(&cfg);
	opt_prefer_flag(&cfg.server, &cfg.nodes);
	opt_prefer_flag(&cfg.server, &cfg.gateways);
	if (threads_begin(cfg.threads, argv, &err) || run(&cfg, &err))
		return err_report(&prog, &err);
	return 0;
}
