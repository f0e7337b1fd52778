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
	r->params = mem_zero(r->m->len, sizeof(float));
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

/* Of a batch in training, where batch normalisation looks at the batch. */
static double training_loss(struct rig *r)
{
	float *unused = mem_zero(r->m->n, sizeof(float));
	struct net_score score;
	struct err err;

	if (net_grad(r->net, r->params, r->x, r->labels, r->n, unused, &score,
		     &err))
		test_fail(__FILE__, __LINE__, "%s: %s", r->m->text, err.msg);
	free(unused);
	return score.loss / (double)score.n;
}

/* The gradient is near the slope of the loss; at a bend, which ReLU and
 * maximum have, it is between the slopes on both sides. */
static void check_slope(struct rig *r, const char *text, size_t i)
{
	const float h = 1e-3F, old = r->params[i];
	const double here = training_loss(r), got = (double)r->grads[i];
	double up, down;

	r->params[i] = old + h;
	up = (training_loss(r) - here) / (double)h;
	r->params[i] = old - h;
	down = (here - training_loss(r)) / (double)h;
	r->params[i] = old;
	if (fabs(got - (up + down) / 2) > fabs(up - down) / 2 + 3e-4)
		test_fail(__FILE__, __LINE__,
			  "%s: gradient %zu is %g, the slopes %g and %g", text,
			  i, got, down, up);
}

static void check_gradient(const char *text, const char *engine)
{
	struct net_score score;
	struct err err;
	struct rig r;

	rig_init(&r, text, engine, 5);
	if (net_grad(r.net, r.params, r.x, r.labels, r.n, r.grads, &score,
		     &err))
		test_fail(__FILE__, __LINE__, "%s: %s", text, err.msg);
	CHECK_NEAR(score.loss / (double)score.n, training_loss(&r), 1e-6);
	for (size_t i = 0; i < r.m->n; i++)
		check_slope(&r, text, i);
	rig_release(&r);
}

/* Each kind of layer below another, so that its own gradient passes through,
 * and first of all, where nobody asks for that. */
static const char *const layers[] = {
	"input 7; dense 4",
	"input 7; dense 6; dense 4",
	"input 7; dense 6; relu; dense 4",
	"input 7; relu; dense 4; relu",
	"input 2 5 4; conv 3 3; dense 4",
	"input 2 5 4; conv 3 3 pad 1; conv 2 2 stride 2 nobias; dense 4",
	"input 1 6 6; conv 17 3 pad 2; relu; conv 2 3 stride 2; dense 4",
	"input 2 6 6; conv 3 3 pad 1; maxpool 2; dense 4",
	"input 2 7 7; conv 3 3 pad 1; maxpool 3 stride 2 pad 1; dense 4",
	"input 2 5 5; maxpool 2; dense 4",
	"input 2 4 4; conv 5 3; avgpool; dense 4",
	"input 2 4 4; conv 5 3; flatten; relu; dense 4; flatten",
	"input 2 4 4; flatten; relu; dense 4",
	"input 3 4 4; batchnorm; dense 4",
	"input 2 4 4; conv 5 3 nobias; batchnorm; relu; dense 4",
	"input 7; dense 6; batchnorm; relu; dense 4",
	"input 7; dense 6; maxpool 1; dense 4",
	"input 6 3 3; conv 6 1; lrn 4 alpha 0.5; dense 4",
	"input 6 3 3; conv 6 1; relu; lrn 3 alpha 2; relu; dense 4",
	"input 6 3 3; lrn 5; dense 4",
	"input 2 4 4; conv 3 1; residual; conv 3 3 pad 1; add; dense 4",
	"input 2 4 4; residual; conv 2 3 pad 1; add; relu; dense 4",
	"input 2 4 4; conv 3 1; residual; conv 6 3 stride 2 pad 1; "
	"batchnorm; add; relu; dense 4",
	"input 2 4 4; conv 3 1; residual; relu; conv 3 1; residual; relu; "
	"conv 3 1; add; add; relu; dense 4",
	"input 4; dense 4; residual; residual; dense 4; add; relu; add",
	"input 2 3 3; conv 20 1; residual; residual; conv 20 1; relu; add; "
	"relu; conv 20 1; add; relu; conv 1 1; dense 4",
};

static void check_gradients(const char *engine)
{
	for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++)
		check_gradient(layers[i], engine);
}

TEST(ref_gradient_of_each_layer_is_the_slope_of_the_loss)
{
	check_gradients("ref");
}

#ifndef GFL_NO_DNNL
TEST(dnnl_gradient_of_each_layer_is_the_slope_of_the_loss)
{
	check_gradients("dnnl");
}

static double apart(const float *a, const float *b, size_t n)
{
	double most = 0, size = 0;

	for (size_t i = 0; i < n; i++) {
		most = fmax(most, fabs((double)a[i] - (double)b[i]));
		size = fmax(size, fabs((double)b[i]));
	}
	return most / fmax(size, 1e-3);
}

/* Loss, gradients and buffers of both engines, in training and in use. */
static void check_alike(const char *text, int n, double tolerance)
{
	struct net_score score;
	struct err err;
	struct rig a, b;

	rig_init(&a, text, "dnnl", n);
	rig_init(&b, text, "ref", n);
	CHECK_NEAR(training_loss(&a), training_loss(&b), 1e-5);
	CHECK(!net_grad(a.net, a.params, a.x, a.labels, n, a.grads, &score,
			&err));
	CHECK(!net_grad(b.net, b.params, b.x, b.labels, n, b.grads, &score,
			&err));
	CHECK_NEAR(apart(a.grads, b.grads, a.m->n), 0, tolerance);
	CHECK_NEAR(apart(a.params, b.params, a.m->len), 0, 1e-5);
	CHECK_NEAR(loss_of(&a), loss_of(&b), 1e-4);
	rig_release(&a);
	rig_release(&b);
}

TEST(dnnl_and_ref_agree_on_each_layer)
{
	for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++)
		check_alike(layers[i], 7, 1e-5);
	/* widths that are no multiple of a vector, and that are many */
	check_alike("input 3 9 11; conv 33 3 pad 1; batchnorm; relu; "
		    "maxpool 3 stride 2 pad 1; conv 20 5 pad 2 stride 2; relu; "
		    "lrn 5; conv 50 1; avgpool; dense 12",
		    5, 1e-4);
}

TEST(dnnl_and_ref_agree_on_each_preset)
{
	check_alike("softmax", 9, 1e-5);
	check_alike("mlp", 9, 1e-5);
	check_alike("cnn", 2, 1e-4);
	check_alike("resnet20", 2, 1e-3);
	check_alike("cifar10flnet", 1, 1e-4);
}

TEST(dnnl_gives_the_same_with_more_threads)
{
	struct net_score score;
	struct err err;
	struct rig a, b;

	rig_init(&a, "input 1 12 12; conv 8 3; relu; dense 10", "dnnl", 9);
	rig_init(&b, "input 1 12 12; conv 8 3; relu; dense 10", "dnnl", 9);
	net_threads(b.net, 2);
	for (int i = 0; i < 2; i++) {
		CHECK(!net_grad(a.net, a.params, a.x, a.labels, 9, a.grads,
				&score, &err));
		CHECK(!net_grad(b.net, b.params, b.x, b.labels, 9, b.grads,
				&score, &err));
		CHECK_NEAR(apart(a.grads, b.grads, a.m->n), 0, 1e-5);
		net_threads(b.net, 1);
	}
	rig_release(&a);
	rig_release(&b);
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
		sgd_model(&sgd, r->m, r->params, velocity, r->grads, NULL);
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

/* Pictures of noise with a bar at a place that the label tells. */
static void draw(struct rig *r, uint64_t seed)
{
	struct rand chance = {seed};
	const int side = r->m->in.w;

	for (int i = 0; i < r->n; i++) {
		float *x = r->x + (size_t)(i * side * side);

		r->labels[i] = (int32_t)rand_below(&chance, 4);
		for (int p = 0; p < side * side; p++)
			x[p] = (float)rand_unit(&chance) +
			       (p / side / 2 == r->labels[i] ? 0.7F : 0);
	}
}

/* In use, batch normalisation goes by what it saw in training. */
static void check_learns(const char *engine)
{
	const struct sgd sgd = {.lr = 0.05F, .momentum = 0.9F};
	float *velocity;
	struct net_score score = {0};
	struct err err;
	struct rig r;

	rig_init(&r,
		 "input 1 8 8; conv 6 3 pad 1 nobias; batchnorm; relu; "
		 "maxpool 2; residual; conv 6 3 pad 1; add; relu; dense 4",
		 engine, 32);
	velocity = mem_zero(r.m->n, sizeof(float));
	for (uint64_t step = 0; step < 60; step++) {
		draw(&r, step);
		CHECK(!net_grad(r.net, r.params, r.x, r.labels, r.n, r.grads,
				&score, &err));
		sgd_model(&sgd, r.m, r.params, velocity, r.grads, NULL);
	}
	score = (struct net_score){0};
	for (uint64_t batch = 0; batch < 10; batch++) {
		draw(&r, 1000 + batch);
		CHECK(!net_eval(r.net, r.params, r.x, r.labels, r.n, &score,
				&err));
	}
	CHECK_INT(score.n, 320);
	CHECK(score.correct >= 304);
	free(velocity);
	rig_release(&r);
}

TEST(ref_learns_and_is_as_good_in_use)
{
	check_learns("ref");
}

#ifndef GFL_NO_DNNL
TEST(dnnl_learns_and_is_as_good_in_use)
{
	check_learns("dnnl");
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
	rig_release(&r);
	rig_init(&r, "input 1 64 64; conv 4096 1; avgpool; dense 2", "ref", 65);
	CHECK_INT(net_eval(r.net, r.params, r.x, r.labels, 65, &score, &err),
		  ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "a batch of 65 has 16781314 values between");
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
	const struct sgd sgd = {0.1F, 0.5F, 0.1F, 0, false};
	float p[] = {1}, v[] = {0};
	const float g[] = {2};

	sgd_step(&sgd, p, v, g, NULL, 1);
	CHECK_NEAR((double)v[0], 2.1, 1e-6);
	CHECK_NEAR((double)p[0], 0.79, 1e-6);
	sgd_step(&sgd, p, v, g, NULL, 1);
	CHECK_NEAR((double)v[0], 3.129, 1e-6);
	CHECK_NEAR((double)p[0], 0.4771, 1e-6);
}

TEST(sgd_nesterov_is_pytorchs)
{
	/* torch.optim.SGD(lr=0.1, momentum=0.5, nesterov=True), by hand */
	const struct sgd sgd = {.lr = 0.1F, .momentum = 0.5F, .nesterov = true};
	float p[70], v[70] = {0}, g[70];

	for (int i = 0; i < 70; i++) {
		p[i] = 1;
		g[i] = 2;
	}
	sgd_step(&sgd, p, v, g, NULL, 70);
	CHECK_NEAR((double)v[69], 2, 1e-6);
	CHECK_NEAR((double)p[69], 0.7, 1e-6);
	sgd_step(&sgd, p, v, g, NULL, 70);
	for (int i = 0; i < 70; i++) {
		CHECK_NEAR((double)v[i], 3, 1e-6);
		CHECK_NEAR((double)p[i], 0.35, 1e-6);
	}
}

TEST(sgd_prox_pulls_towards_the_anchor)
{
	const struct sgd sgd = {.lr = 0.5F, .prox = 0.5F};
	float p[70], v[70] = {0}, g[70] = {0}, anchor[70];

	for (int i = 0; i < 70; i++) {
		p[i] = 3;
		anchor[i] = (float)i;
	}
	sgd_step(&sgd, p, v, g, anchor, 70);
	for (int i = 0; i < 70; i++)
		CHECK_NEAR((double)p[i], 3 - 0.25 * (3 - i), 1e-5);
}

TEST(sgd_decays_all_weights_but_batch_normalisations)
{
	const struct sgd sgd = {.lr = 1, .weight_decay = 0.25F};
	float p[21], v[21] = {0}, g[21] = {0};
	struct model *m;
	struct err err;

	CHECK(!model_open(&m, "input 3; dense 2; batchnorm; dense 3", &err));
	CHECK_INT(m->n, 8 + 4 + 9);
	for (int i = 0; i < 21; i++)
		p[i] = 1;
	sgd_model(&sgd, m, p, v, g, NULL);
	for (int i = 0; i < 21; i++)
		CHECK(p[i] == (i >= 8 && i < 12 ? 1 : 0.75F));
	model_free(m);
}

TEST(schedule_falls_by_steps_or_as_a_cosine)
{
	const struct schedule none = {0}, steps = {.decay = 0.5, .every = 10};
	const struct schedule cosine = {.rounds = 100};

	CHECK_NEAR(schedule_rate(&none, 0.1, 1000), 0.1, 0);
	CHECK_NEAR(schedule_rate(&steps, 0.1, 9), 0.1, 1e-12);
	CHECK_NEAR(schedule_rate(&steps, 0.1, 10), 0.05, 1e-12);
	CHECK_NEAR(schedule_rate(&steps, 0.1, 39), 0.0125, 1e-12);
	CHECK_NEAR(schedule_rate(&cosine, 0.1, 0), 0.1, 1e-12);
	CHECK_NEAR(schedule_rate(&cosine, 0.1, 50), 0.05, 1e-12);
	CHECK_NEAR(schedule_rate(&cosine, 0.1, 100), 0, 1e-12);
	CHECK_NEAR(schedule_rate(&cosine, 0.1, 200), 0, 1e-12);
}

TEST(sgd_velocity_without_gradient_ends_at_zero_not_in_denormals)
{
	const struct sgd sgd = {.lr = 0.1F, .momentum = 0.9F};
	float p[100], v[100], g[100] = {0};

	for (int i = 0; i < 100; i++)
		p[i] = v[i] = 1;
	for (int k = 0; k < 1000; k++) {
		sgd_step(&sgd, p, v, g, NULL, 100);
		for (int i = 0; i < 100; i++)
			CHECK(v[i] == 0 || v[i] >= 1e-30F);
	}
	CHECK(v[0] == 0 && v[99] == 0);
	CHECK_NEAR((double)p[99], 0.1, 1e-6);
}
