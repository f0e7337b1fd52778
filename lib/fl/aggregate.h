/* aggregate.h - the server's part of a round: many updates in, the next model
 * out. One table of rules; pure.
 *
 * An update is what a client made of the model that it was sent: its values, or
 * their difference to that model. With w the weights, x the model, d the
 * differences, the sums over a round's updates and D their mean by weight:
 *
 * fedavg     x += lr D (McMahan et al. 2017, arXiv 1602.05629, algorithm 1)
 * fedprox    the same; the clients hold themselves near x (Li et al. 2020,
 * arXiv 1812.06127, algorithm 2), which is struct sgd's prox fedavgm    m =
 * beta1 m + D, x += lr m (Hsu et al. 2019, arXiv 1909.06335, 4.3) fedadagrad m
 * = beta1 m + (1 - beta1) D, v += D^2 fedyogi    … v -= (1 - beta2) D^2 sign(v
 * - D^2) fedadam    … v = beta2 v + (1 - beta2) D^2 all three: x += lr m /
 * (sqrt(v) + tau), v = tau^2 at first (Reddi et al. 2021, arXiv 2003.00295,
 * algorithm 2)
 *
 * What a rule asks of the clients besides is its needs. Memory is a few times
 * the model's whatever the number of clients. */
#ifndef FL_AGGREGATE_H
#define FL_AGGREGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "fl/staleness.h"

struct aggregate; /* a rule, its round, and its state between rounds */

#define AGGREGATE_RULES "fedavg|fedprox|fedavgm|fedadagrad|fedyogi|fedadam"

/* What a client's part in a rule is, besides the model and a weight. */
enum aggregate_needs {
	AGGREGATE_PROX = 1 << 0, /* struct learner_steps' prox */
};

/* Zero is not a default; AGGREGATE_OPTS is all of them. */
struct aggregate_opts {
	double lr;           /* the server's */
	double beta1, beta2; /* of the moments, 0 to below 1 */
	double tau;          /* added to the root of the second, above 0 */
	double clip;         /* an update of a greater l2 norm is made this long
				(Sun et al. 2019, arXiv 1911.07963); 0: none */
	double norm_max;     /* a longer one is refused; 0: none */
	double weight_max;   /* and so is one of more weight; 0: none */
};

#define AGGREGATE_OPTS                                             \
	{                                                          \
		.lr = 1, .beta1 = 0.9, .beta2 = 0.99, .tau = 1e-3, \
	}

/* One client's, borrowed for the call. Whether it is of this round, and the
 * first of its client, only the caller can know. */
struct aggregate_update {
	int64_t client;      /* for messages */
	const float *values; /* n of them */
	size_t n;
	bool delta;    /* values are differences to the model begun with */
	double weight; /* above 0, as its number of examples; 1: all alike */
};

/* What a round came to. */
struct aggregate_facts {
	size_t updates;
	double weight;  /* their sum */
	double moved;   /* l2 norm of the model's step */
	size_t clipped; /* updates that were made shorter */
};

/* A rule by its name, which is one of AGGREGATE_RULES, for a vector of n values
 * of which the first trained ones are the optimiser's and the rest, running
 * means of normalisation, are averaged by weight under every rule. Options out
 * of bounds are INVALID_ARGUMENT. *out is freed by aggregate_free(). */
int aggregate_open(struct aggregate **out, const char *rule,
		   const struct aggregate_opts *opts, size_t n, size_t trained,
		   struct err *err) MUST_CHECK;
void aggregate_free(struct aggregate *a); /* NULL is nothing */

/* enum aggregate_needs of a rule, or-ed. */
unsigned aggregate_needs(const struct aggregate *a);

/* Begin a round from the model global, borrowed until finish; what an
 * unfinished one had admitted is forgotten. */
void aggregate_begin(struct aggregate *a, const float *global);

/* Take an update into the round. INVALID_ARGUMENT for one of another length, or
 * that is not finite, too long, or without what the rule needs; it then has no
 * part in the round. (What was summed before it stays to within 2^-33 of the
 * weights: a refusal never costs a second pass over good ones.) */
int aggregate_admit(struct aggregate *a, const struct aggregate_update *u,
		    struct err *err) MUST_CHECK;

/* Updates admitted since begin, and how many finish needs at least. */
size_t aggregate_count(const struct aggregate *a);
size_t aggregate_least(const struct aggregate *a);

/* Put the next model into global, which begin was given. *facts may be NULL.
 * FAILED_PRECONDITION below the least number of updates; ABORTED when the next
 * model would not be finite. After either global, round and state are what they
 * were; after success the round is over. */
int aggregate_finish(struct aggregate *a, float *global,
		     struct aggregate_facts *facts, struct err *err) MUST_CHECK;

#endif
