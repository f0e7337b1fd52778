#include "fl/learner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/worker.h"
#include "nn/checkpoint.h"
#include "nn/eval.h"
#include "nn/net.h"

/* What lies between a batch and a step. */
struct learner_work {
	struct learner_data data;
	struct net *net;
	float *grads;
	float *anchor; /* the model that steps began with; NULL until asked */
	float *x;      /* room for batch examples */
	int32_t *labels;
	int room;
};

static int open_net(struct learner *l, struct err *err)
{
	struct learner_work *w = l->work;
	int rc = eval_fits(l->model, w->data.train, err);

	if (!rc && w->data.test)
		rc = eval_fits(l->model, w->data.test, err);
	if (!rc)
		rc = net_open(&w->net, l->model, NULL, err);
	if (!rc && w->data.threads > 1)
		net_threads(w->net, w->data.threads);
	return rc;
}

static int train(struct learner *l, const struct learner_steps *how,
		 double *loss, struct err *err);
static int evaluate(struct learner *l, struct learner_score *score,
		    struct err *err);
static void release(struct learner *l);

static const struct learner_kind kind = {
	.train = train,
	.evaluate = evaluate,
	.release = release,
};

int learner_open(struct learner **out, const char *model,
		 const struct learner_data *data, uint64_t run_seed,
		 uint64_t own_seed, struct err *err)
{
	struct learner *l = mem_zero(1, sizeof(*l));
	struct learner_work *w = mem_zero(1, sizeof(*w));
	int rc;

	l->kind = &kind;
	l->work = w;
	w->data = *data;
	rc = model_open(&l->model, model, err);
	if (!rc)
		rc = open_net(l, err);
	if (rc) {
		learner_free(l);
		return rc;
	}
	l->params = mem_zero(l->model->len, sizeof(*l->params));
	l->velocity = mem_zero(l->model->n, sizeof(*l->velocity));
	w->grads = mem_zero(l->model->n, sizeof(*w->grads));
	model_init(l->model, run_seed, l->params);
	sampler_init(&l->sampler, data->index->i, data->index->n, own_seed);
	l->examples = (int64_t)data->index->n;
	*out = l;
	return 0;
}

static void release(struct learner *l)
{
	struct learner_work *w = l->work;

	net_close(w->net);
	free(w->grads);
	free(w->anchor);
	free(w->x);
	free(w->labels);
	free(w);
}

void learner_free(struct learner *l)
{
	if (!l)
		return;
	l->kind->release(l);
	sampler_release(&l->sampler);
	model_free(l->model);
	free(l->params);
	free(l->velocity);
	free(l);
}

/* A batch is never more than all examples. */
static void make_room(struct learner *l, int batch)
{
	struct learner_work *w = l->work;

	if ((size_t)batch > l->sampler.n)
		batch = (int)l->sampler.n;
	if (batch <= w->room)
		return;
	free(w->x);
	free(w->labels);
	w->x = mem_zero((size_t)batch * shape_len(&l->model->in),
			sizeof(*w->x));
	w->labels = mem_zero((size_t)batch, sizeof(*w->labels));
	w->room = batch;
}

static const float *anchor_of(struct learner *l)
{
	struct learner_work *w = l->work;
	const size_t size = l->model->n * sizeof(*w->anchor);

	if (!w->anchor)
		w->anchor = mem_zero(1, size);
	return memcpy(w->anchor, l->params, size);
}

/* The last batch of an epoch has what is left. */
static int64_t steps_of(const struct learner *l,
			const struct learner_steps *how)
{
	const int64_t n = (int64_t)l->sampler.n;

	return how->epochs ? how->epochs * ((n + how->batch - 1) / how->batch)
			   : how->steps;
}

static struct sgd sgd_of(const struct learner_steps *how)
{
	return (struct sgd){
		.lr = (float)schedule_rate(&how->schedule, how->lr, how->round),
		.momentum = (float)how->momentum,
		.weight_decay = (float)how->weight_decay,
		.prox = (float)how->prox,
		.nesterov = how->nesterov,
	};
}

static void add_shift(float *grads, const float *shift, size_t n)
{
	for (size_t i = 0; shift && i < n; i++)
		grads[i] += shift[i];
}

static int train(struct learner *l, const struct learner_steps *how,
		 double *loss, struct err *err)
{
	const struct sgd sgd = sgd_of(how);
	const float *anchor = how->prox > 0 ? anchor_of(l) : NULL;
	const int64_t steps = steps_of(l, how);
	struct learner_work *w = l->work;
	struct net_score score = {0};
	int rc = 0, n;

	make_room(l, how->batch);
	for (int64_t i = 0; !rc && i < steps; i++) {
		const uint32_t *some =
			sampler_next(&l->sampler, how->batch, &n);

		worker_beat();
		data_batch(w->data.train, some, n, w->x, w->labels);
		rc = net_grad(w->net, l->params, w->x, w->labels, n, w->grads,
			      &score, err);
		if (rc)
			break;
		add_shift(w->grads, how->shift, l->model->n);
		sgd_model(&sgd, l->model, l->params, l->velocity, w->grads,
			  anchor);
	}
	*loss = score.n ? score.loss / (double)score.n : 0;
	if (!rc && !isfinite(*loss))
		return err_set(err, ERR_ABORTED,
			       "the loss is not finite: lr %g is too high",
			       how->lr);
	return rc;
}

static int evaluate(struct learner *l, struct learner_score *out,
		    struct err *err)
{
	const uint32_t *which = l->tests ? l->tests->i : NULL;
	struct learner_work *w = l->work;
	struct net_score score = {0};

	if (!w->data.test)
		return err_set(err, ERR_FAILED_PRECONDITION, "no test set");
	if (eval_run(w->net, l->params, w->data.test, which,
		     l->tests ? l->tests->n : 0, &score, err))
		return (int)err->code;
	*out = (struct learner_score){
		.examples = (int64_t)score.n,
		.loss = score.loss / (double)score.n,
		.accuracy = (double)score.correct / (double)score.n,
	};
	return 0;
}

int learner_adopt(struct learner *l, const struct tensors *ts, const char *what,
		  struct err *err)
{
	if (checkpoint_bare(&l->model, ts, what, err))
		return (int)err->code;
	l->params = mem_zero(l->model->len, sizeof(*l->params));
	if (!checkpoint_get_all(ts, l->model, what, l->params, err))
		return 0;
	model_free(l->model);
	free(l->params);
	l->model = NULL;
	l->params = NULL;
	return (int)err->code;
}

int learner_shape(struct learner *l, const struct param *params, int n,
		  struct err *err)
{
	if (model_bare(&l->model, params, n, err))
		return (int)err->code;
	l->params = mem_zero(l->model->len, sizeof(*l->params));
	return 0;
}

int learner_train(struct learner *l, const struct learner_steps *how,
		  double *loss, struct err *err)
{
	return l->kind->train(l, how, loss, err);
}

int learner_evaluate(struct learner *l, struct learner_score *score,
		     struct err *err)
{
	return l->kind->evaluate(l, score, err);
}

void learner_cancel(struct learner *l)
{
	if (l->kind->cancel)
		l->kind->cancel(l);
}
