#include "test.h"

#include "base/rand.h"
#include "fl/correction.h"
#include "nn/optim.h"

enum { DIM = 3 };

/* A client whose loss is 1/2 |p - own|^2: its gradient is p - own. */
static void descend(float *p, const float *own, const float *shift,
		    const struct sgd *sgd, int steps)
{
	float velocity[DIM] = {0}, grad[DIM], anchor[DIM];

	memcpy(anchor, p, sizeof(anchor));
	for (int k = 0; k < steps; k++) {
		for (int i = 0; i < DIM; i++)
			grad[i] = p[i] - own[i] + shift[i];
		sgd_step(sgd, p, velocity, grad, anchor, DIM);
	}
}

/* What a constant gradient of 1 moves a model by. */
static double moved_by(const struct sgd *sgd, int steps)
{
	float p[1] = {0}, velocity[1] = {0}, grad[1] = {1}, anchor[1] = {0};

	for (int k = 0; k < steps; k++)
		sgd_step(sgd, p, velocity, grad, anchor, 1);
	return -(double)p[0];
}

TEST(reach_is_how_far_the_optimiser_goes)
{
	static const float momenta[] = {0, 0.5F, 0.9F}, proxes[] = {0, 0.3F, 5};

	for (int steps = 1; steps <= 40; steps += 3)
		for (int m = 0; m < 3; m++)
			for (int p = 0; p < 3; p++) {
				struct sgd sgd = {.lr = 0.1F,
						  .momentum = momenta[m],
						  .prox = proxes[p]};
				double reach = correction_reach(
					steps, (double)momenta[m],
					(double)proxes[p] * 0.1);

				CHECK_NEAR(reach * 0.1, moved_by(&sgd, steps),
					   1e-4);
			}
	CHECK_NEAR(correction_reach(7, 0, 0), 7, 0);
	CHECK_NEAR(correction_reach(1000000, 0, 0.1), 10, 1e-9);
}

/* Two clients with optima of their own, whose mean is that of both together.
 * They take unlike numbers of steps, so the mean of their models is drawn to
 * the one that takes more; corrected it is not. */
struct two {
	float optimum[2][DIM];
	int steps[2];
	float x[DIM]; /* the server's */
};

static void begin(struct two *t)
{
	*t = (struct two){.optimum = {{1, -4, 2}, {3, 8, -1}},
			  .steps = {3, 30}};
}

static double away(const struct two *t)
{
	double sum = 0;

	for (int i = 0; i < DIM; i++)
		sum += fabs((double)t->x[i] - ((double)t->optimum[0][i] +
					       (double)t->optimum[1][i]) /
						      2);
	return sum;
}

TEST(without_correction_the_busy_client_wins)
{
	const struct sgd sgd = {.lr = 0.05F};
	const float nothing[DIM] = {0};
	struct two t;

	begin(&t);
	for (int round = 0; round < 200; round++) {
		float y[2][DIM];

		for (int c = 0; c < 2; c++) {
			memcpy(y[c], t.x, sizeof(t.x));
			descend(y[c], t.optimum[c], nothing, &sgd, t.steps[c]);
		}
		for (int i = 0; i < DIM; i++)
			t.x[i] = (y[0][i] + y[1][i]) / 2;
	}
	CHECK(away(&t) > 1);
}

static void scaffold_round(struct two *t, const struct sgd *sgd, float *c,
			   float own[2][DIM])
{
	float y[2][DIM], control[2][DIM], shift[DIM];

	for (int k = 0; k < 2; k++) {
		const double reach =
			correction_reach(t->steps[k], (double)sgd->momentum, 0);

		memcpy(y[k], t->x, sizeof(t->x));
		correction_scaffold(c, own[k], DIM, shift);
		descend(y[k], t->optimum[k], shift, sgd, t->steps[k]);
		correction_scaffold_end(t->x, y[k], c, own[k], DIM,
					(double)sgd->lr, reach, control[k]);
	}
	for (int i = 0; i < DIM; i++) {
		t->x[i] = (y[0][i] + y[1][i]) / 2;
		c[i] += (control[0][i] + control[1][i]) / 2;
	}
}

TEST(scaffold_comes_to_the_optimum_of_both)
{
	static const float momenta[] = {0, 0.5F};

	for (int m = 0; m < 2; m++) {
		const struct sgd sgd = {.lr = 0.05F, .momentum = momenta[m]};
		float c[DIM] = {0}, own[2][DIM] = {{0}};
		struct two t;

		begin(&t);
		for (int round = 0; round < 300; round++)
			scaffold_round(&t, &sgd, c, own);
		CHECK(away(&t) < 1e-3);
		for (int i = 0; i < DIM; i++) /* each knows its gradient */
			CHECK_NEAR(own[0][i], t.x[i] - t.optimum[0][i], 1e-3);
	}
}

/* The server's part is aggregate.h's feddyn. */
static void dyn_round(struct two *t, const struct sgd *sgd, float *h,
		      float own[2][DIM])
{
	float y[2][DIM], shift[DIM];

	for (int k = 0; k < 2; k++) {
		memcpy(y[k], t->x, sizeof(t->x));
		correction_dyn(own[k], DIM, shift);
		descend(y[k], t->optimum[k], shift, sgd, t->steps[k] * 10);
		correction_dyn_end(t->x, y[k], own[k], DIM, (double)sgd->prox);
	}
	for (int i = 0; i < DIM; i++) {
		const float mean = (y[0][i] + y[1][i]) / 2;

		h[i] -= sgd->prox * (mean - t->x[i]);
		t->x[i] = mean - h[i] / sgd->prox;
	}
}

TEST(feddyn_comes_to_the_optimum_of_both)
{
	const struct sgd sgd = {.lr = 0.05F, .prox = 0.5F};
	float h[DIM] = {0}, own[2][DIM] = {{0}};
	struct two t;

	begin(&t);
	for (int round = 0; round < 200; round++)
		dyn_round(&t, &sgd, h, own);
	CHECK(away(&t) < 1e-3);
}

TEST(control_may_take_the_place_of_c)
{
	float x[1] = {1}, y[1] = {0.5F}, own[1] = {0.25F}, c[1] = {2};

	correction_scaffold_end(x, y, c, own, 1, 0.1, 5, c);
	CHECK_NEAR(own[0], 0.25 - 2 + 0.5 / 0.5, 1e-6);
	CHECK_NEAR(c[0], -2 + 1, 1e-6);
}
