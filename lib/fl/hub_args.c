#include "fl/hub_args.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "fl/exec.h"
#include "plan/hyper.h"

Gfl__V1__FlTraining hub_args_training(const struct hub_args *a)
{
	Gfl__V1__FlTraining t;

	gfl__v1__fl_training__init(&t);
	t.epochs = a->steps ? 0 : a->epochs;
	t.steps = a->steps;
	t.batch = a->batch;
	t.lr = a->lr;
	t.momentum = a->momentum;
	t.weight_decay = a->weight_decay;
	t.prox = a->prox;
	t.nesterov = a->nesterov;
	t.lr_decay = a->lr_decay;
	t.lr_decay_every = a->lr_decay_every;
	t.lr_cosine = a->lr_cosine;
	t.scheme = (Gfl__V1__Scheme)a->scheme;
	t.dtype = (Gfl__V1__Dtype)a->dtype;
	t.codec = (Gfl__V1__Codec)a->codec;
	t.c = (uint32_t)lround(1 / a->keep);
	t.hyper = (char **)(uintptr_t)a->hyper;
	t.n_hyper = a->hp.n;
	return t;
}

static struct aggregate_opts rule_of(const struct hub_args *a)
{
	struct aggregate_opts r = a->aggregate.opts;

	r.local_lr = a->lr;
	r.local_momentum = a->momentum;
	r.local_prox = a->prox;
	r.clients = a->min_participants;
	return r;
}

/* Updates of any age, one by one, have no plain mean. */
static const char *rule_name(const struct hub_args *a)
{
	const char *rule = a->aggregate.rule;

	return a->mode && !strcmp(rule, "fedavg") ? "fedasync" : rule;
}

/* A model that only clients compute. */
static int check_exec(const struct hub_args *a, struct err *err)
{
	if (strcmp(a->model, EXEC_MODEL) != 0)
		return 0;
	if (!a->init)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--model exec needs --init, a file with its "
			       "tensors");
	if (a->test)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--test goes with a model that is built in, not "
			       "with --model exec");
	return 0;
}

static int take_hyper(struct hub_args *a, struct err *err)
{
	for (size_t i = 0; i < a->hp.n; i++) {
		a->hyper[i] = hyper_of(a->hp.at[i].name, a->hp.at[i].text);
		if (!hyper_ok(a->hyper[i]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "--hp %s: expected " HYPER_WANTED,
				       a->hyper[i]);
	}
	return 0;
}

struct arg {
	bool given;
	const char *name;
};

static const char *first_given(const struct arg *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (all[i].given)
			return all[i].name;
	return NULL;
}

/* Without rounds nobody is chosen for one. */
static int check_async(const struct hub_args *a, struct err *err)
{
	const struct arg all[] = {
		{a->sample < 1, "--sample"},
		{a->sampler != 0, "--sampler"},
		{a->choices != 0, "--choices"},
		{a->fraction < 1, "--fraction"},
		{a->on[HUB_ON_ROUND] != NULL, "--on-round"},
	};
	const char *name = first_given(all, sizeof(all) / sizeof(*all));

	if (!a->mode || !name)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "%s is for --mode sync: without rounds whoever asks is "
		       "given the model",
		       name);
}

int hub_args_parse(struct hub_args *a, struct err *err)
{
	if (!a->steps && !a->epochs)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "one of --epochs and --steps is above 0");
	if (check_exec(a, err) || take_hyper(a, err) || check_async(a, err))
		return (int)err->code;
	if (a->target > 0 && !a->test && !a->clients_eval_every)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--target-accuracy needs --test or "
			       "--clients-eval-every");
	if (!(a->fraction > 0) || !(a->sample > 0) || !(a->eval_sample > 0) ||
	    !(a->lr > 0))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--fraction, --sample, --eval-sample and --lr "
			       "are above 0");
	return aggregate_args_parse(&a->aggregate, err);
}

const char *hub_args_trains(const struct hub_args *a)
{
	const struct arg all[] = {
		{a->mode != 0, "--mode"},
		{strcmp(a->model, "mlp") != 0, "--model"},
		{a->init != NULL, "--init"},
		{a->test != NULL, "--test"},
		{strcmp(a->aggregate.rule, "fedavg") != 0, "--aggregate"},
		{a->on[HUB_ON_SETUP] != NULL, "--on-setup"},
		{a->on[HUB_ON_ROUND] != NULL, "--on-round"},
		{a->on[HUB_ON_RECEIVE] != NULL, "--on-receive"},
		{a->on[HUB_ON_SHUTDOWN] != NULL, "--on-shutdown"},
	};

	return first_given(all, sizeof(all) / sizeof(*all));
}

int hub_args_opts(struct hub_args *a, struct hub_opts *out, struct err *err)
{
	*out = (struct hub_opts){
		.model = a->model,
		.init = a->init,
		.seed = (uint64_t)a->seed,
		.async = a->mode,
		.rounds = a->rounds,
		.target = a->target > 0 ? a->target : (double)NAN,
		.max_clients = a->max_clients,
		.silence_ms = a->silence_ms,
		.min_participants = a->min_participants,
		.fraction = a->fraction,
		.sample = a->sample,
		.sampler = (enum cohort_rule)a->sampler,
		.choices = a->choices ? a->choices : INT64_MAX,
		.deadline_ms = a->deadline_ms,
		.rule = rule_name(a),
		.aggregate = rule_of(a),
		.uniform = a->weights,
		.training = hub_args_training(a),
		.eval_every = a->eval_every,
		.clients_eval_every = a->clients_eval_every,
		.eval_sample = a->eval_sample,
		.eval_deadline_ms = a->eval_deadline_ms,
		.handler_ms = a->handler_ms,
	};
	static const char *const stages[HUB_STAGES] = {
		[HUB_ON_SETUP] = "setup",
		[HUB_ON_ROUND] = "round",
		[HUB_ON_RECEIVE] = "receive",
		[HUB_ON_SHUTDOWN] = "shutdown",
	};

	for (int i = 0; i < HUB_STAGES; i++) {
		if (a->on[i] && guard_open(&a->commands[i], a->on[i], err))
			return err_wrap(err, "--on-%s", stages[i]);
		out->stages[i].command = a->commands[i];
	}
	return 0;
}

void hub_args_release(struct hub_args *a)
{
	for (size_t i = 0; i < a->hp.n; i++)
		free(a->hyper[i]);
	for (int i = 0; i < HUB_STAGES; i++)
		command_free(a->commands[i]);
}
