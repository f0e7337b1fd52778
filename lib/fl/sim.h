/* sim.h - a whole federation in one process: real models, data, plans and
 * masks, on a virtual clock.
 *
 * Every trainer takes its local steps, then the strategy mixes the models. Time
 * is computed: a step takes step_s, a transfer its bytes by the speed between
 * its two ends (of both directions the slower one, each link for itself), and a
 * trainer waits for those it exchanges with, or, where the strategy has a
 * barrier, for all. The same options give the same records, however many
 * threads compute them. */
#ifndef FL_SIM_H
#define FL_SIM_H

#include <stdint.h>

#include "base/err.h"
#include "fl/learner.h"
#include "fl/strategy.h"
#include "nn/data.h"
#include "nn/partition.h"
#include "plan/topology.h"

enum { SIM_TRAINERS_MAX = 4096, SIM_THREADS_MAX = 256 };

/* What an attacker sends for the model x that its steps made of g: g - 10 (x -
 * g); values by chance, of the model's order; x with a value that is no number.
 */
enum sim_attack { SIM_FLIP, SIM_NOISE, SIM_NAN };

#define SIM_ATTACKS "flip|noise|nan"

struct sim_opts {
	const struct strategy *strategy;
	enum strategy_scheme scheme;
	enum topology_policy policy;  /* of gossip */
	struct payload_form form;     /* of gossip's values */
	double keep;                  /* share of the values that travels */
	double eta;                   /* choco */
	double sample;                /* fedavg: share that takes part */
	const char *aggregate;        /* fedavg: one of AGGREGATE_RULES, … */
	struct aggregate_opts server; /* … its options, but for clients and the
					 local ones, which steps has */
	int attackers;                /* fedavg: the first so many lie */
	enum sim_attack attack;
	double miss; /* gossip: the chance that an exchange fails */

	const char *model;
	const struct data *train, *test;
	struct partition by; /* how train is divided */
	int trainers;
	int64_t rounds, eval_every;
	struct learner_steps steps;
	uint64_t seed;

	double target;     /* mean accuracy that ends it; 0: none */
	const double *bps; /* trainers x trainers, bytes/s */
	double step_s;
	int threads;
};

/* Where the federation is after a round that was evaluated. */
struct sim_record {
	int64_t round;   /* rounds done */
	double loss;     /* mean over trainers, of the round's steps */
	double accuracy; /* mean over the trainers' models, whole test set */
	double accuracy_average; /* of the average of the models */
	double bytes;            /* sent, mean over the trainers */
	double seconds;          /* on the virtual clock */
	double consensus; /* mean of |x - mean of x|^2 over the trainers */
	int64_t refused;  /* updates that the server has not admitted */
};

typedef void sim_fn(const struct sim_record *r, void *arg);

/* INVALID_ARGUMENT where model, data and options do not fit; ABORTED when the
 * loss or a model is not finite any more. fn is called for each evaluated
 * round. */
int sim_run(const struct sim_opts *opts, sim_fn *fn, void *arg,
	    struct err *err) MUST_CHECK;

#endif
