/* A client whose steps somebody else's program takes: its learner, and what
 * becomes of a round that fails there. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "fl/spoke_impl.h"
#include "plan/hyper.h"

enum {
	ROUNDS_IN_VAIN = 10, /* in a row, then it leaves */
	REASON_MAX = 1000,   /* bytes */
	SHAPES_MAX = 16384,
};

int spoke_exec_open(struct spoke *s, struct err *err)
{
	return s->opts.exec.command
		       ? exec_open(&s->exec, &s->opts.exec, s->opts.db, err)
		       : 0;
}

/* --- the model ------------------------------------------------------------- */

static int take_tensor(const Gfl__V1__FlTensor *t, struct param *p,
		       struct err *err)
{
	if (!*t->name || strlen(t->name) >= sizeof(p->name) ||
	    t->n_shape > sizeof(p->dim) / sizeof(*p->dim))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "tensor \"%.60s\" of %zu dimensions", t->name,
			       t->n_shape);
	str_copy(p->name, sizeof(p->name), t->name);
	p->dims = (int)t->n_shape;
	memcpy(p->dim, t->shape, t->n_shape * sizeof(*p->dim));
	return 0;
}

static int take_shape(struct learner *l, const Gfl__V1__FlSetUpResponse *r,
		      struct err *err)
{
	struct param *params;
	int rc = 0;

	if (r->n_tensors < 1 || r->n_tensors > SHAPES_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "%zu tensors",
			       r->n_tensors);
	params = mem_zero(r->n_tensors, sizeof(*params));
	for (size_t i = 0; !rc && i < r->n_tensors; i++)
		rc = take_tensor(r->tensors[i], &params[i], err);
	if (!rc)
		rc = learner_shape(l, params, (int)r->n_tensors, err);
	free(params);
	return rc;
}

static int check_hyper(const Gfl__V1__FlTraining *t, struct err *err)
{
	bool ok = t->n_hyper <= HYPER_MAX;

	for (size_t i = 0; ok && i < t->n_hyper; i++)
		ok = hyper_ok(t->hyper[i]);
	return ok ? 0
		  : err_set(err, ERR_INVALID_ARGUMENT,
			    "settings that are not up to %d of " HYPER_WANTED,
			    HYPER_MAX);
}

/* What is added to each gradient is not asked of a program. */
static int check_rule(const Gfl__V1__FlTraining *t, struct err *err)
{
	if (!t->control && !(t->dyn > 0))
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION,
		       "its rule changes each gradient (scaffold, feddyn), for "
		       "which a program of --exec has no place");
}

int spoke_exec_learner(struct spoke *s, const Gfl__V1__FlSetUpResponse *r,
		       struct err *err)
{
	const Gfl__V1__FlTraining *t = r->training;
	const struct exec_run how = {
		.node = r->client_id,
		.run_seed = r->seed,
		.own_seed = r->seed ^ rand_mix((uint64_t)r->client_id),
		.model = r->model,
		.hyper = t->hyper,
		.nhyper = t->n_hyper,
		.momentum = t->momentum,
		.weight_decay = t->weight_decay,
		.prox = t->prox,
	};
	int rc = check_rule(t, err) || check_hyper(t, err) ||
		 exec_learner(&s->learner, s->exec, &how, err);

	if (!rc && !s->learner->model)
		rc = take_shape(s->learner, r, err);
	if (!rc)
		return 0;
	learner_free(s->learner);
	s->learner = NULL;
	return (int)err->code;
}

/* --- a round, or evaluation --------------------------------------------------------------- */

/* The server weighs an update by this, unless it weighs all alike. */
static void take_examples(struct spoke_work *w)
{
	struct learner_steps *how = &w->steps;

	w->examples = w->spoke->learner->examples;
	if (w->examples < 1)
		err_set(&w->err, ERR_INVALID_ARGUMENT,
			"its result has no num_examples, which a server wants");
	else if (how->epochs) /* as FedNova counts them */
		how->steps = how->epochs *
			     ((w->examples + how->batch - 1) / how->batch);
}

/* So is a score. */
static void check_score(struct spoke_work *w)
{
	if (w->score.examples < 1)
		err_set(&w->err, ERR_INVALID_ARGUMENT,
			"its result of eval has no num_examples, which a "
			"server wants");
}

enum spoke_exec_next spoke_exec_worked(struct spoke *s, struct spoke_work *w)
{
	char what[40];

	if (!w->err.code && w->scores)
		check_score(w);
	else if (!w->err.code)
		take_examples(w);
	if (!w->err.code) {
		s->vain = 0;
		return SPOKE_EXEC_SEND;
	}
	snprintf(what, sizeof(what), "%s %lld",
		 w->scores ? "evaluation of round" : "round",
		 (long long)s->task.round);
	w->failure = exec_reason(s->exec, what, &w->err, REASON_MAX);
	log_warn("round_failed", "error=%s", w->failure);
	if (w->err.code == ERR_UNAVAILABLE)
		return SPOKE_EXEC_AGAIN;
	s->vain++;
	return SPOKE_EXEC_SEND;
}

bool spoke_exec_hopeless(const struct spoke_work *w)
{
	return w->err.code == ERR_FAILED_PRECONDITION ||
	       w->spoke->vain >= ROUNDS_IN_VAIN;
}
