#include "test.h"

#include "fl/sim.h"

/* 40 images of 2 x 2 in two classes that are easy to tell apart. */
enum { IMAGES = 40, TRAINERS = 4 };

static uint8_t pixels[IMAGES * 4], labels[IMAGES];
static struct data set = {.count = IMAGES,
			  .shape = {1, 2, 2},
			  .classes = 2,
			  .pixels = pixels,
			  .labels = labels,
			  .images_path = "images",
			  .labels_path = "labels"};
static double bps[TRAINERS * TRAINERS];

static struct sim_opts opts_of(const char *strategy)
{
	for (int i = 0; i < IMAGES; i++) {
		labels[i] = (uint8_t)(i % 2);
		for (int j = 0; j < 4; j++)
			pixels[i * 4 + j] =
				(uint8_t)((j < 2) == (i % 2) ? 200 + i : i);
	}
	for (int i = 0; i < TRAINERS * TRAINERS; i++)
		bps[i] = 1e6;
	return (struct sim_opts){
		.strategy = strategies_find(strategy),
		.policy = TOPOLOGY_AUTO,
		.keep = 1,
		.eta = 0.5,
		.sample = 1,
		.aggregate = "fedavg",
		.server = AGGREGATE_OPTS,
		.model = "input 1 2 2; batchnorm; dense 4; relu; dense 2",
		.train = &set,
		.test = &set,
		.trainers = TRAINERS,
		.rounds = 30,
		.eval_every = 30,
		.steps = {.steps = 5, .batch = 5, .lr = 0.1},
		.seed = 1,
		.bps = bps,
		.step_s = 0.01,
		.threads = 2,
	};
}

static void take(const struct sim_record *r, void *arg)
{
	*(struct sim_record *)arg = *r;
}

/* Running means lie behind the parameters; a server's are the clients' mean. */
TEST(every_strategy_trains_a_model_that_keeps_running_means)
{
	for (const struct strategy *s = strategies; s->name; s++) {
		struct sim_opts o = opts_of(s->name);
		struct sim_record r = {0};
		struct err err;

		if (sim_run(&o, take, &r, &err))
			test_fail(__FILE__, __LINE__, "%s", err.msg);
		CHECK_INT(r.round, 30);
		CHECK(r.accuracy > 0.9);
		CHECK(r.accuracy_average > 0.9);
	}
}
