/* strategy.h - how the models of a federation are mixed after each round's
 * local steps; gossip, and what it is compared with.
 *
 * gossip   SAPS-PSGD (arXiv 2002.09692): masked values of pairs are averaged
 * dpsgd    D-PSGD (Lian et al. 2017): a ring, weights 1/3, dense
 * dcd      DCD-PSGD (Tang et al. 2018): a ring, differences compressed
 * choco    CHOCO-SGD (Koloskova et al. 2019): the same, with a step size
 * psgd     all-reduce: the mean of all, dense
 * fedavg   a server aggregates those of a sample by a rule (aggregate.h); by
 *          default FedAvg's (McMahan et al. 2017), the mean by examples
 *
 * Here all models are in one process, for gfl-sim: what would travel is noted
 * as transfers, with their bytes. Pure. */
#ifndef FL_STRATEGY_H
#define FL_STRATEGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "fl/aggregate.h"

/* Which values travel: all; those of the round's mask (plan/mask.h); those
 * that have changed most since they travelled last. */
enum strategy_scheme { SCHEME_DENSE, SCHEME_STRAT, SCHEME_TOPK };

#define STRATEGY_SCHEMES "dense|strat|topk"

struct strategy_transfer {
	int from, to;
	double bytes;
};

/* The federation between two rounds. x[i] is model i, n of them, each of
 * params values; all borrowed. */
struct strategy_mix {
	size_t n;
	uint32_t params;
	uint32_t len;   /* of x[i]; what is behind params is each trainer's
			 * own, and only a server mixes it */
	float **x;      /* after the local steps; mixed in place */
	float **before; /* before them: for a strategy that needs it */
	float **shared; /* what others know of each model, kept between rounds;
			 * at first equal to x */
	enum strategy_scheme scheme;
	uint32_t c; /* one value in c travels */
	double eta; /* choco's step size */

	/* gossip: partners, or below 0; and the mask's seed */
	const int *mate;
	uint64_t seed;
	int64_t t;

	/* fedavg */
	const bool *active; /* who takes part in this round */
	int server;         /* at whose site it is */
	struct aggregate *aggregate;
	struct aggregate_update *update; /* of n: what is told beside x[i] */
	float *global;                   /* the server's model, len values */
	bool open;                       /* a round of aggregation is */
	size_t refused;                  /* updates, ever */

	/* Why the last mix failed; 0: it did not. */
	int rc;
	struct err err;

	/* What travelled in the last mix, room for 2 n + 2. */
	struct strategy_transfer *transfer;
	size_t ntransfers;
};

struct strategy {
	const char *name, *brief;
	bool needs_before, needs_shared;
	bool barrier; /* a round is over for all at once */
	bool pairs;   /* takes the planner's pairs */
	bool samples; /* takes part by chance */
	void (*mix)(struct strategy_mix *m);
};

extern const struct strategy strategies[]; /* name NULL ends */

#define STRATEGY_NAMES "gossip|dpsgd|dcd|choco|psgd|fedavg"

/* By name, which is one of them. */
const struct strategy *strategy_of(const char *name);

#endif
