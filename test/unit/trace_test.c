/* trace_test.c - that we train as PyTorch does, step by step: against losses
 * that test/data/torch_trace.py recorded. */
#include "test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/rand.h"
#include "nn/model.h"
#include "nn/net.h"
#include "nn/optim.h"

#include "../data/torch_trace.h"

enum { STEPS = 12, BATCH = 50, INPUTS_MAX = 3072, CLASSES = 10 };

/* The first loss is equal to 6 digits; from then on two ways to add the same
 * numbers drift apart, the faster the deeper the model is: PyTorch's own floats
 * and doubles are 1e-3 apart on resnet20 after five steps. */
static const struct drift {
	const char *model;
	double loss, ends;
} drifts[] = {
	{"softmax", 1e-6, 1e-6},  {"mlp", 1e-6, 1e-6},
	{"cnn", 2e-6, 1e-5},      {"cifar10flnet", 2e-6, 1e-5},
	{"resnet20", 5e-3, 5e-3},
};

static const struct drift *drift_of(const char *model)
{
	const struct drift *d = drifts;

	while (strcmp(d->model, model))
		d++;
	return d;
}

/* The same numbers as batch() of torch_trace.py. */
static void make_batch(int step, size_t inputs, float *x, int32_t *labels)
{
	for (int n = 0; n < BATCH; n++) {
		const uint64_t i = (uint64_t)(step * BATCH + n);

		labels[n] = (int32_t)(rand_mix(i) % CLASSES);
		for (size_t k = 0; k < inputs; k++) {
			uint64_t at = 1000000 + i * inputs + k;
			int lit = (int)(k % CLASSES) == labels[n] ? 127 : 0;

			*x++ = (float)((int)(rand_mix(at) % 128) + lit) / 255;
		}
	}
}

static void check_ends(const struct trace *t, const struct model *m,
		       const float *values)
{
	const double tolerance = drift_of(t->model)->ends;
	double sum = 0, squares = 0, buffers = 0;

	for (size_t i = 0; i < m->n; i++) {
		sum += (double)values[i];
		squares += (double)values[i] * (double)values[i];
	}
	for (size_t i = m->n; i < m->len; i++)
		buffers += (double)values[i];
	CHECK_NEAR(sum, t->sum, 100 * tolerance);
	CHECK_NEAR(sqrt(squares), t->norm, tolerance * t->norm);
	CHECK_NEAR((double)values[m->n - 1], t->last, tolerance);
	CHECK_NEAR(buffers, t->buffers, tolerance * t->buffers);
}

static void check_trace(const struct trace *t, const char *engine, int steps)
{
	const struct sgd sgd = {.lr = 0.02F, .momentum = 0.9F};
	static float x[BATCH * INPUTS_MAX];
	int32_t labels[BATCH];
	float *values, *velocity, *grads;
	struct net_score score;
	struct model *m;
	struct net *net;
	struct err err;

	CHECK(!model_open(&m, t->model, &err));
	CHECK(!net_open(&net, m, engine, &err));
	values = mem_zero(m->len, sizeof(float));
	velocity = mem_zero(m->n, sizeof(float));
	grads = mem_zero(m->n, sizeof(float));
	model_init(m, 1, values);
	for (int step = 0; step < steps; step++) {
		make_batch(step, shape_len(&m->in), x, labels);
		if (net_grad(net, values, x, labels, BATCH, grads, &score,
			     &err))
			test_fail(__FILE__, __LINE__, "%s", err.msg);
		CHECK_NEAR(score.loss / BATCH, t->loss[step],
			   (step ? drift_of(t->model)->loss : 1e-6) *
				   t->loss[step]);
		sgd_model(&sgd, m, values, velocity, grads, NULL);
	}
	if (steps == STEPS)
		check_ends(t, m, values);
	net_close(net);
	model_free(m);
	free(values);
	free(velocity);
	free(grads);
}

static const struct trace *trace_of(const char *model)
{
	const struct trace *t = traces;

	while (strcmp(t->model, model))
		t++;
	return t;
}

/* Plain loops take seconds for a step of the others, which nn_test compares
 * with oneDNN's. */
TEST(ref_has_pytorchs_losses_to_6_digits)
{
	check_trace(trace_of("softmax"), "ref", STEPS);
	check_trace(trace_of("mlp"), "ref", STEPS);
}

#ifndef GFL_NO_DNNL
TEST(dnnl_has_pytorchs_losses_of_dense_models_to_6_digits)
{
	check_trace(trace_of("softmax"), "dnnl", STEPS);
	check_trace(trace_of("mlp"), "dnnl", STEPS);
}

TEST(dnnl_has_pytorchs_losses_of_cnn_to_6_digits)
{
	check_trace(trace_of("cnn"), "dnnl", STEPS);
}

TEST(dnnl_has_pytorchs_losses_of_cifar10flnet_to_6_digits)
{
	check_trace(trace_of("cifar10flnet"), "dnnl", 2);
}

TEST(dnnl_has_pytorchs_losses_of_resnet20)
{
	check_trace(trace_of("resnet20"), "dnnl", STEPS);
}
#else
TEST(ref_has_pytorchs_first_loss_of_cnn_to_6_digits)
{
	check_trace(trace_of("cnn"), "ref", 1);
}
#endif
