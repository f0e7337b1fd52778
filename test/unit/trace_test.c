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

enum { STEPS = 12, BATCH = 50, INPUTS = 784, CLASSES = 10 };

/* The same numbers as batch() of torch_trace.py. */
static void make_batch(int step, float *x, int32_t *labels)
{
	for (int n = 0; n < BATCH; n++) {
		const uint64_t i = (uint64_t)(step * BATCH + n);

		labels[n] = (int32_t)(rand_mix(i) % CLASSES);
		for (int k = 0; k < INPUTS; k++) {
			uint64_t at = 1000000 + i * INPUTS + (uint64_t)k;
			int lit = k % CLASSES == labels[n] ? 127 : 0;

			*x++ = (float)((int)(rand_mix(at) % 128) + lit) / 255;
		}
	}
}

static void check_ends(const struct trace *t, const struct model *m,
		       const float *params)
{
	double sum = 0, squares = 0;

	for (size_t i = 0; i < m->n; i++) {
		sum += (double)params[i];
		squares += (double)params[i] * (double)params[i];
	}
	CHECK_NEAR(sum, t->sum, 1e-4);
	CHECK_NEAR(sqrt(squares), t->norm, 1e-6 * t->norm);
	CHECK_NEAR((double)params[m->n - 1], t->last, 1e-6);
}

static void check_trace(const struct trace *t, const char *engine)
{
	const struct sgd sgd = {.lr = 0.02F, .momentum = 0.9F};
	static float x[BATCH * INPUTS];
	int32_t labels[BATCH];
	float *params, *velocity, *grads;
	struct net_score score;
	struct model *m;
	struct net *net;
	struct err err;

	CHECK(!model_open(&m, t->model, &err));
	CHECK(!net_open(&net, m, engine, &err));
	params = mem_zero(m->len, sizeof(float));
	velocity = mem_zero(m->n, sizeof(float));
	grads = mem_zero(m->n, sizeof(float));
	model_init(m, 1, params);
	for (int step = 0; step < STEPS; step++) {
		make_batch(step, x, labels);
		CHECK(!net_grad(net, params, x, labels, BATCH, grads, &score,
				&err));
		CHECK_NEAR(score.loss / BATCH, t->loss[step],
			   1e-6 * t->loss[step]);
		sgd_model(&sgd, m, params, velocity, grads, NULL);
	}
	check_ends(t, m, params);
	net_close(net);
	model_free(m);
	free(params);
	free(velocity);
	free(grads);
}

static void check_traces(const char *engine)
{
	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++)
		check_trace(&traces[i], engine);
}

TEST(ref_has_pytorchs_losses_to_6_digits)
{
	check_traces("ref");
}

#ifndef GFL_NO_DNNL
TEST(dnnl_has_pytorchs_losses_to_6_digits)
{
	check_traces("dnnl");
}
#endif
