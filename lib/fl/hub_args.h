/* hub_args.h - the options of a program that is a hub. */
#ifndef FL_HUB_ARGS_H
#define FL_HUB_ARGS_H

#include "base/opt.h"
#include "fl/aggregate_args.h"
#include "fl/hub.h"

struct hub_args {
	const char *model, *init, *test, *label, *model_out;
	const char *on[HUB_STAGES];
	int64_t handler_ms;
	struct aggregate_args aggregate;
	int mode, sampler, weights, classes, scheme, dtype, codec;
	int64_t rounds, min_participants, choices, deadline_ms, eval_every;
	int64_t clients_eval_every, eval_deadline_ms, max_clients, silence_ms;
	int64_t seed, epochs, steps, lr_decay_every, lr_cosine;
	int batch;
	double target, fraction, sample, eval_sample;
	double lr, momentum, weight_decay, prox, lr_decay, keep;
	bool nesterov;
	struct opt_pairs hp;
	char *hyper[OPT_PAIRS_MAX]; /* hyper.h, made by hub_args_parse() */
	struct command *commands[HUB_STAGES]; /* opened by hub_args_opts() */
};

#define OPT_HUB(T, m)                                                          \
	OPT_STRING(0, "model", T, m.model, "MODEL", "mlp",                     \
		   "a preset, or layers as text; or exec: what --init has, "   \
		   "which only clients with --exec train"),                    \
		OPT_FILE(0, "init", T, m.init, NULL,                           \
			 "begin with this model (safetensors, .npz, .npy or "  \
			 ".tsv), not with one made of the seed"),              \
		OPT_CHOICE(0, "mode", T, m.mode, "sync|async", "sync",         \
			   "rounds, or whoever asks is given the newest "      \
			   "model, and a "                                     \
			   "round is what makes the next one"),                \
		OPT_INT64(0, "seed", T, m.seed, "N", "1", 0, INT64_MAX,        \
			  "of the first model, and of whom is sampled"),       \
		OPT_INT64(0, "rounds", T, m.rounds, "N", "100", 0, INT64_MAX,  \
			  "end after so many; 0: when it is stopped"),         \
		OPT_REAL(0, "target-accuracy", T, m.target, "RATIO", NULL, 0,  \
			 1,                                                    \
			 "end when this is reached on --test, or without "     \
			 "that by the clients that evaluate"),                 \
		OPT_INT64(0, "min-participants", T, m.min_participants, "N",   \
			  "2", 1, 1 << 30,                                     \
			  "no round begins with fewer clients, or ends with "  \
			  "fewer "                                             \
			  "updates"),                                          \
		OPT_INT64(0, "max-clients", T, m.max_clients, "N", "10000", 1, \
			  1000000,                                             \
			  "no more are known; whoever has sent no update "     \
			  "makes way for others"),                             \
		OPT_SECONDS(0, "silence", T, m.silence_ms, "2",                \
			    "a client that holds no request here for so "      \
			    "long is gone, until it asks again; one that "     \
			    "trains with --active may",                        \
			    .min = 100, .max = 86400000),                      \
		OPT_REAL(0, "sample", T, m.sample, "RATIO", "1", 0, 1,         \
			 "so many of the clients take part in a round"),       \
		OPT_CHOICE(0, "sampler", T, m.sampler, COHORT_RULES,           \
			   "uniform",                                          \
			   "who does: by chance, likely by examples, or of "   \
			   "some so "                                          \
			   "drawn those of the highest loss"),                 \
		OPT_INT64(0, "choices", T, m.choices, "N", "0", 0, 1 << 30,    \
			  "how many --sampler power draws first; 0: all"),     \
		OPT_REAL(0, "fraction", T, m.fraction, "RATIO", "1", 0, 1,     \
			 "a round ends when so many of its clients have "      \
			 "answered"),                                          \
		OPT_SECONDS(0, "round-deadline", T, m.deadline_ms, "60",       \
			    "or after so long; in --mode async a client that " \
			    "trains with --active for longer is gone, until "  \
			    "it is heard",                                     \
			    .min = 1, .max = 86400000),                        \
		OPT_CHOICE(0, "weights", T, m.weights, "examples|uniform",     \
			   "examples", "what a client weighs in the mean"),    \
		OPT_AGGREGATE(T, m.aggregate),                                 \
		OPT_INT64(0, "epochs", T, m.epochs, "N", "1", 0, 1 << 20,      \
			  "a client trains so often over its examples in a "   \
			  "round"),                                            \
		OPT_INT64(0, "steps", T, m.steps, "N", "0", 0, 1 << 30,        \
			  "or, if not 0, takes so many steps"),                \
		OPT_INT(0, "batch", T, m.batch, "N", "64", 1, 65536,           \
			"examples in a step"),                                 \
		OPT_REAL(0, "lr", T, m.lr, "RATE", "0.05", 0, 1000,            \
			 "of a client's steps"),                               \
		OPT_REAL(0, "momentum", T, m.momentum, "RATIO", "0", 0,        \
			 0.9999, "of a client's steps"),                       \
		OPT_BOOL(0, "nesterov", T, m.nesterov, "Nesterov's momentum"), \
		OPT_REAL(0, "weight-decay", T, m.weight_decay, "X", "0", 0, 1, \
			 "of a client's steps"),                               \
		OPT_REAL(0, "prox", T, m.prox, "MU", "0", 0, 1000,             \
			 "FedProx: holds clients near the model they were "    \
			 "given"),                                             \
		OPT_REAL(0, "lr-decay", T, m.lr_decay, "RATIO", "1", 0, 1,     \
			 "multiply the rate by this every --lr-decay-every "   \
			 "rounds"),                                            \
		OPT_INT64(0, "lr-decay-every", T, m.lr_decay_every, "ROUNDS",  \
			  "0", 0, INT64_MAX, "0: never"),                      \
		OPT_INT64(0, "lr-cosine", T, m.lr_cosine, "ROUNDS", "0", 0,    \
			  INT64_MAX,                                           \
			  "let the rate fall to 0 along half a cosine"),       \
		OPT_PAIRS(0, "hp", T, m.hp, "NAME=VALUE",                      \
			  "tell clients with --exec, as GFL_HP_NAME; "         \
			  "repeatable"),                                       \
		OPT_CHOICE(0, "scheme", T, m.scheme, "dense|strat|topk",       \
			   "dense",                                            \
			   "what of an update travels: all, a mask of the "    \
			   "round, what "                                      \
			   "has changed most; the rest is in later ones"),     \
		OPT_REAL(0, "keep", T, m.keep, "RATIO", "0.1", 1e-6, 1,        \
			 "with strat and topk: so much of it"),                \
		OPT_CHOICE(0, "dtype", T, m.dtype, "f32|bf16|int8", "f32",     \
			   "the type of its values on the wire"),              \
		OPT_CHOICE(0, "codec", T, m.codec, "none|zstd", "none",        \
			   "how they are packed"),                             \
		OPT_FILE(0, "test", T, m.test, NULL,                           \
			 "evaluate on this: a file (IDX, .npy, .npz, .csv, "   \
			 ".svm; also "                                         \
			 "gzipped), or a folder with MNIST's names"),          \
		OPT_STRING(                                                    \
			0, "label", T, m.label, "NAME", NULL,                  \
			"its column, or file, of labels (see gfl-trainer)"),   \
		OPT_INT(0, "classes", T, m.classes, "N", "10", 0, 256,         \
			"refuse labels from this on; 0 takes whatever comes"), \
		OPT_INT64(0, "eval-every", T, m.eval_every, "ROUNDS", "1", 1,  \
			  INT64_MAX, "evaluate so often, and after the last"), \
		OPT_INT64(0, "clients-eval-every", T, m.clients_eval_every,    \
			  "ROUNDS", "0", 0, INT64_MAX,                         \
			  "have clients evaluate on test data of their own, "  \
			  "so often and after the last; 0: never"),            \
		OPT_REAL(0, "eval-sample", T, m.eval_sample, "RATIO", "1", 0,  \
			 1, "so many of those that can do"),                   \
		OPT_SECONDS(0, "eval-deadline", T, m.eval_deadline_ms, "60",   \
			    "who has not answered by then is missing",         \
			    .min = 1, .max = 86400000),                        \
		OPT_FILE(                                                      \
			0, "model-out", T, m.model_out, NULL,                  \
			"write the last model here, not beside the database"), \
		OPT_STRING(                                                    \
			0, "on-setup", T, m.on[HUB_ON_SETUP], "CMD", NULL,     \
			"its output is the first model, a safetensors file; "  \
			"of such commands see gfl(7), HANDLERS"),              \
		OPT_STRING(0, "on-round", T, m.on[HUB_ON_ROUND], "CMD", NULL,  \
			   "chooses who takes part: clients as JSON lines "    \
			   "in, lines "                                        \
			   "CLIENT [LOGICAL] out"),                            \
		OPT_STRING(0, "on-receive", T, m.on[HUB_ON_RECEIVE], "CMD",    \
			   NULL,                                               \
			   "gets each update as a safetensors file, each "     \
			   "score (GFL_CODE is 3) as a result of gfl(7), "     \
			   "TRAINERS; refuses it by its status, or puts "      \
			   "another one out"),                                 \
		OPT_STRING(0, "on-shutdown", T, m.on[HUB_ON_SHUTDOWN], "CMD",  \
			   NULL,                                               \
			   "runs at the end, once the last model is written"), \
		OPT_SECONDS(0, "handler-timeout", T, m.handler_ms, "0",        \
			    "CMD fails after so long; 0: never")

/* That they go together; completes what are texts in the options. */
int hub_args_parse(struct hub_args *a, struct err *err) MUST_CHECK;

/* An option that says how to train, and is not as usual: "--mode"; or NULL. */
const char *hub_args_trains(const struct hub_args *a);

Gfl__V1__FlTraining hub_args_training(const struct hub_args *a);

/* All of *out that they say; commands are borrowed by it until
 * hub_args_release(). The caller adds files, data and hooks. */
int hub_args_opts(struct hub_args *a, struct hub_opts *out,
		  struct err *err) MUST_CHECK;
void hub_args_release(struct hub_args *a);

#endif
