/* gfl-server - rounds of training with a centre: clients train, it mixes. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/command.h"
#include "base/daemon.h"
#include "base/file.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/opt.h"
#include "base/out.h"
#include "fl/director.h"
#include "fl/elect.h"
#include "fl/hub_args.h"
#include "fl/round_out.h"
#include "wire/tls.h"

struct config {
	struct daemon_opts daemon;
	struct out_opts out;
	struct hub_args hub;
	const char *on_participants;
	bool on_leader;
	struct opt_list node, peers;
};

static const struct opt opts[] = {
	OPT_HUB(struct config, hub),
	OPT_STRING(0, "on-participants", struct config, on_participants, "CMD",
		   NULL,
		   "instead of trainers lead participants (gfl-worker "
		   "--stream), who do what this prints"),
	OPT_BOOL(0, "on-leader", struct config, on_leader,
		 "be active while the node of --node leads its cluster, and "
		 "stand by otherwise"),
	OPT_URLS(0, "node", struct config, node, NULL,
		 "the node beside this server, with --on-leader"),
	OPT_URLS(0, "peers", struct config, peers, NULL,
		 "all servers of which one is active, with --on-leader; this "
		 "one may be among them"),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_DAEMON(struct config, daemon, "127.0.0.1:8700"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-server",
	.args = "",
	.brief = "rounds of training with a centre: clients train, it mixes",
	.about = "Gives its model to the trainers that ask (gfl-trainer "
		 "--server), takes what they have made of it, mixes, and goes "
		 "on to the next round; prints a line a round. Each round "
		 "activates a sample of the clients that are there, and ends "
		 "when enough of them have answered, or at its deadline; who "
		 "was missing is said. An update is taken once, from whom it "
		 "was asked of, for this round and version of the model; any "
		 "other is refused with the reason. State is in SQLite: a "
		 "server that is killed and started again with the same --db "
		 "goes on with the round that was under way, which is trained "
		 "again, and nothing that it told of those before is undone; "
		 "without rounds (--mode async) that is true of each update "
		 "that it answered (but for those that wait to be mixed, of "
		 "fedbuff). At the end every client is told to exit.\n\n"
		 "A client is given a secret when it sets up, its session, and "
		 "whatever it asks later has to name it; a client of your own "
		 "makes does so by the field that proto/server.proto says. "
		 "Where clients have certificates (--tls-ca) an instance is "
		 "that of the one which has set it up first. Of those who set "
		 "up but never send an update at most --max-clients are known, "
		 "and they make way for others.\n\n"
		 "With --on-participants the participants who wait on a stream "
		 "or by requests are led by CMD, which is run before each "
		 "round. What it prints is the instruction, arrays as numpy "
		 "writes them: an .npz file, or .npy files one after the "
		 "other; nothing at all, and the work is done. On its standard "
		 "input it has a line of JSON for each instruction of the "
		 "round before: participant, state (answered or failed), "
		 "seconds, tries, and the file of the answer, an .npz that is "
		 "there until CMD ends, or code and error. GFL_ROUND, "
		 "GFL_PARTICIPANTS (there now), GFL_ANSWERED, GFL_FAILED and "
		 "GFL_DIR (of the files) are in its environment, and "
		 "GFL_LAST=1 when --rounds is reached. A participant that "
		 "vanishes or fails leaves its instruction to another one, at "
		 "most twice; of one that works by requests, and does not say "
		 "so by another one, nothing tells before --round-deadline "
		 "that it has vanished. A server that was killed or stopped "
		 "goes on with the number of the round that was under way (a "
		 "file beside --db has it); what was answered in it is lost. "
		 "--min-participants, --sample, --fraction, --round-deadline "
		 "and --rounds count as ever; the options of training do not, "
		 "or are refused.\n\n"
		 "With --on-leader a server runs beside each node of a "
		 "cluster, all with the same options. The one whose node leads "
		 "is active; the others send clients away, naming it, and pull "
		 "each round's model into their own --db. When that node falls "
		 "the server beside the new leader goes on from the newest "
		 "model that any server has which it reaches: the round under "
		 "way is trained again, and at most one that had just ended is "
		 "lost; more only if the servers that have it are lost too. No "
		 "round ends before a majority of nodes has confirmed who "
		 "leads, so a leader that was stopped, and wakes, mixes "
		 "nothing. Where the server beside the leader is gone, or "
		 "hangs, another one asks for the lead for its own node after "
		 "a few seconds, and takes over. Clients name all servers: "
		 "gfl-trainer --server URL,URL,... An active server that is "
		 "stopped (TERM) ends the round under way, has another one "
		 "take the lead, which goes on with its clients, and exits; so "
		 "servers are replaced one by one. When all are stopped the "
		 "clients wait (gfl-trainer --give-up), and go on with the "
		 "first that is started again; gfl-run stop --server URL,... "
		 "ends all of them, servers and clients. With --mode async an "
		 "update is answered once its version is durable at all "
		 "servers that follow, so that none that was answered is lost "
		 "(of fedbuff those may be that wait to be mixed); one that "
		 "was not is sent to the next active server, where it counts "
		 "once (not with --scheme strat).",
	.example = "gfl-server --model mlp --rounds 20 --min-participants 3 "
		   "--test /usr/share/datasets/fashion-mnist --db server.db\n"
		   "gfl-trainer --server http://127.0.0.1:8700 --data "
		   "/usr/share/datasets/fashion-mnist --index part-1.idx\n"
		   "gfl-server --on-participants ./lead --rounds 10\n"
		   "gfl-server --on-leader --node http://127.0.0.1:8901 "
		   "--listen 127.0.0.1:8701 --peers http://127.0.0.1:8701,"
		   "http://127.0.0.1:8702,http://127.0.0.1:8703",
	.opts = opts,
	.daemon = true,
};

/* All that the daemon owns. */
struct app {
	struct daemon daemon;
	struct loop *loop;
	struct tls *tls;
	struct server *server;
	struct data *test;
	struct hub *hub;     /* or, with --on-leader, … */
	struct elect *elect; /* … this; or, with --on-participants, … */
	struct director *director; /* … this */
	struct command *command;
	struct out *out;
	char *db, *model_out;
};

/* --- life ----------------------------------------------------------------- */

static void on_end(void *arg)
{
	loop_stop(((struct app *)arg)->loop);
}

static void on_stop(void *arg)
{
	struct app *app = arg;

	daemon_stopping(&app->daemon);
	if (app->director)
		director_stop(app->director);
	else if (app->elect)
		elect_stop(app->elect);
	else
		hub_stop(app->hub);
}

static void on_hangup(void *arg)
{
	tls_reload(((struct app *)arg)->tls);
}

static int open_test(struct app *app, const struct config *cfg, struct err *err)
{
	const struct data_opts how = {"test", cfg->hub.classes, cfg->hub.label};

	return cfg->hub.test
		       ? data_open_as(&app->test, cfg->hub.test, &how, err)
		       : 0;
}

static int open_hub(struct app *app, struct config *cfg, struct err *err)
{
	const struct elect_opts elect = {.node = cfg->node.at[0],
					 .peers = &cfg->peers,
					 .bind = cfg->daemon.bind,
					 .tls = app->tls};
	struct hub_opts how;

	if (hub_args_opts(&cfg->hub, &how, err))
		return (int)err->code;
	how.ending_ms = cfg->daemon.shutdown_ms
				? cfg->daemon.shutdown_ms / 4 * 3
				: INT64_MAX;
	how.test = app->test;
	how.db = app->db;
	how.model_out = app->model_out;
	how.on_round = round_out_hub;
	how.on_round_arg = app->out;
	how.shown = isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);
	if (cfg->on_leader)
		return elect_open(&app->elect, app->loop, app->server, &how,
				  &elect, on_end, app, err);
	return hub_open(&app->hub, app->loop, app->server, &how, on_end, app,
			err);
}

/* Answers are kept beside the database. */
static int open_director(struct app *app, const struct config *cfg,
			 struct err *err)
{
	char *dir = mem_fmt("%s.answers", app->db);
	char *reached = mem_fmt("%s.rounds", app->db);
	struct director_opts how = {
		.dir = dir,
		.reached = reached,
		.min_participants = cfg->hub.min_participants,
		.sample = cfg->hub.sample,
		.fraction = cfg->hub.fraction,
		.deadline_ms = cfg->hub.deadline_ms,
		.command_ms = cfg->hub.handler_ms,
		.rounds = cfg->hub.rounds,
		.max_bytes = (size_t)cfg->daemon.max_message,
		.on_round = round_out_led,
		.on_round_arg = app->out,
	};
	int rc = guard_open(&app->command, cfg->on_participants, err);

	how.command = app->command;
	rc = rc ? err_wrap(err, "--on-participants")
		: director_open(&app->director, app->loop, app->server, &how,
				on_end, app, err);
	free(reached);
	free(dir);
	return rc;
}

static int open_what_leads(struct app *app, struct config *cfg, struct err *err)
{
	return cfg->on_participants ? open_director(app, cfg, err)
				    : open_hub(app, cfg, err);
}

/* By the largest update. */
static int bound_messages(const struct config *cfg, struct server_opts *serve,
			  struct err *err)
{
	const Gfl__V1__FlTraining training = hub_args_training(&cfg->hub);
	struct model *m;

	if (hub_model_open(&m, cfg->hub.model, cfg->hub.init, err))
		return (int)err->code;
	serve->max_message = hub_message_max(m, &training);
	model_free(m);
	return 0;
}

static int open_all(struct app *app, struct config *cfg, struct err *err)
{
	struct server_opts serve = {0};
	int rc = tls_open(&app->tls, &cfg->daemon.tls, err);

	serve.tls = app->tls;
	if (!rc && !cfg->on_participants)
		rc = open_test(app, cfg, err) ||
		     bound_messages(cfg, &serve, err);
	rc = rc || loop_open(&app->loop, err) ||
	     server_open_as(&app->server, app->loop, &cfg->daemon, serve,
			    err) ||
	     round_out_begin(&app->out, &cfg->out, cfg->on_participants, err) ||
	     open_what_leads(app, cfg, err);
	return rc ? (int)err->code : 0;
}

/* The hub first: it answers the calls that it holds. */
static void close_all(struct app *app)
{
	if (app->server)
		server_ready(app->server, false);
	director_close(app->director);
	hub_close(app->hub);
	elect_close(app->elect);
	if (app->server)
		server_close(app->server, 1000);
	if (app->loop)
		loop_close(app->loop);
	tls_close(app->tls);
	data_close(app->test);
	command_free(app->command);
}

/* Why it failed, or NULL. */
static const struct err *failure(const struct app *app)
{
	return app->director ? director_failed(app->director)
	       : app->elect  ? elect_failed(app->elect)
			     : hub_failed(app->hub);
}

static int serve(struct app *app, struct err *err)
{
	char *join;

	loop_signals(app->loop, on_stop, on_hangup, app);
	server_ready(app->server, true);
	if (daemon_ready(&app->daemon, server_port(app->server), err))
		return (int)err->code;
	join = mem_fmt("%s --server %s",
		       app->director ? "gfl-worker --stream" : "gfl-trainer",
		       server_url(app->server));
	log_info("serving", "join_with=%s", join);
	free(join);
	loop_run(app->loop);
	if (!failure(app))
		return 0;
	*err = *failure(app);
	return (int)err->code;
}

static int check(const struct config *cfg, struct err *err)
{
	if (!cfg->on_leader && (cfg->node.by_flag || cfg->peers.by_flag))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--node and --peers go with --on-leader");
	if (cfg->on_leader && (cfg->node.n != 1 || !cfg->peers.n))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--on-leader needs one --node, and the other "
			       "servers by --peers");
	if (cfg->on_leader && cfg->on_participants)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--on-leader is not for --on-participants");
	if (cfg->on_participants && hub_args_trains(&cfg->hub))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s is for training, and not for "
			       "--on-participants",
			       hub_args_trains(&cfg->hub));
	if (cfg->hub.model_out && file_replaceable(cfg->hub.model_out, err))
		return err_wrap(err, "--model-out");
	return 0;
}

static int run(struct config *cfg, struct err *err)
{
	struct app app = {0};
	int rc;

	if (check(cfg, err) || hub_args_parse(&cfg->hub, err))
		return (int)err->code;
	mem_bulk();
	if (daemon_start(&app.daemon, &cfg->daemon, err) ||
	    daemon_db(&app.db, &cfg->daemon, "server.db", err))
		return (int)err->code;
	app.model_out = cfg->hub.model_out ? mem_str(cfg->hub.model_out)
					   : mem_fmt("%.*s.safetensors",
						     str_stem(app.db), app.db);
	rc = open_all(&app, cfg, err) || serve(&app, err);
	close_all(&app);
	if (app.out && out_end(app.out, rc ? NULL : err))
		rc = 1;
	daemon_end(&app.daemon);
	free(app.model_out);
	free(app.db);
	return rc ? (int)err->code : 0;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;
	int rc;

	opt_parse(&prog, &cfg, argc, argv);
	rc = run(&cfg, &err);
	hub_args_release(&cfg.hub);
	return rc ? err_report(&prog, &err) : 0;
}
