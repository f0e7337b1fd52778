/* gfl-sim - a whole federation in one process, on a virtual clock. */
#include <stdlib.h>
#include <unistd.h>

#include "base/input.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/out.h"
#include "base/value.h"
#include "fl/aggregate_args.h"
#include "fl/sim.h"
#include "node/spec.h"
#include "plan/round.h"
#include "plan/speeds.h"

enum { FILE_MAX = 64 << 20, BATCH_MAX = 65536 };

struct config {
	struct out_opts out;
	struct sim_opts sim;
	const char *strategy, *scheme, *policy, *by;
	const char *data, *test, *speeds;
	struct aggregate_args aggregate;
	int attack, dtype, codec;
	int64_t seed, step_ms;
	bool lr_cosine;
};

static const struct opt opts[] = {
	OPT_FILE(0, "data", struct config, data,
		 "/usr/share/datasets/fashion-mnist",
		 "training data, as gfl-data info --data takes it"),
	OPT_FILE(0, "test", struct config, test, NULL,
		 "test data; without it that of --data's folder"),
	OPT_INT('n', "trainers", struct config, sim.trainers, "N", "14", 1,
		SIM_TRAINERS_MAX, "trainers in the federation"),
	OPT_STRING(0, "by", struct config, by, "HOW", "iid",
		   "how the data is divided, as gfl-data split --by"),
	OPT_WORD(0, "strategy", struct config, strategy, "NAME", STRATEGY_NAMES,
		 "gossip", "how models are mixed"),
	OPT_WORD(0, "policy", struct config, policy, "NAME", TOPOLOGY_POLICIES,
		 "auto", "how gossip chooses its pairs"),
	OPT_WORD(0, "scheme", struct config, scheme, "SCHEME", STRATEGY_SCHEMES,
		 NULL,
		 "which values travel; without it strat, or dense where all "
		 "do"),
	OPT_REAL(0, "keep", struct config, sim.keep, "SHARE", "0.01", 1e-6, 1,
		 "share of the values that travels"),
	OPT_CHOICE(0, "dtype", struct config, dtype, PAYLOAD_DTYPES, "f32",
		   "of gossip: how a value travels"),
	OPT_CHOICE(0, "codec", struct config, codec, PAYLOAD_CODECS, "none",
		   "of gossip: what is done to the bytes"),
	OPT_REAL(0, "eta", struct config, sim.eta, "X", "0", 0, 1,
		 "choco's step size; 0: as large as is safe"),
	OPT_REAL(0, "sample", struct config, sim.sample, "SHARE", "1", 1e-6, 1,
		 "share of the trainers in a round of fedavg"),
	OPT_AGGREGATE(struct config, aggregate),
	OPT_INT(0, "attackers", struct config, sim.attackers, "N", "0", 0,
		SIM_TRAINERS_MAX, "fedavg: trainers that lie to the server"),
	OPT_CHOICE(0, "attack", struct config, attack, SIM_ATTACKS, "flip",
		   "what they send"),
	OPT_REAL(0, "miss", struct config, sim.miss, "CHANCE", "0", 0, 1,
		 "that an exchange of gossip fails"),
	OPT_STRING(0, "model", struct config, sim.model, "MODEL", "mlp",
		   "preset or text of the model"),
	OPT_INT64(0, "rounds", struct config, sim.rounds, "N", "200", 1,
		  10000000, "rounds to go"),
	OPT_INT64(0, "eval-every", struct config, sim.eval_every, "N", "10", 1,
		  10000000, "rounds between two records"),
	OPT_REAL(0, "target-accuracy", struct config, sim.target, "X", "0", 0,
		 1, "end when the mean accuracy is this high; 0: do not"),
	OPT_INT64(0, "steps", struct config, sim.steps.steps, "N", "5", 1,
		  1000000, "local steps a round"),
	OPT_INT(0, "batch", struct config, sim.steps.batch, "N", "50", 1,
		BATCH_MAX, "examples of a step"),
	OPT_REAL(0, "lr", struct config, sim.steps.lr, "X", "0.02", 0, 1000,
		 "learning rate"),
	OPT_REAL(0, "momentum", struct config, sim.steps.momentum, "X", "0.9",
		 0, 1, "of the steps"),
	OPT_BOOL(0, "nesterov", struct config, sim.steps.nesterov,
		 "Nesterov's momentum"),
	OPT_REAL(0, "weight-decay", struct config, sim.steps.weight_decay, "D",
		 "0", 0, 1, "of all parameters but batch normalisation's"),
	OPT_REAL(0, "prox", struct config, sim.steps.prox, "MU", "0", 0, 1000,
		 "FedProx: pull local steps to where the round began"),
	OPT_INT64(0, "lr-every", struct config, sim.steps.schedule.every,
		  "ROUNDS", "0", 0, 10000000,
		  "multiply the rate after so many; 0: never"),
	OPT_REAL(0, "lr-decay", struct config, sim.steps.schedule.decay,
		 "FACTOR", "0.992", 1e-6, 1,
		 "by what --lr-every multiplies the rate"),
	OPT_BOOL(0, "lr-cosine", struct config, lr_cosine,
		 "let the rate fall to 0 over the rounds, as a cosine"),
	OPT_INT64(0, "seed", struct config, seed, "N", "1", 0, INT64_MAX,
		  "the same seed gives the same run"),
	OPT_STRING(0, "speeds", struct config, speeds, "SPEEDS", "uniform:1M",
		   "of the links: uniform:RATE, random:LOW:HIGH, or a file"),
	OPT_MILLIS(0, "step-time", struct config, step_ms, "10",
		   "that a local step takes on the virtual clock"),
	OPT_INT(0, "threads", struct config, sim.threads, "N", "0", 0,
		SIM_THREADS_MAX, "to compute with; 0: as many as processors"),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-sim",
	.args = "",
	.brief = "a whole federation in one process, on a virtual clock",
	.about = "Trains N real models on parts of real data, mixes them round "
		 "after round as the strategy says, with the planner and the "
		 "masks of a real run, and prints a record for each round that "
		 "is evaluated: round, loss, accuracy (the mean of the models' "
		 "on the whole test set), accuracy_average (of the average of "
		 "the models), sent_bytes (mean over the trainers, values and "
		 "indices), seconds (computed: --step-time and the bytes by "
		 "--speeds), consensus (mean square distance of the models "
		 "from their mean). Strategies: gossip, pairs by --policy that "
		 "average values by --scheme; dpsgd, dcd and choco, on a ring; "
		 "psgd, all-reduce; fedavg, a server at the best-connected "
		 "trainer, which makes one model of those of a sample by "
		 "--aggregate. Attackers send their step tenfold in the other "
		 "direction (flip), chance (noise), or what is no number "
		 "(nan); refused counts the updates that the server did not "
		 "take. A file of speeds is a matrix in bytes/s, a line of "
		 "numbers for each trainer; \"# unit 1M\" in it says that they "
		 "count something else. The same seed gives the same records. "
		 "No network.",
	.example =
		"gfl-sim --by dirichlet:0.5 -o jsonl | "
		"gfl-plot --x seconds --y accuracy\n"
		"gfl-sim -n 100 --strategy fedavg --sample 0.1 --steps 50\n"
		"gfl-sim --strategy fedavg --attackers 4 --aggregate median\n"
		"gfl-sim --speeds sites.tsv --policy random",
	.opts = opts,
};

static const struct out_col cols[] = {
	{"round", OUT_INT},       {"loss", OUT_REAL},
	{"accuracy", OUT_REAL},   {"accuracy_average", OUT_REAL},
	{"sent_bytes", OUT_REAL}, {"seconds", OUT_REAL},
	{"consensus", OUT_REAL},  {"strategy", OUT_TEXT},
	{"refused", OUT_INT},
};

struct printer {
	const struct config *cfg;
	struct out *out;
};

static void print(const struct sim_record *r, void *arg)
{
	struct printer *p = arg;

	out_row(p->out, out_int(r->round), out_real(r->loss),
		out_real(r->accuracy), out_real(r->accuracy_average),
		out_real(r->bytes), out_real(r->seconds),
		out_real(r->consensus), out_text(p->cfg->strategy),
		out_int(r->refused));
}

static int read_speeds(struct config *cfg, double **bps, struct err *err)
{
	struct buf text = BUF_INIT(FILE_MAX);
	size_t n = (size_t)cfg->sim.trainers;
	int rc = speeds_make(bps, n, cfg->speeds, cfg->sim.seed, err);

	if (rc != ERR_NOT_FOUND)
		return rc;
	rc = input_read(&text, cfg->speeds, err);
	if (!rc)
		rc = speeds_parse(bps, n, text.p ? text.p : "", cfg->speeds,
				  err);
	buf_release(&text);
	return rc;
}

static int simulate(struct config *cfg, struct err *err)
{
	struct printer p = {.cfg = cfg};
	int rc;

	if (out_begin(&p.out, &cfg->out, cols, sizeof(cols) / sizeof(cols[0]),
		      true, err))
		return (int)err->code;
	rc = sim_run(&cfg->sim, print, &p, err);
	if (out_end(p.out, rc ? NULL : err))
		return (int)err->code;
	return rc;
}

static void set_up(struct config *cfg)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	cfg->sim.strategy = strategies_find(cfg->strategy);
	if (!cfg->scheme)
		cfg->scheme = strategies_scheme(cfg->sim.strategy);
	cfg->sim.scheme = (enum strategy_scheme)value_choice(STRATEGY_SCHEMES,
							     cfg->scheme);
	cfg->sim.form.dtype = (enum payload_dtype)cfg->dtype;
	cfg->sim.form.codec = (enum payload_codec)cfg->codec;
	if (cfg->sim.eta == 0)
		cfg->sim.eta = strategies_eta(cfg->scheme, cfg->sim.keep);
	cfg->sim.policy = (enum topology_policy)topology_policy_of(cfg->policy);
	cfg->sim.aggregate = cfg->aggregate.rule;
	cfg->sim.server = cfg->aggregate.opts;
	cfg->sim.attack = (enum sim_attack)cfg->attack;
	cfg->sim.seed = (uint64_t)cfg->seed;
	cfg->sim.step_s = (double)cfg->step_ms / 1e3;
	if (cfg->lr_cosine)
		cfg->sim.steps.schedule.rounds = cfg->sim.rounds;
	if (!cfg->sim.threads)
		cfg->sim.threads = cores < 1                 ? 1
				   : cores > SIM_THREADS_MAX ? SIM_THREADS_MAX
							     : (int)cores;
}

/* What a real run would be refused for. */
static int check(const struct config *cfg, struct err *err)
{
	const struct learner_steps *steps = &cfg->sim.steps;
	Gfl__V1__RunSpec spec = GFL__V1__RUN_SPEC__INIT;

	spec.model = (char *)cfg->sim.model;
	spec.strategy = (char *)cfg->strategy;
	spec.scheme = (char *)cfg->scheme;
	spec.dtype = (char *)"f32";
	spec.codec = (char *)"none";
	spec.policy = (char *)cfg->policy;
	spec.keep = cfg->sim.keep;
	spec.eta = cfg->sim.eta;
	spec.rounds = cfg->sim.rounds;
	spec.eval_every = cfg->sim.eval_every;
	spec.target_accuracy = cfg->sim.target;
	spec.steps = steps->steps;
	spec.batch = steps->batch;
	spec.lr = steps->lr;
	spec.momentum = steps->momentum;
	spec.weight_decay = steps->weight_decay;
	spec.prox = steps->prox;
	spec.nesterov = steps->nesterov;
	spec.lr_every = steps->schedule.every;
	spec.lr_decay = steps->schedule.decay;
	spec.lr_cosine = steps->schedule.rounds > 0;
	spec.min_trainers = 2;
	spec.round_deadline_ms = PLAN_DEADLINE_MAX_MS;
	spec.give_up_ms = 1;
	return spec_check(&spec, err);
}

static int run(struct config *cfg, struct err *err)
{
	struct data *train = NULL, *test = NULL;
	double *bps = NULL;
	int rc;

	rc = aggregate_args_parse(&cfg->aggregate, err);
	if (!rc)
		rc = partition_parse(&cfg->sim.by, cfg->by, err);
	set_up(cfg);
	if (!rc)
		rc = check(cfg, err);
	if (!rc)
		rc = read_speeds(cfg, &bps, err);
	if (!rc)
		rc = data_open(&train, cfg->data, "train", 0, err);
	if (!rc)
		rc = data_open(&test, cfg->test ? cfg->test : cfg->data, "test",
			       train->classes, err);
	cfg->sim.train = train;
	cfg->sim.test = test;
	cfg->sim.bps = bps;
	if (!rc)
		rc = simulate(cfg, err);
	data_close(test);
	data_close(train);
	free(bps);
	return rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;

	opt_parse(&prog, &cfg, argc, argv);
	if (run(&cfg, &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}
