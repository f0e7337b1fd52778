/* gfl-worker - evaluate the tasks of a master. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/daemon.h"
#include "base/guard.h"
#include "base/input.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/out.h"
#include "base/rand.h"
#include "fl/participant_exec.h"
#include "nn/threads.h"
#include "task/agent.h"
#include "task/crew.h"
#include "task/evaluate.h"
#include "task/task.h"
#include "wire/tls.h"

struct config {
	struct daemon_opts daemon;
	struct opt_list masters;
	const char *id, *exec, *data;
	struct opt_list server;
	struct opt_pairs datasets;
	int rank, slots, threads;
	int64_t beat_ms, poll_ms, grace_ms;
	bool pull, push, stream, alone, no_gpu, evaluate;
};

static const struct opt opts[] = {
	OPT_URLS('m', "master", struct config, masters,
		 "http://127.0.0.1:50051",
		 "the masters: the first that answers, and another one when "
		 "that is silent for as long as makes a worker dead",
		 .min = 1),
	OPT_BOOL(0, "alone", struct config, alone,
		 "come to no master: whoever calls has tasks"),
	OPT_STRING(
		0, "worker-id", struct config, id, "NAME", NULL,
		"how the master calls it; else its host and a random number"),
	OPT_RANK(struct config, rank,
		 "where a launcher starts the workers: --worker-id is worker- "
		 "and N + 1"),
	OPT_BOOL(0, "pull", struct config, pull,
		 "ask the master for tasks (the usual)"),
	OPT_BOOL(0, "push", struct config, push,
		 "let the master call, by --advertise or --listen"),
	OPT_BOOL(0, "stream", struct config, stream,
		 "take the instructions of --server, not tasks"),
	OPT_ROW(URLS, 0, "server", struct opt_list, struct config, server,
		"URL", OPT_SERVER_URL, "of --stream: the coordinator",
		.min = 1),
	OPT_STRING(0, "exec", struct config, exec, "CMD", NULL,
		   "run this for each task, its JSON on stdin; else the "
		   "built-in trainer"),
	OPT_FILE(0, "data", struct config, data, NULL,
		 "of the trainer: the data set of tasks that name none"),
	OPT_PAIRS(0, "dataset", struct config, datasets, "NAME=PATH",
		  "of the trainer: a data set that tasks may name; repeatable"),
	OPT_INT(0, "threads", struct config, threads, "N", "1", 1, THREADS_MAX,
		"of the trainer: compute each task on so many threads"),
	OPT_BOOL(0, "evaluate", struct config, evaluate,
		 "evaluate one task, from stdin, by the trainer; print what "
		 "came of it, and end",
		 .flag_only = true),
	OPT_INT('s', "slots", struct config, slots, "N", "1", 1, 4096,
		"tasks at a time"),
	OPT_SECONDS(0, "heartbeat", struct config, beat_ms, "10",
		    "tell the master so often how it is, or so often that "
		    "it does not take this worker for dead", .min = 10,
		    .max = 3600000),
	OPT_SECONDS(0, "poll", struct config, poll_ms, "1",
		    "ask a master of others so often", .min = 10,
		    .max = 3600000),
	OPT_SECONDS(0, "grace", struct config, grace_ms, "5",
		    "what is stopped has so long before it is killed"),
	OPT_BOOL(0, "no-gpu", struct config, no_gpu,
		 "do not look for GPUs by nvidia-smi"),
	OPT_SERVING(struct config, daemon, "127.0.0.1:0"),
	OPT_BIND(struct config, daemon),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-worker",
	.args = "",
	.brief = "evaluate the tasks of a master",
	.about = "Comes to the master and evaluates its tasks, --slots at a "
		 "time. CMD is split into words without a shell; it has the "
		 "task as JSON on its standard input, and GFL_TASK_ID, "
		 "GFL_TASK_TRY, _WORKER, _SECONDS (it may take), _EPOCHS, "
		 "_BATCH, _LR, _DATASET, _SEED, _GPU in its environment, as "
		 "far as they are known. The last line that it prints is a "
		 "JSON object with what came of it: its numbers, or those in "
		 "its \"metrics\"; or nothing. More than 1 MiB of output fails "
		 "the task, once. A status other than 0 means failed, and the "
		 "end of its standard error goes to whoever submitted the "
		 "task.\n\n"
		 "A task that is cancelled gets TERM, with all that it "
		 "started, and KILL after --grace. At TERM the worker finishes "
		 "what it has begun, within --shutdown-timeout.\n\n"
		 "Without --exec the task is a model to be trained: "
		 "architecture (a text as gfl-model has it, or a list of "
		 "layers), dataset, num_epochs, batch_size, learning_rate, "
		 "momentum, weight_decay, seed, steps, examples; its accuracy, "
		 "loss and number of parameters come back, and as ignored the "
		 "names of what else the task has.\n\n"
		 "With --stream it is a participant instead (gfl-server "
		 "--on-participants, or any ParticipantManager): it waits on a "
		 "stream, and each instruction runs CMD, with its arrays on "
		 "the standard input as an .npz file of numpy's and "
		 "GFL_ARRAYS, how many, and GFL_COORDINATOR in the "
		 "environment. The arrays that CMD prints, as .npz or as .npy "
		 "files one after the other, are the answer; any status but 0 "
		 "tells the coordinator that it failed, and the last line of "
		 "its standard error. When the stream is lost CMD gets TERM, "
		 "as another one does its work, and the worker comes back, as "
		 "soon as it was told or else ever later. It ends when the "
		 "coordinator says that the work is done.",
	.example =
		"gfl-worker --exec ./evaluate --slots 4\n"
		"gfl-worker --data /usr/share/datasets/fashion-mnist\n"
		"gfl-worker -m http://10.0.0.5:50051 --exec 'python3 nas.py'\n"
		"gfl-worker --stream --server http://10.0.0.5:8700 --exec "
		"./train",
	.opts = opts,
	.daemon = true,
};

/* All that the daemon owns. */
struct app {
	struct daemon daemon;
	struct loop *loop;
	struct tls *tls;
	struct server *server;
	struct client *client;
	struct command *command;
	struct agent *agent;                  /* or, with --stream, … */
	struct participant_exec *participant; /* … this */
	struct err over;                      /* why it ended; code 0: done */
	char *id;
};

static void on_end(void *arg)
{
	loop_stop(((struct app *)arg)->loop);
}

static void on_stop(void *arg)
{
	struct app *app = arg;

	daemon_stopping(&app->daemon);
	if (app->participant)
		participant_exec_stop(app->participant);
	else
		agent_stop(app->agent);
}

static void on_hangup(void *arg)
{
	tls_reload(((struct app *)arg)->tls);
}

static char *own_id(const struct config *cfg)
{
	char host[64] = "";

	if (cfg->id)
		return mem_str(cfg->id);
	if (cfg->rank >= 0)
		return mem_fmt("worker-%d", cfg->rank + 1);
	gethostname(host, sizeof(host) - 1);
	return mem_fmt("%s-%06llx", *host ? host : "worker",
		       (unsigned long long)rand_id() & 0xffffff);
}

/* What is not there is told now, not by each task. */
static int look_at_data(const struct config *cfg, struct err *err)
{
	if (cfg->data && access(cfg->data, R_OK))
		return err_sys(err, "--data: open %s", cfg->data);
	for (size_t i = 0; i < cfg->datasets.n; i++) {
		if (access(cfg->datasets.at[i].text, R_OK))
			return err_sys(err, "--dataset: open %s",
				       cfg->datasets.at[i].text);
	}
	return 0;
}

static int open_command(struct app *app, const struct config *cfg,
			struct err *err)
{
	const struct evaluate_opts trainer = {cfg->data, &cfg->datasets,
					      cfg->threads};

	if (cfg->exec)
		return guard_open(&app->command, cfg->exec, err)
			       ? err_wrap(err, "--exec")
			       : 0;
	return look_at_data(cfg, err) ||
			       evaluate_command(&app->command, &trainer, err) ||
			       guard_command(app->command, err)
		       ? (int)err->code
		       : 0;
}

static int open_agent(struct app *app, const struct config *cfg,
		      struct err *err)
{
	const struct agent_config how = {
		.masters = cfg->masters.at,
		.n_masters = cfg->alone ? 0 : cfg->masters.n,
		.id = app->id,
		.push = cfg->push,
		.slots = cfg->slots,
		.command = app->command,
		.grace_ms = cfg->grace_ms,
		.beat_ms = cfg->beat_ms,
		.poll_ms = cfg->poll_ms,
		.no_gpu = cfg->no_gpu,
	};

	client_bind(app->client, cfg->daemon.bind);
	return agent_open(&app->agent, app->loop, app->server, app->client,
			  &how, on_end, app, err);
}

static void on_over(const struct err *err, void *arg)
{
	struct app *app = arg;

	if (err)
		app->over = *err;
	loop_stop(app->loop);
}

static int open_participant(struct app *app, const struct config *cfg)
{
	const struct participant_exec_opts how = {
		.participant = {.url = cfg->server.at[0],
				.bind = cfg->daemon.bind,
				.tls = app->tls},
		.command = app->command,
		.grace_ms = cfg->grace_ms,
		.max_bytes = (size_t)cfg->daemon.max_message,
	};

	app->participant = participant_exec_open(app->loop, &how, on_over, app);
	return 0;
}

static int open_all(struct app *app, const struct config *cfg, struct err *err)
{
	struct server_opts serve = {
		.hold_ms = 365LL * 86400 * 1000, /* as long as a task takes */
	};
	int rc;

	app->id = own_id(cfg);
	rc = tls_open(&app->tls, &cfg->daemon.tls, err);
	serve.tls = app->tls;
	rc = rc || open_command(app, cfg, err) || loop_open(&app->loop, err) ||
	     server_open_as(&app->server, app->loop, &cfg->daemon, serve,
			    err) ||
	     client_open(&app->client, app->loop, app->tls, err) ||
	     (cfg->stream ? open_participant(app, cfg)
			  : open_agent(app, cfg, err));
	return rc ? (int)err->code : 0;
}

static void close_all(struct app *app)
{
	if (app->server) {
		server_ready(app->server, false);
		server_close(app->server, 1000);
	}
	agent_close(app->agent);
	participant_exec_close(app->participant);
	client_close(app->client);
	if (app->loop)
		loop_close(app->loop);
	tls_close(app->tls);
	command_free(app->command);
	free(app->id);
}

/* Why it cannot go on, or NULL. */
static const struct err *failure(const struct app *app)
{
	if (app->participant)
		return app->over.code ? &app->over : NULL;
	return agent_failed(app->agent);
}

static int serve(struct app *app, struct err *err)
{
	loop_signals(app->loop, on_stop, on_hangup, app);
	server_ready(app->server, true);
	if (daemon_ready(&app->daemon, server_port(app->server), err))
		return (int)err->code;
	log_info("serving", "worker=%s url=%s", app->id,
		 server_url(app->server));
	loop_run(app->loop);
	if (!failure(app))
		return 0;
	*err = *failure(app);
	return (int)err->code;
}

static int check(const struct config *cfg, struct err *err)
{
	if (cfg->id && (!*cfg->id || strlen(cfg->id) > CREW_ID_MAX))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--worker-id has %zu bytes, not 1 to %d",
			       strlen(cfg->id), CREW_ID_MAX);
	if (cfg->push + cfg->pull + cfg->stream + cfg->alone > 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--pull, --push, --stream or --alone, not two "
			       "of them");
	if (cfg->stream && !cfg->exec)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--stream needs --exec: what follows the "
			       "instructions");
	return cfg->stream ? opt_single(&cfg->server, "server", err) : 0;
}

static int run(const struct config *cfg, struct err *err)
{
	struct app app = {0};
	int rc;

	if (check(cfg, err))
		return (int)err->code;
	if (daemon_start(&app.daemon, &cfg->daemon, err))
		return (int)err->code;
	rc = open_all(&app, cfg, err) || serve(&app, err);
	close_all(&app);
	daemon_end(&app.daemon);
	return rc ? (int)err->code : 0;
}

static int evaluate(const struct config *cfg, struct err *err)
{
	const struct evaluate_opts o = {cfg->data, &cfg->datasets,
					cfg->threads};
	struct buf task = BUF_INIT(TASK_TEXT_MAX), out = BUF_INIT(0);
	int rc = input_read(&task, "-", err);

	if (!rc)
		rc = evaluate_run(&out, task.p ? task.p : "", task.len, &o,
				  err);
	if (!rc)
		fwrite(out.p, 1, out.len, stdout);
	buf_release(&task);
	buf_release(&out);
	return rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;

	opt_parse(&prog, &cfg, argc, argv);
	if (cfg.evaluate && cfg.exec) {
		err_set(&err, ERR_INVALID_ARGUMENT,
			"--evaluate is by the built-in trainer, not by --exec");
		return err_report(&prog, &err);
	}
	if (!cfg.evaluate)
		return run(&cfg, &err) ? err_report(&prog, &err) : 0;
	if (threads_begin(cfg.threads, argv, &err) || evaluate(&cfg, &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}
