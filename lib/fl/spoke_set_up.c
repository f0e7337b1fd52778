/* How a trainer becomes the client of a server: it says what it has, and learns
 * how to train. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "fl/spoke_impl.h"

enum {
	SET_UP_MS = 10000,
	/* as gfl-server takes them: products fit */
	EPOCHS_MAX = 1 << 20,
	STEPS_MAX = 1 << 30,
	BATCH_MAX = 65536,
};

void spoke_set_up_again(void *arg)
{
	struct spoke *s = arg;

	if (!s->asking && !s->leaving)
		spoke_set_up(s);
}

static int take_training(struct spoke *s, const Gfl__V1__FlTraining *t,
			 struct err *err)
{
	bool ok = t && (t->epochs > 0) != (t->steps > 0) && t->epochs >= 0 &&
		  t->steps >= 0 && t->epochs <= EPOCHS_MAX &&
		  t->steps <= STEPS_MAX && t->batch > 0 &&
		  t->batch <= BATCH_MAX && t->lr > 0 && isfinite(t->lr) &&
		  t->momentum >= 0 && t->momentum < 1 && t->weight_decay >= 0 &&
		  isfinite(t->weight_decay) && t->prox >= 0 &&
		  isfinite(t->prox) && t->lr_decay >= 0 && t->lr_decay <= 1 &&
		  t->lr_decay_every >= 0 && t->lr_cosine >= 0 &&
		  (t->code == GFL__V1__FL_CODE__GRADIENT_UPDATE ||
		   t->code == GFL__V1__FL_CODE__PARAMETER_UPDATE) &&
		  t->scheme <= GFL__V1__SCHEME__INDEXED &&
		  t->dtype <= GFL__V1__DTYPE__INT8 &&
		  t->codec <= GFL__V1__CODEC__ZSTD &&
		  (t->c > 0 || t->scheme == GFL__V1__SCHEME__DENSE) &&
		  t->dyn >= 0 && isfinite(t->dyn) &&
		  (!t->control ||
		   (t->dyn == 0 &&
		    t->code == GFL__V1__FL_CODE__PARAMETER_UPDATE));

	if (!ok)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the server's way of training makes no sense");
	s->training = *t; /* but for what is gone with it */
	s->training.hyper = NULL;
	s->training.n_hyper = 0;
	return 0;
}

static const char *model_name(const struct spoke *s)
{
	const char *text = s->learner->model->text;

	return *text ? text : EXEC_MODEL;
}

static int open_learner(struct spoke *s, const Gfl__V1__FlSetUpResponse *r,
			struct err *err)
{
	if (s->exec)
		return spoke_exec_learner(s, r, err);
	if (!strcmp(r->model, EXEC_MODEL))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "it is for trainers that were started with "
			       "--exec or --exec-serve");
	return learner_open(&s->learner, r->model, &s->data, r->seed,
			    r->seed ^ rand_mix((uint64_t)r->client_id), err);
}

/* A server that has started again may have another model: not for us. */
static int take_set_up(struct spoke *s, const Gfl__V1__FlSetUpResponse *r,
		       struct err *err)
{
	if (take_training(s, r->training, err))
		return (int)err->code;
	if (!str_is_id(r->session) || r->client_id < 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the server gave no id or session");
	if (!s->learner && open_learner(s, r, err))
		return err_wrap(err, "the server's model");
	snprintf(s->layout, sizeof(s->layout), "%016" PRIx64,
		 s->learner->model->layout);
	if (strcmp(s->layout, r->layout_hash) != 0)
		return err_set(
			err, ERR_FAILED_PRECONDITION,
			"the server has the model \"%s\", we have \"%s\"",
			r->model, model_name(s));
	s->id = r->client_id;
	s->term = r->term;
	s->seed = r->seed;
	str_copy(s->session, sizeof(s->session), r->session);
	return 0;
}

/* What will be the same when it is asked again. */
static bool is_final(enum err_code code)
{
	return code == ERR_INVALID_ARGUMENT || code == ERR_UNIMPLEMENTED ||
	       code == ERR_PERMISSION_DENIED || code == ERR_UNAUTHENTICATED;
}

static void set_up_done(const struct err *err, const ProtobufCMessage *out,
			void *arg)
{
	struct spoke *s = arg;
	struct err why;

	s->asking = NULL;
	if (err && !is_final(err->code)) {
		log_warn("set_up_failed", "server=%s error=%s", spoke_url(s),
			 err->msg);
		s->at = (s->at + 1) % s->opts.nurls;
		spoke_later(s, err, spoke_set_up_again);
		return;
	}
	if (err) {
		why = *err;
		err_wrap(&why, "set up at %s", spoke_url(s));
		spoke_fail(s, &why);
		return;
	}
	if (take_set_up(s, (const Gfl__V1__FlSetUpResponse *)out, &why)) {
		err_wrap(&why, "set up at %s", spoke_url(s));
		spoke_fail(s, &why);
		return;
	}
	log_info("set_up", "server=%s client=%lld model=%s", spoke_url(s),
		 (long long)s->id, model_name(s));
	server_ready(s->server, true);
	history_served(s->history);
	s->adrift = false;
	s->away_ms = 0;
	spoke_task_arrive(s);
	spoke_ask(s);
}

int64_t spoke_tests(const struct spoke *s, int logical)
{
	if (s->exec)
		return exec_tests(s->exec) ? -1 : 0;
	return s->data.test && !logical ? (int64_t)s->data.test->count : 0;
}

void spoke_set_up(struct spoke *s)
{
	const struct rpc_opts opts = {
		.timeout_ms = spoke_has_others(s) ? SPOKE_SOON_MS : SET_UP_MS};
	int64_t *examples = mem_zero((size_t)s->opts.nclients, 8);
	int64_t *tests = mem_zero((size_t)s->opts.nclients, 8);
	Gfl__V1__FlSetUpRequest in;

	s->adrift = true;
	spoke_task_part(s);
	for (int i = 0; i < s->opts.nclients; i++) {
		examples[i] = (int64_t)s->opts.indexes[i].n;
		tests[i] = spoke_tests(s, i);
	}
	gfl__v1__fl_set_up_request__init(&in);
	in.instance_id = (char *)(uintptr_t)history_me(s->history)->instance_id;
	in.examples = examples;
	in.n_examples = (size_t)s->opts.nclients;
	in.test_examples = tests;
	in.n_test_examples = (size_t)s->opts.nclients;
	in.active = s->opts.active;
	s->asking = client_call(s->client, spoke_url(s), RPC_FL_SET_UP,
				&in.base, &opts, set_up_done, s);
	free(examples);
	free(tests);
}
