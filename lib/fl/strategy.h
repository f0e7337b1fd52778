/* strategy.h - the strategies of plan/strategies.h at work on all models at
 * once, in one process, for gfl-sim: what would travel is noted as transfers,
 * with their bytes. The arithmetic is that of real exchanges (fl/mix.h). Pure.
 */
#ifndef FL_STRATEGY_H
#define FL_STRATEGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "fl/aggregate.h"
#include "fl/payload.h"
#include "plan/strategies.h"

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

	/* gossip: partners, or below 0; the mask's seed; how values travel, of
	 * which indexed is not read */
	const int *mate;
	uint64_t seed;
	int64_t t;
	struct payload_form form;

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

/* Mix the models of a round. */
void strategy_mix(const struct strategy *s, struct strategy_mix *m);

#endif
