/* gfl-server - rounds of training with a centre: clients train, it mixes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/command.h"
#include "base/daemon.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/out.h"
#include "fl/aggregate_args.h"
#include "fl/director.h"
#include "fl/hub.h"
#include "wire/tls.h"

struct config {
	struct daemon_opts daemon;
	struct out_opts out;
	const char *model, *init, *test, *label, *model_out;
	const char *on_participants, *on[HUB_STAGES];
	int64_t handler_ms;
	struct aggregate_args aggregate;
	int mode, sampler, weights, classes, scheme, dtype, codec;
	int64_t rounds, min_participants, choices, deadline_ms, eval_every;
	int64_t seed, epochs, steps, lr_decay_every, lr_cosine;
	int batch;
	double target, fraction, sample;
	double lr, momentum, weight_decay, prox, lr_decay, keep;
	bool nesterov;
};

static const struct opt opts[] = {
	OPT_STRING(0, "model", struct config, model, "MODEL", "mlp",
		   "a preset, or layers as text"),
	OPT_FILE(0, "init", struct config, init, NULL,
		 "begin with this model, not with one made of the seed"),
	OPT_CHOICE(0, "mode", struct config, mode, "sync|async", "sync",
		   "rounds, or whoever asks is given the newest model, and a "
		   "round is what makes the next one"),
	OPT_INT64(0, "seed", struct config, seed, "N", "1", 0, INT64_MAX,
		  "of the first model, and of whom is sampled"),
	OPT_INT64(0, "rounds", struct config, rounds, "N", "100", 0, INT64_MAX,
		  "end after so many; 0: when it is stopped"),
	OPT_REAL(0, "target-accuracy", struct config, target, "RATIO", NULL, 0,
		 1, "end when this is reached on --test"),
	OPT_INT64(0, "min-participants", struct config, min_participants, "N",
		  "2", 1, 1 << 30,
		  "no round begins with fewer clients, or ends with fewer "
		  "updates"),
	OPT_REAL(0, "sample", struct config, sample, "RATIO", "1", 0, 1,
		 "so many of the clients take part in a round"),
	OPT_CHOICE(0, "sampler", struct config, sampler, COHORT_RULES,
		   "uniform",
		   "who does: by chance, likely by examples, or of some so "
		   "drawn those of the highest loss"),
	OPT_INT64(0, "choices", struct config, choices, "N", "0", 0, 1 << 30,
		  "how many --sampler power draws first; 0: all"),
	OPT_REAL(0, "fraction", struct config, fraction, "RATIO", "1", 0, 1,
		 "a round ends when so many of its clients have answered"),
	OPT_SECONDS(0, "round-deadline", struct config, deadline_ms, "60",
		    "or after so long", .min = 1, .max = 86400000),
	OPT_CHOICE(0, "weights", struct config, weights, "examples|uniform",
		   "examples", "what a client weighs in the mean"),
	OPT_AGGREGATE(struct config, aggregate),
	OPT_INT64(0, "epochs", struct config, epochs, "N", "1", 0, 1 << 20,
		  "a client trains so often over its examples in a round"),
	OPT_INT64(0, "steps", struct config, steps, "N", "0", 0, 1 << 30,
		  "or, if not 0, takes so many steps"),
	OPT_INT(0, "batch", struct config, batch, "N", "64", 1, 65536,
		"examples in a step"),
	OPT_REAL(0, "lr", struct config, lr, "RATE", "0.05", 0, 1000,
		 "of a client's steps"),
	OPT_REAL(0, "momentum", struct config, momentum, "RATIO", "0", 0,
		 0.9999, "of a client's steps"),
	OPT_BOOL(0, "nesterov", struct config, nesterov, "Nesterov's momentum"),
	OPT_REAL(0, "weight-decay", struct config, weight_decay, "X", "0", 0, 1,
		 "of a client's steps"),
	OPT_REAL(0, "prox", struct config, prox, "MU", "0", 0, 1000,
		 "FedProx: holds clients near the model they were given"),
	OPT_REAL(0, "lr-decay", struct config, lr_decay, "RATIO", "1", 0, 1,
		 "multiply the rate by this every --lr-decay-every rounds"),
	OPT_INT64(0, "lr-decay-every", struct config, lr_decay_every, "ROUNDS",
		  "0", 0, INT64_MAX, "0: never"),
	OPT_INT64(0, "lr-cosine", struct config, lr_cosine, "ROUNDS", "0", 0,
		  INT64_MAX, "let the rate fall to 0 along half a cosine"),
	OPT_CHOICE(0, "scheme", struct config, scheme, "dense|strat|topk",
		   "dense",
		   "what of an update travels: all, a mask of the round, what "
		   "has changed most; the rest is in later ones"),
	OPT_REAL(0, "keep", struct config, keep, "RATIO", "0.1", 1e-6, 1,
		 "with strat and topk: so much of it"),
	OPT_CHOICE(0, "dtype", struct config, dtype, "f32|bf16|int8", "f32",
		   "the type of its values on the wire"),
	OPT_CHOICE(0, "codec", struct config, codec, "none|zstd", "none",
		   "how they are packed"),
	OPT_FILE(0, "test", struct config, test, NULL,
		 "evaluate on this: a file (IDX, .npy, .npz, .csv, .svm; also "
		 "gzipped), or a folder with MNIST's names"),
	OPT_STRING(0, "label", struct config, label, "NAME", NULL,
		   "its column, or file, of labels (see gfl-trainer)"),
	OPT_INT(0, "classes", struct config, classes, "N", "10", 0, 256,
		"refuse labels from this on; 0 takes whatever comes"),
	OPT_INT64(0, "eval-every", struct config, eval_every, "ROUNDS", "1", 1,
		  INT64_MAX, "evaluate so often, and after the last"),
	OPT_FILE(0, "model-out", struct config, model_out, NULL,
		 "write the last model here, not beside the database"),
	OPT_STRING(0, "on-setup", struct config, on[HUB_ON_SETUP], "CMD", NULL,
		   "its output is the first model, a safetensors file"),
	OPT_STRING(0, "on-round", struct config, on[HUB_ON_ROUND], "CMD", NULL,
		   "chooses who takes part: clients as JSON lines in, lines "
		   "CLIENT [LOGICAL] out"),
	OPT_STRING(0, "on-receive", struct config, on[HUB_ON_RECEIVE], "CMD",
		   NULL,
		   "gets each update as a safetensors file; refuses it by its "
		   "status, or puts another one out"),
	OPT_STRING(0, "on-shutdown", struct config, on[HUB_ON_SHUTDOWN], "CMD",
		   NULL, "runs at the end, once the last model is written"),
	OPT_STRING(0, "on-participants", struct config, on_participants, "CMD",
		   NULL,
		   "instead of trainers lead participants (gfl-worker "
		   "--stream), who do what this prints"),
	OPT_SECONDS(0, "handler-timeout", struct config, handler_ms, "0",
		    "CMD fails after so long; 0: never"),
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
		 "goes on with the round that was under way. At the end "
		 "every client is told to exit.\n\n"
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
		 "most twice. --min-participants, --sample, --fraction, "
		 "--round-deadline and --rounds count as ever; the options of "
		 "training do not.",
	.example = "gfl-server --model mlp --rounds 20 --min-participants 3 "
		   "--test /usr/share/datasets/fashion-mnist --db server.db\n"
		   "gfl-trainer --server http://127.0.0.1:8700 --data "
		   "/usr/share/datasets/fashion-mnist --index part-1.idx\n"
		   "gfl-server --on-participants ./lead --rounds 10",
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
	struct hub *hub;           /* or, with --on-participants, … */
	struct director *director; /* … this */
	struct command *command;
	struct out *out;
	char *db, *model_out;
	struct command *stages[HUB_STAGES];
};

/* --- output ----------------------------------------------------------------
 */

static const struct out_col cols[] = {
	{"round", OUT_INT},      {"activated", OUT_INT},
	{"admitted", OUT_INT},   {"refused", OUT_INT},
	{"missing", OUT_TEXT},   {"examples", OUT_INT},
	{"loss", OUT_REAL},      {"accuracy", OUT_REAL},
	{"bytes_sent", OUT_INT}, {"bytes_received", OUT_INT},
	{"seconds", OUT_REAL},   {"at", OUT_TIME},
	{"staleness", OUT_REAL},
};

static void on_round(const struct hub_round *r, void *arg)
{
	struct app *app = arg;

	out_row(app->out, out_int(r->round), out_int(r->activated),
		out_int(r->admitted), out_int(r->refused), out_text(r->missing),
		out_int(r->examples), out_real(r->loss), out_real(r->accuracy),
		out_int(r->bytes_sent), out_int(r->bytes_received),
		out_real(r->seconds), out_time(r->ended_ms),
		out_real(r->staleness));
}

static const struct out_col led_cols[] = {
	{"round", OUT_INT},  {"instructed", OUT_INT}, {"answered", OUT_INT},
	{"failed", OUT_INT}, {"seconds", OUT_REAL},   {"at", OUT_TIME},
};

static void on_led_round(const struct director_round *r, void *arg)
{
	struct app *app = arg;

	out_row(app->out, out_int(r->round), out_int(r->instructed),
		out_int(r->answered), out_int(r->failed), out_real(r->seconds),
		out_time(clock_wall_ms()));
}

static int begin_output(struct app *app, const struct config *cfg,
			struct err *err)
{
	bool led = cfg->on_participants;

	return out_begin(&app->out, &cfg->out, led ? led_cols : cols,
			 led ? sizeof(led_cols) / sizeof(*led_cols)
			     : sizeof(cols) / sizeof(*cols),
			 true, err);
}

/* --- life ------------------------------------------------------------------
 */

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
	else
		hub_stop(app->hub);
}

static void on_hangup(void *arg)
{
	tls_reload(((struct app *)arg)->tls);
}

static int open_test(struct app *app, const struct config *cfg, struct err *err)
{
	const struct data_opts how = {"test", cfg->classes, cfg->label};

	return cfg->test ? data_open_as(&app->test, cfg->test, &how, err) : 0;
}

static Gfl__V1__FlTraining training_of(const struct config *cfg)
{
	Gfl__V1__FlTraining t;

	gfl__v1__fl_training__init(&t);
	t.epochs = cfg->steps ? 0 : cfg->epochs;
	t.steps = cfg->steps;
	t.batch = cfg->batch;
	t.lr = cfg->lr;
	t.momentum = cfg->momentum;
	t.weight_decay = cfg->weight_decay;
	t.prox = cfg->prox;
	t.nesterov = cfg->nesterov;
	t.lr_decay = cfg->lr_decay;
	t.lr_decay_every = cfg->lr_decay_every;
	t.lr_cosine = cfg->lr_cosine;
	t.scheme = (Gfl__V1__Scheme)cfg->scheme;
	t.dtype = (Gfl__V1__Dtype)cfg->dtype;
	t.codec = (Gfl__V1__Codec)cfg->codec;
	t.c = (uint32_t)lround(1 / cfg->keep);
	return t;
}

static struct aggregate_opts rule_of(const struct config *cfg)
{
	struct aggregate_opts r = cfg->aggregate.opts;

	r.local_lr = cfg->lr;
	r.local_momentum = cfg->momentum;
	r.local_prox = cfg->prox;
	r.clients = cfg->min_participants;
	return r;
}

/* Updates of any age, one by one, have no plain mean. */
static const char *rule_name(const struct config *cfg)
{
	const char *rule = cfg->aggregate.rule;

	return cfg->mode && !strcmp(rule, "fedavg") ? "fedasync" : rule;
}

static int open_hub(struct app *app, const struct config *cfg, struct err *err)
{
	struct hub_opts how = {
		.model = cfg->model,
		.init = cfg->init,
		.seed = (uint64_t)cfg->seed,
		.async = cfg->mode,
		.rounds = cfg->rounds,
		.target = cfg->target > 0 ? cfg->target : (double)NAN,
		.min_participants = cfg->min_participants,
		.fraction = cfg->fraction,
		.sample = cfg->sample,
		.sampler = (enum cohort_rule)cfg->sampler,
		.choices = cfg->choices ? cfg->choices : INT64_MAX,
		.deadline_ms = cfg->deadline_ms,
		.ending_ms = cfg->daemon.shutdown_ms
				     ? cfg->daemon.shutdown_ms / 4 * 3
				     : INT64_MAX,
		.rule = rule_name(cfg),
		.aggregate = rule_of(cfg),
		.uniform = cfg->weights,
		.training = training_of(cfg),
		.test = app->test,
		.eval_every = cfg->eval_every,
		.db = app->db,
		.model_out = app->model_out,
		.handler_ms = cfg->handler_ms,
		.on_round = on_round,
		.on_round_arg = app,
	};

	for (int i = 0; i < HUB_STAGES; i++) {
		if (cfg->on[i] &&
		    command_open(&app->stages[i], cfg->on[i], err))
			return err_wrap(err, "%s", cfg->on[i]);
		how.stages[i].command = app->stages[i];
	}
	return hub_open(&app->hub, app->loop, app->server, &how, on_end, app,
			err);
}

/* Answers are kept beside the database. */
static int open_director(struct app *app, const struct config *cfg,
			 struct err *err)
{
	char *dir = mem_fmt("%s.answers", app->db);
	struct director_opts how = {
		.dir = dir,
		.min_participants = cfg->min_participants,
		.sample = cfg->sample,
		.fraction = cfg->fraction,
		.deadline_ms = cfg->deadline_ms,
		.command_ms = cfg->handler_ms,
		.rounds = cfg->rounds,
		.max_bytes = (size_t)cfg->daemon.max_message,
		.on_round = on_led_round,
		.arg = app,
	};
	int rc = command_open(&app->command, cfg->on_participants, err);

	how.command = app->command;
	rc = rc ? err_wrap(err, "--on-participants")
		: director_open(&app->director, app->loop, app->server, &how,
				on_end, err);
	free(dir);
	return rc;
}

static int open_what_leads(struct app *app, const struct config *cfg,
			   struct err *err)
{
	return cfg->on_participants ? open_director(app, cfg, err)
				    : open_hub(app, cfg, err);
}

static int open_all(struct app *app, const struct config *cfg, struct err *err)
{
	const Gfl__V1__FlTraining training = training_of(cfg);
	struct server_opts serve = {
		.advertise = cfg->daemon.advertise,
		.insecure = cfg->daemon.insecure,
		.cors = &cfg->daemon.cors,
		.max_connections = (size_t)cfg->daemon.max_connections,
		.max_per_source = (size_t)cfg->daemon.per_source,
	};
	char *listen = opt_addr_text(&cfg->daemon.listen);
	int rc;

	serve.listen = listen;
	rc = tls_open(&app->tls, &cfg->daemon.tls, err);
	serve.tls = app->tls;
	serve.max_message = (size_t)cfg->daemon.max_message;
	if (!rc && !cfg->on_participants)
		rc = open_test(app, cfg, err) ||
		     hub_message_max(cfg->model, &training, &serve.max_message,
				     err);
	rc = rc || loop_open(&app->loop, err) ||
	     server_open(&app->server, app->loop, &serve, err) ||
	     begin_output(app, cfg, err) || open_what_leads(app, cfg, err);
	free(listen);
	return rc ? (int)err->code : 0;
}

/* The hub first: it answers the calls that it holds. */
static void close_all(struct app *app)
{
	if (app->server)
		server_ready(app->server, false);
	director_close(app->director);
	hub_close(app->hub);
	if (app->server)
		server_close(app->server, 1000);
	if (app->loop)
		loop_close(app->loop);
	tls_close(app->tls);
	data_close(app->test);
	command_free(app->command);
	for (int i = 0; i < HUB_STAGES; i++)
		command_free(app->stages[i]);
}

/* Why it failed, or NULL. */
static const struct err *failure(const struct app *app)
{
	return app->director ? director_failed(app->director)
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
	if (!cfg->steps && !cfg->epochs)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "one of --epochs and --steps is above 0");
	if (cfg->target > 0 && !cfg->test)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--target-accuracy needs --test");
	if (!(cfg->fraction > 0) || !(cfg->sample > 0) || !(cfg->lr > 0))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--fraction, --sample and --lr are above 0");
	return 0;
}

/* server.db has the model server.safetensors beside it. */
static char *beside(const char *db)
{
	size_t len = strlen(db);

	if (len > 3 && !strcmp(db + len - 3, ".db"))
		len -= 3;
	return mem_fmt("%.*s.safetensors", (int)len, db);
}

static int run(struct config *cfg, struct err *err)
{
	struct app app = {0};
	int rc;

	if (check(cfg, err) || aggregate_args_parse(&cfg->aggregate, err))
		return (int)err->code;
	mem_bulk();
	if (daemon_start(&app.daemon, &cfg->daemon, err) ||
	    daemon_db(&app.db, &cfg->daemon, "server.db", err))
		return (int)err->code;
	app.model_out =
		cfg->model_out ? mem_str(cfg->model_out) : beside(app.db);
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

	opt_parse(&prog, &cfg, argc, argv);
	if (run(&cfg, &err))
		return err_report(&prog, &err);
	return 0;
}
