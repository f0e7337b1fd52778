/* strategies.h - how the models of a federation are mixed after each round's
 * local steps, as a table: what gfl-sim simulates, and gfl-run runs.
 *
 * gossip   SAPS-PSGD (arXiv 2002.09692): pairs average some of their values
 * dpsgd    D-PSGD (Lian et al. 2017): a ring, weights 1/3, dense
 * dcd      DCD-PSGD (Tang et al. 2018): a ring, differences compressed
 * choco    CHOCO-SGD (Koloskova et al. 2019): the same, with a step size
 * psgd     all-reduce: the mean of all, dense
 * fedavg   a server aggregates those of a sample by a rule (fl/aggregate.h); by
 *          default FedAvg's (McMahan et al. 2017), the mean by examples
 *
 * In a real run all of it is exchanges of pairs. Where a trainer meets more
 * than one other in a round, it meets them in phases, of which each is a
 * matching: all know it from who is in the round's plan. Pure. */
#ifndef PLAN_STRATEGIES_H
#define PLAN_STRATEGIES_H

#include <stdbool.h>
#include <stddef.h>

enum strategy_kind {
	STRATEGY_GOSSIP,
	STRATEGY_DPSGD,
	STRATEGY_DCD,
	STRATEGY_CHOCO,
	STRATEGY_PSGD,
	STRATEGY_FEDAVG,
};

enum strategy_links {
	LINKS_PAIRS,  /* as the planner pairs them */
	LINKS_RING,   /* the two beside one, by id */
	LINKS_ALL,    /* everyone */
	LINKS_SERVER, /* one for all */
};

/* Which values travel: all; those of the round's mask (plan/mask.h); those
 * that have changed most since they travelled last. */
enum strategy_scheme { SCHEME_DENSE, SCHEME_STRAT, SCHEME_TOPK };

/* The words for them, for how a value travels, and for what packs it, each in
 * the order of its enum. */
#define STRATEGY_NAMES "gossip|dpsgd|dcd|choco|psgd|fedavg"
#define STRATEGY_SCHEMES "dense|strat|topk"
#define STRATEGY_DTYPES "f32|bf16|int8"
#define STRATEGY_CODECS "none|zstd"

struct strategy {
	const char *name, *brief;
	enum strategy_kind kind;
	enum strategy_links links;
	bool dense;        /* all values travel, always */
	bool needs_before; /* what a model was before its local steps */
	bool needs_shared; /* what others know of it */
	bool barrier;      /* a round is over for all at once */
	const char *only_simulated; /* why no real run has it, or NULL */
};

extern const struct strategy strategies[]; /* by kind; name NULL ends */

/* By name; NULL when there is none. */
const struct strategy *strategies_find(const char *name);

/* The scheme where none is asked for: strat, unless all values travel. */
const char *strategies_scheme(const struct strategy *s);

/* choco's step size where none is asked for, of such a scheme that lets this
 * share of the values travel: larger ones drive models apart (gfl-sim shows). */
double strategies_eta(const char *scheme, double keep);

/* Into how many phases a round of n trainers falls. */
size_t strategies_phases(enum strategy_links links, size_t n);

/* Whom trainer i of n meets in a phase, or -1. Not of pairs. */
int strategies_mate(enum strategy_links links, size_t n, size_t i,
		    size_t phase);

/* What each that one meets counts, when one counts as much oneself. */
double strategies_weight(enum strategy_links links, size_t n);

#endif
