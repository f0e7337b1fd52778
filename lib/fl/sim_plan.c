#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "fl/sim_impl.h"

static double speed(const struct sim *s, int i, int j)
{
	size_t n = (size_t)s->o.trainers;
	double there = s->o.bps[(size_t)i * n + (size_t)j];
	double back = s->o.bps[(size_t)j * n + (size_t)i];

	return there < back ? there : back;
}

/* The site from which the slowest is reached fastest, for the good of FedAvg.
 */
static int server_of(const struct sim *s)
{
	double best = -1;
	int server = 0;

	for (int i = 0; i < s->o.trainers; i++) {
		double least = INFINITY;

		for (int j = 0; j < s->o.trainers; j++)
			if (j != i && speed(s, i, j) < least)
				least = speed(s, i, j);
		if (least > best) {
			best = least;
			server = i;
		}
	}
	return server;
}

/* The replicated matrix, as measurements would have made it. */
static void fill_bandwidth(struct sim *s)
{
	size_t n = (size_t)s->o.trainers, len = 0;
	struct bandwidth_cell *cells = mem_zero(n * n + 1, sizeof(*cells));

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			if (i != j)
				cells[len++] = (struct bandwidth_cell){
					.from = (int64_t)i + 1,
					.to = (int64_t)j + 1,
					.level = bandwidth_level(
						s->o.bps[i * n + j]),
				};
	bandwidth_apply(&s->bandwidth, cells, len, 1);
	free(cells);
}

void sim_plan_open(struct sim *s)
{
	size_t n = (size_t)s->o.trainers;

	s->mate = mem_zero(n, sizeof(*s->mate));
	s->active = mem_zero(n, sizeof(*s->active));
	s->who = mem_zero(n, sizeof(*s->who));
	for (size_t i = 0; i < n; i++)
		s->who[i] = (struct coordinator_trainer){(int64_t)i + 1, true};
	s->run = (struct coordinator_run){
		.id = 1,
		.rounds = s->o.rounds,
		.seed = s->o.seed,
		.c = s->mix.c,
		.deadline_ms = 1000,
		.policy = s->o.policy,
	};
	fill_bandwidth(s);
	s->mix.mate = s->mate;
	s->mix.active = s->active;
	s->mix.server = server_of(s);
}

static void choose_pairs(struct sim *s, int64_t t, struct rand *r)
{
	const struct graph anybody = {0};
	const struct coordinator_view view = {
		.epoch = 1,
		.trainers = s->who,
		.ntrainers = (size_t)s->o.trainers,
		.run = &s->run,
		.plans = &s->plans,
		.bandwidth = &s->bandwidth,
		.graph = &anybody,
	};
	const struct plan_round *round;

	if (t == plans_end(&s->plans, 1))
		plans_take(&s->plans, coordinator_plan(&view, t));
	round = plans_at(&s->plans, 1, 0, t, NULL);
	for (int i = 0; i < s->o.trainers; i++)
		s->mate[i] = -1;
	for (size_t i = 0; i < round->npairs; i++) {
		int a = (int)round->pairs[i].a - 1,
		    b = (int)round->pairs[i].b - 1;

		if (rand_unit(r) < s->o.miss)
			continue;
		s->mate[a] = b;
		s->mate[b] = a;
	}
	s->mix.seed = round->seed;
}

/* At least one, each with the same chance. */
static void choose_sample(struct sim *s, struct rand *r)
{
	int n = s->o.trainers, want = (int)ceil(s->o.sample * n - 1e-9);

	for (int i = 0; i < n; i++) {
		s->active[i] =
			rand_below(r, (uint64_t)(n - i)) < (uint64_t)want;
		want -= s->active[i];
	}
}

void sim_plan_round(struct sim *s, int64_t t)
{
	struct rand r = {rand_mix(s->o.seed * 3 + 1) ^ rand_mix((uint64_t)t)};

	for (int i = 0; i < s->o.trainers; i++)
		s->active[i] = true;
	if (s->o.strategy->links == LINKS_PAIRS)
		choose_pairs(s, t, &r);
	if (s->o.strategy->links == LINKS_SERVER)
		choose_sample(s, &r);
	s->mix.t = t;
}

void sim_clock_steps(struct sim *s)
{
	for (int i = 0; i < s->o.trainers; i++)
		if (s->active[i])
			s->trainer[i].clock_s +=
				(double)s->o.steps.steps * s->o.step_s;
}

static double latest(const struct sim *s)
{
	double last = 0;

	for (int i = 0; i < s->o.trainers; i++)
		if (s->trainer[i].clock_s > last)
			last = s->trainer[i].clock_s;
	return last;
}

/* A transfer begins when both ends are ready. Links do not disturb each other,
 * both ways of one included; but what a client of a server sends, it can send
 * only when it has what the server sent. */
void sim_clock_transfers(struct sim *s)
{
	size_t n = (size_t)s->o.trainers;
	double *ready = mem_zero(n, sizeof(*ready)), all = latest(s);

	for (size_t i = 0; i < n; i++)
		ready[i] = s->o.strategy->barrier ? all : s->trainer[i].clock_s;
	for (size_t k = 0; k < s->mix.ntransfers; k++) {
		const struct strategy_transfer *x = &s->mix.transfer[k];
		struct sim_trainer *a = &s->trainer[x->from];
		struct sim_trainer *b = &s->trainer[x->to];
		double from = ready[x->from], took;

		if (ready[x->to] > from)
			from = ready[x->to];
		took = x->bytes / speed(s, x->from, x->to);
		a->bytes += x->bytes;
		if (a->clock_s < from + took)
			a->clock_s = from + took;
		if (b->clock_s < from + took)
			b->clock_s = from + took;
		if (s->o.strategy->links == LINKS_SERVER &&
		    x->from == s->mix.server)
			ready[x->to] = from + took;
	}
	all = latest(s);
	for (size_t i = 0; i < n && s->o.strategy->barrier; i++)
		s->trainer[i].clock_s = all;
	free(ready);
}

void sim_plan_release(struct sim *s)
{
	plans_release(&s->plans);
	bandwidth_release(&s->bandwidth);
	free(s->who);
	free(s->mate);
	free(s->active);
}
