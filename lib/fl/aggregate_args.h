/* aggregate_args.h - the options of a program that aggregates, the same in every
 * one. */
#ifndef FL_AGGREGATE_ARGS_H
#define FL_AGGREGATE_ARGS_H

#include "base/opt.h"
#include "fl/aggregate.h"

struct aggregate_args {
	const char *rule, *staleness;
	struct aggregate_opts opts;
	int64_t hold_bytes;
};

#define OPT_AGGREGATE(T, m)                                                    \
	OPT_WORD(0, "aggregate", T, m.rule, "RULE", AGGREGATE_RULES, "fedavg", \
		 "how the server makes one model of the clients'"),            \
		OPT_REAL(0, "server-lr", T, m.opts.lr, "RATE", "0", 0, 1e6,    \
			 "of the server's step; 0: the rule's own"),           \
		OPT_REAL(0, "beta1", T, m.opts.beta1, "RATIO", "0.9", 0, 1,    \
			 "fedavgm, fedadagrad, fedyogi, fedadam: momentum"),   \
		OPT_REAL(0, "beta2", T, m.opts.beta2, "RATIO", "0.99", 0, 1,   \
			 "fedyogi, fedadam: of the squares"),                  \
		OPT_REAL(0, "tau", T, m.opts.tau, "X", "1e-3", 1e-15, 1e15,    \
			 "fedadagrad, fedyogi, fedadam: how little "           \
			 "adapting"),                                          \
		OPT_REAL(0, "q", T, m.opts.q, "X", "1", 0, 100,                \
			 "qfedavg: how fair; 0: all alike"),                   \
		OPT_REAL(0, "dyn", T, m.opts.dyn, "ALPHA", "0.01", 1e-15,      \
			 1e15, "feddyn: how much the clients are held"),       \
		OPT_STRING(0, "staleness", T, m.staleness, "WEIGHT",           \
			   "polynomial",                                       \
			   "fedasync, fedbuff: constant, hinge[:A[:B]] or "    \
			   "polynomial[:A]"),                                  \
		OPT_REAL(0, "mix", T, m.opts.mix, "ALPHA", "0.6", 1e-15, 1,    \
			 "fedasync: share of the client's model"),             \
		OPT_INT(0, "buffer", T, m.opts.buffer, "N", "10", 1,           \
			1000000000, "fedbuff: updates that make a model"),     \
		OPT_REAL(0, "trim", T, m.opts.trim, "SHARE", "0.2", 0, 0.499,  \
			 "trimmed: what is cut off at either end"),            \
		OPT_INT(0, "byzantine", T, m.opts.byzantine, "N", "1", 0,      \
			1000000,                                               \
			"krum, multikrum: clients that may lie"),              \
		OPT_INT(0, "krum-keep", T, m.opts.keep, "N", "0", 0,           \
			1000000000,                                            \
			"multikrum: how many are averaged; 0: all but "        \
			"--byzantine"),                                        \
		OPT_SIZE(0, "hold-max", T, m.hold_bytes, "1G",                 \
			 "median, trimmed, krum, multikrum: memory for a "     \
			 "round's updates"),                                   \
		OPT_REAL(0, "clip", T, m.opts.clip, "NORM", "0", 0, 1e30,      \
			 "longer updates are made this long; 0: none"),        \
		OPT_REAL(0, "norm-max", T, m.opts.norm_max, "NORM", "0", 0,    \
			 1e30, "longer updates are refused; 0: none"),         \
		OPT_REAL(0, "weight-max", T, m.opts.weight_max, "X", "0", 0,   \
			 1e18, "updates of more weight are refused; 0: none")

/* Complete args->opts by what are texts in the options. What clients do, and how
 * many there are, the program adds. */
int aggregate_args_parse(struct aggregate_args *args,
			 struct err *err) MUST_CHECK;

#endif
