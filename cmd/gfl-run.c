/* gfl-run - training runs of the cluster: start, stop, list, show. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/opt.h"
#include "base/out.h"
#include "base/rand.h"
#include "fl/exec.h"
#include "fl/payload.h"
#include "nn/model.h"
#include "node/spec.h"
#include "plan/hyper.h"
#include "plan/strategies.h"
#include "plan/topology.h"
#include "proto/node.pb-c.h"
#include "proto/server.pb-c.h"
#include "registry/directory.h"
#include "registry/runs.h"

struct config {
	struct client_opts client;
	struct out_opts out;
	int command;
	const char *model, *scheme, *dtype, *codec, *policy;
	const char *strategy, *reason;
	int64_t rounds, steps, batch, seed, min_trainers, eval_every;
	int64_t bridge_every, deadline_ms, give_up_ms, every_ms;
	double keep, eta, lr, momentum, target;
	double weight_decay, prox, lr_decay;
	int64_t lr_every, epochs;
	struct opt_pairs hyper;
	struct opt_list server;
	bool follow, wait, history, nesterov, lr_cosine;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_END,
};

#define OPT_EVERY                                                      \
	OPT_SECONDS(0, "every", struct config, every_ms, "1",          \
		    "look so often, and print what is new", .min = 10, \
		    .max = 60000)

static const struct opt start_opts[] = {
	OPT_STRING('m', "model", struct config, model, "MODEL", "mlp",
		   "a preset, or layers: \"dense 128; relu; dense 10\" (see "
		   "gfl-model); exec: what trainers of --exec make"),
	OPT_INT64(0, "rounds", struct config, rounds, "N", "100", 1, 1000000,
		  "rounds of local steps and one exchange"),
	OPT_INT64(0, "steps", struct config, steps, "N", "5", 1, 100000,
		  "local steps a round"),
	OPT_INT64(0, "epochs", struct config, epochs, "N", "0", 0, 1000000,
		  "instead of steps: so often over a trainer's examples"),
	OPT_PAIRS(0, "hp", struct config, hyper, "NAME=VALUE",
		  "tell trainers of --exec, as GFL_HP_NAME; repeatable"),
	OPT_INT64(0, "batch", struct config, batch, "N", "50", 1, 65536,
		  "examples a step"),
	OPT_REAL(0, "lr", struct config, lr, "RATE", "0.02", 1e-12, 1e6,
		 "learning rate"),
	OPT_REAL(0, "momentum", struct config, momentum, "M", "0.9", 0, 1,
		 "of SGD"),
	OPT_BOOL(0, "nesterov", struct config, nesterov, "Nesterov's momentum"),
	OPT_REAL(0, "weight-decay", struct config, weight_decay, "D", "0", 0, 1,
		 "of all parameters but batch normalisation's"),
	OPT_REAL(0, "prox", struct config, prox, "MU", "0", 0, 1000,
		 "FedProx: pull local steps to where the round began"),
	OPT_INT64(0, "lr-every", struct config, lr_every, "ROUNDS", "0", 0,
		  1000000, "multiply the rate after so many; 0: never"),
	OPT_REAL(0, "lr-decay", struct config, lr_decay, "FACTOR", "0.992",
		 1e-6, 1, "by what --lr-every multiplies the rate"),
	OPT_BOOL(0, "lr-cosine", struct config, lr_cosine,
		 "let the rate fall to 0 over the rounds, as a cosine"),
	OPT_WORD(0, "strategy", struct config, strategy, "NAME", STRATEGY_NAMES,
		 "gossip", "how models are mixed"),
	OPT_REAL(0, "keep", struct config, keep, "SHARE", "0.01", 1e-6, 1,
		 "share of the parameters that travels in an exchange"),
	OPT_REAL(0, "eta", struct config, eta, "X", "0", 0, 1,
		 "choco's step size; 0: as large as is safe"),
	OPT_WORD(0, "scheme", struct config, scheme, "SCHEME", STRATEGY_SCHEMES,
		 NULL,
		 "which parameters travel: all, chance's, or the most changed; "
		 "without it strat, or dense where all do"),
	OPT_WORD(0, "dtype", struct config, dtype, "TYPE", PAYLOAD_DTYPES,
		 "f32", "how a value travels: in 4 bytes, in 2, or in 1"),
	OPT_WORD(0, "codec", struct config, codec, "CODEC", PAYLOAD_CODECS,
		 "none", "what packs the values that travel"),
	OPT_WORD(0, "policy", struct config, policy, "POLICY",
		 TOPOLOGY_POLICIES, "auto", "who exchanges with whom"),
	OPT_INT64(0, "seed", struct config, seed, "N", "1", 0, INT64_MAX,
		  "of the first model, the masks and the matchings"),
	OPT_INT64(0, "min-trainers", struct config, min_trainers, "N", "2", 2,
		  4096, "wait until so many are attached"),
	OPT_REAL(0, "target-accuracy", struct config, target, "A", "0", 0, 1,
		 "end when the trainers' mean has it; 0: never"),
	OPT_SECONDS(0, "round-deadline", struct config, deadline_ms, "10",
		    "wait no longer than so for the peer of a round"),
	OPT_INT64(0, "eval-every", struct config, eval_every, "N", "0", 0,
		  1000000, "rounds between evaluations; 0: each trainer's own"),
	OPT_INT64(0, "bridge-every", struct config, bridge_every, "N", "10", 1,
		  1000000,
		  "with lower clusters: rounds of theirs in one of this run"),
	OPT_SECONDS(0, "give-up", struct config, give_up_ms, "300",
		    "fail after so long with fewer than two trainers"),
	OPT_BOOL('f', "follow", struct config, follow,
		 "print a line at each progress until the end"),
	OPT_EVERY,
	OPT_BOOL('w', "wait", struct config, wait,
		 "wait for the end; exit 1 unless it finished"),
	OPT_END,
};

static const struct opt stop_opts[] = {
	OPT_STRING(0, "reason", struct config, reason, "TEXT", "asked to stop",
		   "why, for the log"),
	OPT_URLS(0, "server", struct config, server, NULL,
		 "instead of a run, without ID: what this gfl-server leads; "
		 "of several (--on-leader) the active one, and the others end "
		 "with it",
		 .min = 1),
	OPT_END,
};

static const struct opt show_opts[] = {
	OPT_BOOL(0, "history", struct config, history,
		 "every round of every trainer, from the trainers"),
	OPT_BOOL('f', "follow", struct config, follow,
		 "print a line at each progress until the end"),
	OPT_EVERY,
	OPT_END,
};

enum command { START, STOP, LIST, SHOW };

static const struct opt_cmd cmds[] = {
	[START] = {"start", "", "start a run and print its id", start_opts},
	[STOP] = {"stop", "[ID]", "stop a run, or a server's rounds",
		  stop_opts},
	[LIST] = {"list", "", "list the runs", NULL},
	[SHOW] = {"show", "[ID]",
		  "a run's trainers; the newest run's without ID", show_opts},
	{NULL, NULL, NULL, NULL},
};

static const struct prog prog = {
	.name = "gfl-run",
	.brief = "training runs: start, stop, list, show",
	.about = "A run is an entry in the replicated log: every trainer that "
		 "is attached to the cluster takes part. One run is under way "
		 "at a time; others wait in line. It fails as soon as all of "
		 "its trainers have failed; why each did, --follow and show "
		 "tell.\n\n"
		 "With --strategy gossip pairs, by --policy, average the "
		 "values that --scheme says: those of a mask that both derive "
		 "(strat), those that have changed most (topk), or all "
		 "(dense). With dpsgd the trainers stand in a ring by their "
		 "ids and mix whole models, with choco what neighbours have "
		 "told each other, of which only what --scheme says travels; "
		 "with psgd everyone averages with everyone, in as many "
		 "exchanges a round as there are others.\n\n"
		 "In a cluster of clusters a run spans them: each of its "
		 "rounds is --bridge-every rounds in every lower cluster, and "
		 "then an exchange between two of these; its trainers, as show "
		 "has them, are the clusters.",
	.example = "id=$(gfl-run start --model mlp --rounds 400 --keep 0.1)\n"
		   "gfl-run show $id\n"
		   "gfl-run show $id --history -o jsonl | "
		   "gfl-plot --x round --y accuracy --by trainer",
	.opts = opts,
	.cmds = cmds,
	.command_at = offsetof(struct config, command),
};

/* The layout hash as the log has it; a model that is none fails here. One that
 * trainers make has none yet. */
static int layout_of(const char *model, char hash[17], struct err *err)
{
	struct model *m;

	*hash = '\0';
	if (!strcmp(model, EXEC_MODEL))
		return 0;
	if (model_open(&m, model, err))
		return (int)err->code;
	snprintf(hash, 17, "%016llx", (unsigned long long)m->layout);
	model_free(m);
	return 0;
}

static int propose(const struct config *cfg, int64_t *id, struct err *err)
{
	Gfl__V1__StartRunRequest in = GFL__V1__START_RUN_REQUEST__INIT;
	Gfl__V1__RunSpec spec = GFL__V1__RUN_SPEC__INIT;
	Gfl__V1__StartRunResponse *done;
	int rc;
	char *hyper[OPT_PAIRS_MAX], hash[17];

	if (layout_of(cfg->model, hash, err))
		return (int)err->code;
	for (size_t i = 0; i < cfg->hyper.n; i++)
		hyper[i] =
			hyper_of(cfg->hyper.at[i].name, cfg->hyper.at[i].text);
	spec.hyper = hyper;
	spec.n_hyper = cfg->hyper.n;
	spec.epochs = cfg->epochs;
	spec.model = (char *)cfg->model;
	spec.rounds = cfg->rounds;
	spec.strategy = (char *)cfg->strategy;
	spec.scheme = (char *)(cfg->scheme ? cfg->scheme
					   : strategies_scheme(strategies_find(
						     cfg->strategy)));
	spec.keep = strcmp(spec.scheme, "dense") != 0 ? cfg->keep : 1;
	spec.eta = cfg->eta > 0 ? cfg->eta
				: strategies_eta(spec.scheme, spec.keep);
	spec.dtype = (char *)cfg->dtype;
	spec.codec = (char *)cfg->codec;
	spec.policy = (char *)cfg->policy;
	spec.steps = cfg->steps;
	spec.batch = cfg->batch;
	spec.lr = cfg->lr;
	spec.momentum = cfg->momentum;
	spec.nesterov = cfg->nesterov;
	spec.weight_decay = cfg->weight_decay;
	spec.prox = cfg->prox;
	spec.lr_every = cfg->lr_every;
	spec.lr_decay = cfg->lr_every ? cfg->lr_decay : 0;
	spec.lr_cosine = cfg->lr_cosine;
	spec.seed = (uint64_t)cfg->seed;
	spec.min_trainers = cfg->min_trainers;
	spec.target_accuracy = cfg->target;
	spec.round_deadline_ms = cfg->deadline_ms;
	spec.eval_every = cfg->eval_every;
	spec.bridge_every = cfg->bridge_every;
	spec.give_up_ms = cfg->give_up_ms;
	spec.layout_hash = hash;
	if (spec_check_run(&spec, err))
		return (int)err->code;
	in.spec = &spec;
	in.client = rand_id();
	in.seq = 1;
	rc = directory_call(&cfg->client, RPC_NODE_START_RUN, &in.base,
			    (ProtobufCMessage **)&done, err);
	for (size_t i = 0; i < cfg->hyper.n; i++)
		free(hyper[i]);
	if (rc)
		return rc;
	*id = done->id;
	rpc_free(&done->base);
	return 0;
}

static int follow(const struct config *cfg, int64_t id, struct err *err)
{
	struct runs_follow f = {
		.client = cfg->client,
		.out = cfg->out,
		.id = id,
		.every_ms = cfg->every_ms,
		.silent = !cfg->follow,
	};

	return runs_follow(&f, err);
}

static int start(const struct config *cfg, struct err *err)
{
	int64_t id = 0;

	if (propose(cfg, &id, err))
		return err_wrap(err, "start a run");
	if (!cfg->follow) {
		printf("%lld\n", (long long)id);
		fflush(stdout);
	}
	return cfg->follow || cfg->wait ? follow(cfg, id, err) : 0;
}

static int parse_id(const char *text, int64_t *id, struct err *err)
{
	char *end;

	*id = strtoll(text, &end, 10);
	if (!*text || *end || *id < 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a run's id is a number, not \"%s\"", text);
	return 0;
}

/* The first of them that is the active one. */
static int stop_server(const struct config *cfg, struct err *err)
{
	Gfl__V1__FlEndRequest in = GFL__V1__FL_END_REQUEST__INIT;
	ProtobufCMessage *done;

	in.reason = (char *)cfg->reason;
	for (size_t i = 0; i < cfg->server.n; i++) {
		if (client_now(&cfg->client.tls, cfg->server.at[i], RPC_FL_END,
			       &in.base, cfg->client.timeout_ms, &done, err))
			continue;
		rpc_free(done);
		return 0;
	}
	return err_wrap(err, "end the rounds");
}

static int stop(const struct config *cfg, const char *id, struct err *err)
{
	Gfl__V1__StopRunRequest in = GFL__V1__STOP_RUN_REQUEST__INIT;
	ProtobufCMessage *done;

	if (id ? cfg->server.by_flag : !cfg->server.n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the ID of a run, or a server with --server");
	if (!id)
		return stop_server(cfg, err);
	if (parse_id(id, &in.id, err))
		return (int)err->code;
	in.reason = (char *)cfg->reason;
	in.client = rand_id();
	in.seq = 1;
	if (directory_call(&cfg->client, RPC_NODE_STOP_RUN, &in.base, &done,
			   err))
		return err_wrap(err, "stop run %s", id);
	rpc_free(done);
	return 0;
}

static void lost(const struct err *err, void *arg)
{
	err_report(&prog, err);
	*(int *)arg = EXIT_PARTLY;
}

static int show(const struct config *cfg, const char *text, int *status,
		struct err *err)
{
	Gfl__V1__Run *run;
	int64_t id = 0;
	int rc;

	if (text && parse_id(text, &id, err))
		return (int)err->code;
	if (cfg->follow)
		return follow(cfg, id, err);
	if (runs_get(&cfg->client, id, &run, err))
		return err_wrap(err, "show run %s", text ? text : "");
	if (cfg->history)
		rc = runs_history(&cfg->client, &cfg->out, run->id, lost,
				  status, err);
	else
		rc = runs_table(&cfg->out, run, err);
	rpc_free(&run->base);
	return rc;
}

static int run(const struct config *cfg, const char *operand, int *status,
	       struct err *err)
{
	switch ((enum command)cfg->command) {
	case START:
		return start(cfg, err);
	case STOP:
		return stop(cfg, operand, err);
	case LIST:
		return runs_list(&cfg->client, false, &cfg->out, err);
	case SHOW:
		return show(cfg, operand, status, err);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv), status = 0, rc;

	if (run(&cfg, opt_arg(argc, argv, rest, NULL), &status, &err))
		return err_report(&prog, &err);
	rc = out_close(&prog);
	return rc ? rc : status;
}
