/* aggregate.h - the server's part of a round: many updates in, the next model
 * out. One table of rules; pure.
 *
 * An update is what a client made of the model that it was sent: its values, or
 * their difference to that model. With x the model, d an update's difference, w
 * its weight, n updates in the round, and D the mean of d by w:
 *
 * fedavg      x += lr D (McMahan et al. 2017, arXiv 1602.05629, algorithm 1)
 * fedprox     the same; the clients hold themselves near x (Li et al. 2020,
 *             arXiv 1812.06127, algorithm 2), which is struct sgd's prox
 * fedavgm     m = beta1 m + D, x += lr m (Hsu et al. 2019, arXiv 1909.06335,
 *             section 4.3)
 * fedadagrad  m = beta1 m + (1 - beta1) D, v += D^2
 * fedyogi     the same m, v -= (1 - beta2) D^2 sign(v - D^2)
 * fedadam     the same m, v = beta2 v + (1 - beta2) D^2; all three:
 *             x += lr m / (sqrt(v) + tau), v = tau^2 at first (Reddi et al.
 *             2021, arXiv 2003.00295, algorithm 2)
 * fednova     x += lr T E: E is the mean by w of d / a, T that of a, and a how
 *             far the client's steps reach, see correction_reach() (Wang et
 *             al. 2020, arXiv 2007.07481, equation 7)
 * qfedavg     x += sum of L F^q d / sum of (q F^(q-1) L^2 |d|^2 + L F^q): L is
 *             1 / the clients' rate, F a client's loss with x (Li et al. 2020,
 *             arXiv 1905.10497, algorithm 2)
 * scaffold    x += lr / n sum of d, c += 1/N sum of the clients' changes of
 *             their c (Karimireddy et al. 2020, arXiv 1910.06378, algorithm 1)
 * feddyn      h -= dyn / N sum of d, x += 1/n sum of d - h / dyn (Acar et al.
 *             2021, arXiv 2111.04263, algorithm 1)
 * fedasync    x += lr mix s d, s the weight of its staleness, d the difference
 *             to x as it is now; n = 1 (Xie et al. 2019, arXiv 1903.03934,
 *             algorithm 1)
 * fedbuff     x += lr / buffer sum of s d, d the difference to the model that
 *             the client was sent; n = buffer (Nguyen et al. 2022, arXiv
 *             2106.06639, algorithm 1)
 *
 * These need a few times the model's memory, whatever n. The following hold all
 * updates until the end, so they have a limit; weights are of no meaning to
 * them, and what they find as centre C gives x += lr (C - x):
 *
 * median      of each value (Yin et al. 2018, arXiv 1803.01498, definition 1)
 * trimmed     the mean of each value without the share trim of n at either end
 *             (Yin et al. 2018, definition 2)
 * krum        the update nearest, by the sum of squared distances, to its n -
 *             byzantine - 2 nearest (Blanchard et al. 2017, arXiv 1703.02757)
 * multikrum   the mean of the keep that are nearest so (there, section 4)
 *
 * An update that is longer than clip is made that long under every rule (Sun et
 * al. 2019, arXiv 1911.07963). */
#ifndef FL_AGGREGATE_H
#define FL_AGGREGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "fl/staleness.h"
#include "nn/tensors.h"

struct aggregate; /* a rule, its round, and its state between rounds */

#define AGGREGATE_RULES                                                      \
	"fedavg|fedprox|fedavgm|fedadagrad|fedyogi|fedadam|fednova|qfedavg|" \
	"scaffold|feddyn|fedasync|fedbuff|median|trimmed|krum|multikrum"

/* What a rule needs of an update besides its values and weight, and what of the
 * clients (correction.h). */
enum aggregate_needs {
	AGGREGATE_STEPS = 1 << 0,     /* steps */
	AGGREGATE_LOSS = 1 << 1,      /* loss */
	AGGREGATE_CONTROL = 1 << 2,   /* control: clients do SCAFFOLD's part */
	AGGREGATE_DYN = 1 << 3,       /* clients do FedDyn's part */
	AGGREGATE_PROX = 1 << 4,      /* clients' steps have prox */
	AGGREGATE_STALENESS = 1 << 5, /* staleness: there are no rounds */
	AGGREGATE_DELTA = 1 << 6,     /* delta, of whatever is stale */
};

/* Zero is not a default; AGGREGATE_OPTS is all of them. */
struct aggregate_opts {
	double lr;           /* the server's; 0: 1, of the adaptive three 0.03 */
	double beta1, beta2; /* of the moments, 0 to below 1 */
	double tau;          /* added to the root of the second, above 0 */

	double local_lr, local_momentum, local_prox; /* of the clients' steps:
							qfedavg, fednova */
	double q;        /* qfedavg: 0 is all alike, more is fairer */
	int64_t clients; /* scaffold, feddyn: N, in all, 1 or more; those of a
			    round, where they are more */
	double dyn;      /* feddyn's alpha, above 0 */

	struct staleness staleness;
	double mix; /* fedasync's alpha, above 0 to 1 */
	int buffer; /* fedbuff, 1 or more */

	double trim;   /* 0 to below 0.5 */
	int byzantine; /* krum: how many may be false; n >= 2 byzantine + 3 */
	int keep;      /* multikrum; 0: n - byzantine */
	size_t bytes_max; /* that held updates may take, and as much again
			     the distances of krum; 0: 1 GiB */

	double clip;       /* 0: none */
	double norm_max;   /* an update of a greater norm is refused; 0: none */
	double weight_max; /* and one of more weight; 0: none */
};

#define AGGREGATE_OPTS                                                         \
	{                                                                      \
		.beta1 = 0.9, .beta2 = 0.99, .tau = 1e-3, .local_lr = 0.02,    \
		.q = 1, .clients = 1, .dyn = 0.01,                             \
		.staleness = {STALENESS_POLYNOMIAL, 0.5, 0}, .mix = 0.6,       \
		.buffer = 10, .trim = 0.2,                                     \
	}

/* One client's, borrowed for the call. Whether it is of this round, and the
 * first of its client, only the caller can know. */
struct aggregate_update {
	int64_t client;      /* for messages, and to tell who was chosen */
	const float *values; /* n of them */
	size_t n;
	bool delta;    /* values are differences to the model begun with */
	double weight; /* above 0, as its number of examples; 1: all alike */
	int64_t steps; /* local ones, at least 1 */
	double loss;   /* with the model that it was sent, at least 0 */
	const float *control; /* trained values: how its c has changed */
	int64_t staleness;    /* versions since its model, at least 0 */
};

/* What a round came to. */
struct aggregate_facts {
	size_t updates;
	double weight;         /* their sum */
	double moved;          /* l2 norm of the model's step */
	size_t clipped;        /* updates that were made shorter */
	const int64_t *chosen; /* clients; NULL: of all. Borrowed until begin */
	size_t n_chosen;
};

/* A rule by its name, which is one of AGGREGATE_RULES, for a vector of n values
 * of which the first trained ones are the optimiser's. The rest, running means
 * of normalisation, is averaged by weight, or by the rules that hold all
 * updates treated like the first. Options out of bounds, or a model of which
 * bytes_max holds too few, are INVALID_ARGUMENT. *out is freed by
 * aggregate_free(). */
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
 * that is not finite, has a value beyond AGGREGATE_VALUE_MAX, is too long, or
 * without what the rule needs;
 * RESOURCE_EXHAUSTED above aggregate_most(). It then has no part in the round.
 * (What was summed before stays to within 2^-33 of the weights: good updates do
 * not pay for bad ones with a pass of their own.) */
int aggregate_admit(struct aggregate *a, const struct aggregate_update *u,
		    struct err *err) MUST_CHECK;

/* Updates admitted since begin; how many finish needs, and how many a round can
 * have. */
size_t aggregate_count(const struct aggregate *a);
size_t aggregate_least(const struct aggregate *a);
size_t aggregate_most(const struct aggregate *a);

/* SCAFFOLD's c, of trained values, which clients need beside the model; NULL
 * under other rules. Borrowed; it changes when a round is finished. */
const float *aggregate_control(const struct aggregate *a);

/* Put the next model into global, which begin was given. *facts may be NULL.
 * FAILED_PRECONDITION below the least number of updates; ABORTED when the next
 * model would not be finite, as a learning rate that is too high ends in. After either global, round and state are what they
 * were; after success the round is over. */
int aggregate_finish(struct aggregate *a, float *global,
		     struct aggregate_facts *facts, struct err *err) MUST_CHECK;

/* Add to ts, as tensors "aggregate.NAME", what a rule keeps between rounds, and
 * what an unfinished one has admitted, exactly: a server that saves this with
 * its model goes on as if it had not stopped. */
void aggregate_save(const struct aggregate *a, struct tensors *ts);

/* Take back what such a rule, with as many values, has saved; if a round is
 * begun, from the same model, what had been admitted to it too. From ts, called
 * what in messages. FAILED_PRECONDITION for what another rule has saved, and
 * INVALID_ARGUMENT for anything else, a being as it was. */
int aggregate_restore(struct aggregate *a, const struct tensors *ts,
		      const char *what, struct err *err) MUST_CHECK;

/* Whether all n values are finite. Pure. */
bool aggregate_is_finite(const float *x, size_t n);

/* No value of an update is further from 0 than this, under any rule: no model
 * that learns has such values, and what is below cannot make the next model, or
 * a rule's squares, leave float32 in any number of rounds that will ever be. */
#define AGGREGATE_VALUE_MAX 0x1p48F
bool aggregate_fits(const float *x, size_t n);

#endif
