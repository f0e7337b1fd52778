/* plan_bench - what the coordinator decides in: microseconds of processor time
 * per round of a plan, of which a plan has 16, and its bytes per round as the
 * log has them, for each policy and number of trainers. Speeds are random, 1 to
 * 100 Mbit/s; of 14 trainers those of a file.
 *
 *	plan_bench SITES
 *
 * Prints records: plan_us_POLICY_N, plan_bytes_N. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/input.h"
#include "base/mem.h"
#include "node/state_impl.h"
#include "plan/coordinator.h"
#include "plan/speeds.h"

/* What a leader goes by, and what it has planned. */
struct world {
	size_t n;
	struct coordinator_trainer *who;
	struct coordinator_run run;
	struct plans plans;
	struct bandwidth bandwidth;
	struct graph graph;
};

static void know_speeds(struct world *w, const double *bps)
{
	size_t n = w->n, len = 0;
	struct bandwidth_cell *cells = mem_zero(n * n, sizeof(*cells));

	for (size_t i = 0; i < n * n; i++)
		if (i / n != i % n)
			cells[len++] = (struct bandwidth_cell){
				(int64_t)(i / n) + 1, (int64_t)(i % n) + 1,
				bandwidth_level(bps[i])};
	bandwidth_apply(&w->bandwidth, cells, len, 1);
	free(cells);
}

static void world_init(struct world *w, size_t n, const double *bps,
		       enum topology_policy policy)
{
	*w = (struct world){.n = n, .who = mem_zero(n, sizeof(*w->who))};
	for (size_t i = 0; i < n; i++)
		w->who[i] = (struct coordinator_trainer){(int64_t)i + 1, true};
	w->run = (struct coordinator_run){
		.id = 1,
		.rounds = 1000000,
		.seed = 1,
		.c = 100,
		.deadline_ms = 1000,
		.policy = policy,
	};
	know_speeds(w, bps);
}

static void world_release(struct world *w)
{
	plans_release(&w->plans);
	bandwidth_release(&w->bandwidth);
	free(w->who);
}

/* The plan that follows what is planned. */
static struct plan *next(const struct world *w)
{
	const struct coordinator_view v = {
		.epoch = 1,
		.trainers = w->who,
		.ntrainers = w->n,
		.run = &w->run,
		.plans = &w->plans,
		.bandwidth = &w->bandwidth,
		.graph = &w->graph,
	};

	return coordinator_plan(&v, plans_end(&w->plans, 1));
}

/* As many rounds as a leader looks back on, by a policy that costs little. */
static void plan_past(struct world *w, size_t rounds)
{
	const enum topology_policy policy = w->run.policy;

	w->run.policy = TOPOLOGY_RANDOM;
	while (plans_end(&w->plans, 1) < (int64_t)rounds)
		plans_take(&w->plans, next(w));
	w->run.policy = policy;
}

static size_t bytes_of(const struct plan *p)
{
	Gfl__V1__Topology *msg = state_plan_encode(p);
	size_t len = gfl__v1__topology__get_packed_size(msg);

	gfl__v1__topology__free_unpacked(msg, NULL);
	return len;
}

/* Half a second, or one plan. */
static void bench(const char *policy, size_t n, const double *bps)
{
	struct world w;
	clock_t from, spent = 0;
	size_t rounds = 0, bytes = 0;

	world_init(&w, n, bps,
		   (enum topology_policy)topology_policy_of(policy));
	plan_past(&w, n);
	while (spent < CLOCKS_PER_SEC / 2) {
		struct plan *p;

		from = clock();
		p = next(&w);
		spent += clock() - from;
		rounds += p->nrounds;
		bytes += bytes_of(p);
		plans_take(&w.plans, p);
	}
	printf("plan_us_%s_%zu\tgfl\t%.2f\n", policy, n,
	       1e6 * (double)spent / CLOCKS_PER_SEC / (double)rounds);
	if (!strcmp(policy, "auto"))
		printf("plan_bytes_%zu\tgfl\t%.1f\n", n,
		       (double)bytes / (double)rounds);
	world_release(&w);
}

static int speeds(double **bps, size_t n, const char *sites, struct err *err)
{
	struct buf text = BUF_INIT(1 << 20);
	int rc;

	if (n != 14)
		return speeds_make(bps, n, "random:125k:12.5M", 1, err);
	rc = input_read(&text, sites, err);
	if (!rc)
		rc = speeds_parse(bps, n, text.p, sites, err);
	buf_release(&text);
	return rc;
}

int main(int argc, char **argv)
{
	static const char *const policies[] = {"auto",   "saps", "age",
					       "random", "ring", "all"};
	static const size_t numbers[] = {14, 100, 1000};
	struct err err;
	double *bps;

	if (argc != 2) {
		fputs("plan_bench SITES\n", stderr);
		return 2;
	}
	for (size_t i = 0; i < 3; i++) {
		if (speeds(&bps, numbers[i], argv[1], &err)) {
			fprintf(stderr, "plan_bench: %s\n", err.msg);
			return 1;
		}
		for (size_t k = 0; k < 6; k++)
			bench(policies[k], numbers[i], bps);
		free(bps);
	}
	return 0;
}
