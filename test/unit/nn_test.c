#include "test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/rand.h"
#include "nn/loss.h"
#include "nn/model.h"
#include "nn/net.h"
#include "nn/optim.h"

/* A model with values and a batch, all from a seed. */
struct rig {
	struct model *m;
	struct net *net;
	float *params, *grads, *x;
	int32_t *labels;
	int n;
};

static void rig_init(struct rig *r, const char *text, const char *engine, int n)
{
	struct rand chance = {7};
	struct err err;

	CHECK(!model_open(&r->m, text, &err));
	CHECK(!net_open(&r->net, r->m, engine, &err));
	CHECK_STR(net_engine(r->net), engine);
	r->n = n;
	r->params = mem_zero(r->m->n, sizeof(float));
	r->grads = mem_zero(r->m->n, sizeof(float));
	r->x = mem_zero((size_t)n * shape_len(&r->m->in), sizeof(float));
	r->labels = mem_zero((size_t)n, sizeof(*r->labels));
	model_init(r->m, 1, r->params);
	for (size_t i = 0; i < (size_t)n * shape_len(&r->m->in); i++)
		r->x[i] = (float)(2 * rand_unit(&chance) - 1);
	for (int i = 0; i < n; i++)
		r->labels[i] =
			(int32_t)rand_below(&chance, (uint64_t)r->m->classes);
}

static void rig_release(struct rig *r)
{
	net_close(r->net);
	model_free(r->m);
	free(r->params);
	free(r->grads);
	free(r->x);
	free(r->labels);
}

static double loss_of(struct rig *r)
{
	struct net_score score = {0};
	struct err err;

	CHECK(!net_eval(r->net, r->params, r->x, r->labels, r->n, &score,
			&err));
	return score.loss / (double)score.n;
}

/* Each gradient is near the slope of the loss about it. */
static void check_gradient(const char *text, const char *engine)
{
	const float h = 1e-3F;
	struct net_score score;
	struct err err;
	struct rig r;

	rig_init(&r, text, engine, 5);
	CHECK(!net_grad(r.net, r.params, r.x, r.labels, r.n, r.grads, &score,
			&err));
	CHECK_NEAR(score.loss / (double)score.n, loss_of(&r), 1e-6);
	for (size_t i = 0; i < r.m->n; i++) {
		const float old = r.params[i];
		double up, down;

		r.params[i] = old + h;
		up = loss_of(&r);
		r.params[i] = old - h;
		down = loss_of(&r);
		r.params[i] = old;
		CHECK_NEAR((double)r.grads[i], (up - down) / (2 * (double)h),
			   2e-4);
	}
	rig_release(&r);
}

TEST(ref_gradient_of_dense_is_the_slope_of_the_loss)
{
	check_gradient("input 7; dense 4", "ref");
	check_gradient("input 7; dense 6; dense 4", "ref");
}

TEST(ref_gradient_of_relu_is_the_slope_of_the_loss)
{
	check_gradient("input 7; dense 6; relu; dense 4", "ref");
	check_gradient("input 7; relu; dense 4; relu", "ref");
}

#ifndef GFL_NO_DNNL
TEST(dnnl_gradients_are_the_slope_of_the_loss)
{
	check_gradient("input 7; dense 4", "dnnl");
	check_gradient("input 7; dense 6; relu; dense 5; relu; dense 4",
		       "dnnl");
	check_gradient("input 7; relu; dense 4; relu", "dnnl");
}

static void train(struct rig *r, int steps)
{
	const struct sgd sgd = {.lr = 0.05F, .momentum = 0.9F};
	float *velocity = mem_zero(r->m->n, sizeof(float));
	struct net_score score;
	struct err err;

	for (int i = 0; i < steps; i++) {
		/* sizes of batch that vary more than any cache of them */
		CHECK(!net_grad(r->net, r->params, r->x, r->labels,
				r->n - i % 7, r->grads, &score, &err));
		sgd_step(&sgd, r->params, velocity, r->grads, r->m->n);
	}
	free(velocity);
}

TEST(dnnl_and_ref_agree_after_steps)
{
	struct rig a, b;
	double worst = 0;

	rig_init(&a, "mlp", "dnnl", 20);
	rig_init(&b, "mlp", "ref", 20);
	CHECK_NEAR(loss_of(&a), loss_of(&b), 1e-6);
	train(&a, 20);
	train(&b, 20);
	for (size_t i = 0; i < a.m->n; i++)
		worst = fmax(worst,
			     fabs((double)a.params[i] - (double)b.params[i]));
	CHECK_NEAR(worst, 0, 1e-5);
	CHECK_NEAR(loss_of(&a), loss_of(&b), 1e-5);
	CHECK(loss_of(&a) < 1);
	rig_release(&a);
	rig_release(&b);
}
#endif

TEST(net_refuses_a_label_beyond_the_classes_and_an_unknown_engine)
{
	struct net_score score = {0};
	struct net *net;
	struct err err;
	struct rig r;

	rig_init(&r, "input 3; dense 2", "ref", 2);
	r.labels[1] = 2;
	CHECK_INT(net_eval(r.net, r.params, r.x, r.labels, 2, &score, &err),
		  ERR_INVALID_ARGUMENT);
	CHECK_STR(err.msg, "label 2, but the model has 2 classes");
	CHECK_INT(net_open(&net, r.m, "abacus", &err), ERR_INVALID_ARGUMENT);
	CHECK_STR(err.msg, "no engine \"abacus\" in this build");
	rig_release(&r);
}

TEST(loss_of_large_logits_is_finite)
{
	const float logits[] = {1000, -1000, 0, 0};
	const int32_t labels[] = {0, 1};
	float d[4];
	size_t correct;

	CHECK_NEAR(loss_softmax(logits, labels, 2, 2, d, &correct), log(2),
		   1e-12);
	CHECK_INT(correct, 1); /* of equals the first is the answer */
	CHECK_NEAR((double)d[0], 0, 1e-12);
	CHECK_NEAR((double)d[2], 0.25, 1e-7);
	CHECK_NEAR((double)d[3], -0.25, 1e-7);
}

TEST(sgd_is_pytorchs_with_momentum_and_weight_decay)
{
	/* torch.optim.SGD(lr=0.1, momentum=0.5, weight_decay=0.1), by hand */
	const struct sgd sgd = {0.1F, 0.5F, 0.1F};
	float p[] = {1}, v[] = {0};
	const float g[] = {2};

	sgd_step(&sgd, p, v, g, 1);
	CHECK_NEAR((double)v[0], 2.1, 1e-6);
	CHECK_NEAR((double)p[0], 0.79, 1e-6);
	sgd_step(&sgd, p, v, g, 1);
	CHECK_NEAR((double)v[0], 3.129, 1e-6);
	CHECK_NEAR((double)p[0], 0.4771, 1e-6);
}

TEST(sgd_velocity_without_gradient_ends_at_zero_not_in_denormals)
{
	const struct sgd sgd = {0.1F, 0.9F, 0};
	float p[100], v[100], g[100] = {0};

	for (int i = 0; i < 100; i++)
		p[i] = v[i] = 1;
	for (int k = 0; k < 1000; k++) {
		sgd_step(&sgd, p, v, g, 100);
		for (int i = 0; i < 100; i++)
			CHECK(v[i] == 0 || v[i] >= 1e-30F);
	}
	CHECK(v[0] == 0 && v[99] == 0);
	CHECK_NEAR((double)p[99], 0.1, 1e-6);
}
