#include "nn/net.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/engine.h"
#include "nn/loss.h"

struct net {
	const struct model *model;
	const struct engine *engine;
	void *state;
	float *dlogits;
	size_t room; /* floats at dlogits */
	size_t each; /* values between the layers for one example */
};

/* Best first. */
static const struct engine *const engines[] = {
#ifndef GFL_NO_DNNL
	&engine_dnnl,
#endif
	&engine_ref,
};

static const struct engine *engine_by_name(const char *name)
{
	if (!name)
		return engines[0];
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (!strcmp(engines[i]->name, name))
			return engines[i];
	return NULL;
}

int net_open(struct net **out, const struct model *m, const char *engine,
	     struct err *err)
{
	const struct engine *e = engine_by_name(engine);
	struct net *net;

	if (!e)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "no engine \"%s\" in this build", engine);
	net = mem_zero(1, sizeof(*net));
	net->model = m;
	net->engine = e;
	for (int i = 0; i < m->n_layers; i++)
		net->each += shape_len(&m->layers[i].out);
	if (e->open(&net->state, m, err)) {
		free(net);
		return (int)err->code;
	}
	*out = net;
	return 0;
}

void net_close(struct net *net)
{
	if (!net)
		return;
	net->engine->close(net->state);
	free(net->dlogits);
	free(net);
}

const char *net_engine(const struct net *net)
{
	return net->engine->name;
}

void net_threads(struct net *net, int threads)
{
	net->engine->threads(net->state, threads);
}

static int check_batch(const struct net *net, const int32_t *labels, int n,
		       struct err *err)
{
	if (n < 1 || n > NET_BATCH_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a batch of %d, expected 1 to %d", n,
			       NET_BATCH_MAX);
	if (net->each > NET_VALUES_MAX / (size_t)n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a batch of %d has %zu values between the "
			       "layers of each, expected at most %zu in all",
			       n, net->each, NET_VALUES_MAX);
	for (int i = 0; i < n; i++)
		if (labels[i] < 0 || labels[i] >= net->model->classes)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "label %d, but the model has %d classes",
				       (int)labels[i], net->model->classes);
	return 0;
}

int net_grad(struct net *net, float *values, const float *x,
	     const int32_t *labels, int n, float *grads,
	     struct net_score *score, struct err *err)
{
	const int classes = net->model->classes;
	const float *logits;

	if (check_batch(net, labels, n, err) ||
	    net->engine->forward(net->state, values, x, n, true, &logits, err))
		return (int)err->code;
	net->dlogits = mem_grow(net->dlogits, &net->room,
				(size_t)n * (size_t)classes, sizeof(float));
	score->loss = loss_softmax(logits, labels, n, classes, net->dlogits,
				   &score->correct);
	score->n = (size_t)n;
	return net->engine->backward(net->state, values, x, net->dlogits, n,
				     grads, err);
}

/* Without training the engine only reads values. */
int net_eval(struct net *net, const float *values, const float *x,
	     const int32_t *labels, int n, struct net_score *score,
	     struct err *err)
{
	const float *logits;
	size_t correct;

	if (check_batch(net, labels, n, err) ||
	    net->engine->forward(net->state, (float *)values, x, n, false,
				 &logits, err))
		return (int)err->code;
	score->loss += loss_softmax(logits, labels, n, net->model->classes,
				    NULL, &correct);
	score->correct += correct;
	score->n += (size_t)n;
	return 0;
}
