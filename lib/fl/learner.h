/* learner.h - one trainer's model and its local steps.
 *
 * Between calls the parameters are the owner's, to exchange or to save; a call
 * may run on a worker thread, one at a time. Who takes the steps is the kind's
 * affair: learner_open() makes one that computes here. */
#ifndef FL_LEARNER_H
#define FL_LEARNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "nn/data.h"
#include "nn/index.h"
#include "nn/model.h"
#include "nn/optim.h"
#include "nn/sampler.h"
#include "nn/tensors.h"

/* The data of a trainer, borrowed by its learners. */
struct learner_data {
	const struct data *train;
	const struct index *index; /* which of train are its own */
	const struct data *test;   /* NULL: does not evaluate */
	int threads;               /* to compute on; 0 is 1 */
};

/* How it learns: local steps of SGD, at the rate that the schedule has for the
 * round. */
struct learner_steps {
	int64_t steps;
	int64_t epochs; /* so often over its examples instead; 0: steps */
	int batch;
	double lr, momentum, weight_decay, prox;
	bool nesterov;
	struct schedule schedule;
	int64_t round;
	const float *shift; /* model->n values, added to each gradient
			       (correction.h); NULL: none */
};

/* How good a model is on test data: means over its examples. */
struct learner_score {
	int64_t examples; /* 0: not known */
	double loss;      /* NAN: not known */
	double accuracy;
};

struct learner;

/* What a kind of learner does; learner.c calls it. */
struct learner_kind {
	int (*train)(struct learner *l, const struct learner_steps *how,
		     double *loss, struct err *err);
	int (*evaluate)(struct learner *l, struct learner_score *score,
			struct err *err);
	void (*cancel)(struct learner *l);  /* NULL: a call is short */
	void (*release)(struct learner *l); /* what work points to */
};

struct learner {
	const struct learner_kind *kind;
	struct model *model; /* NULL: not known before learner_adopt() */
	float *params;       /* model->len values */
	float *velocity;     /* momentum, model->n; NULL: it keeps none */
	struct sampler sampler;
	int64_t examples;          /* of which its training was; 0: not known */
	const struct index *tests; /* which of the test set; NULL: all of it */
	void *work;                /* of the kind */
};

/* A learner of the model (text or preset), its parameters made from run_seed,
 * its order of examples from own_seed. INVALID_ARGUMENT where model and data do
 * not fit. *out is freed by learner_free(). */
int learner_open(struct learner **out, const char *model,
		 const struct learner_data *data, uint64_t run_seed,
		 uint64_t own_seed, struct err *err) MUST_CHECK;
void learner_free(struct learner *l); /* NULL is nothing */

/* Of a learner without a model: it is what a file has, names, shapes and
 * values. Errors as of checkpoint_bare(). */
int learner_adopt(struct learner *l, const struct tensors *ts, const char *what,
		  struct err *err) MUST_CHECK;

/* Likewise, of names and shapes alone, all values being 0. Errors as of
 * model_bare(). */
int learner_shape(struct learner *l, const struct param *params, int n,
		  struct err *err) MUST_CHECK;

/* Take local steps; *loss is the mean over their examples. A loss that is not
 * finite is ABORTED. */
int learner_train(struct learner *l, const struct learner_steps *how,
		  double *loss, struct err *err) MUST_CHECK;

/* Score the model on the test set. FAILED_PRECONDITION without one. */
int learner_evaluate(struct learner *l, struct learner_score *score,
		     struct err *err) MUST_CHECK;

/* From another thread: the call under way, if one is and can be ended early,
 * fails with CANCELLED, soon, and so does every later one. */
void learner_cancel(struct learner *l);

#endif
