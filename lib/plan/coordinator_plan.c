/* The plan that follows from the committed state: who exchanges with whom in
 * each of the next rounds. Whoever makes it, and when, it is the same. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/rand.h"
#include "plan/coordinator_impl.h"
#include "plan/matching.h"

int coordinator_index(const int64_t *ids, size_t n, int64_t id)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (ids[mid] < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n && ids[low] == id ? (int)low : -1;
}

static void mates_of(const struct plan_round *r, const int64_t *ids, size_t n,
		     int *mate)
{
	for (size_t v = 0; v < n; v++)
		mate[v] = MATCHING_NONE;
	for (size_t i = 0; i < r->npairs; i++) {
		int a = coordinator_index(ids, n, r->pairs[i].a);
		int b = coordinator_index(ids, n, r->pairs[i].b);

		if (a < 0 || b < 0)
			continue;
		mate[a] = b;
		mate[b] = a;
	}
}

static void recall(struct topology_past *past, const struct coordinator_view *v,
		   const int64_t *ids, size_t n, int64_t t0, int *mate)
{
	int64_t back = (int64_t)(past->window > n ? past->window : n);

	for (int64_t t = t0 > back ? t0 - back : 0; t < t0; t++) {
		const struct plan_round *r = plans_was(v->plans, v->run->id, t);

		if (!r)
			continue;
		mates_of(r, ids, n, mate);
		topology_past_add(past, t, mate);
	}
}

static void fill_round(struct plan_round *r, const int64_t *ids, size_t n,
		       const int *mate)
{
	r->pairs = mem_zero(n / 2 + 1, sizeof(*r->pairs));
	for (size_t i = 0; i < n; i++) {
		if (mate[i] > (int)i)
			r->pairs[r->npairs++] =
				(struct plan_pair){ids[i], ids[mate[i]]};
		else if (mate[i] < 0 && n % 2)
			r->bye = ids[i];
	}
}

size_t coordinator_ids(const struct coordinator_view *v, int64_t *ids)
{
	size_t n = 0;

	for (size_t i = 0; i < v->ntrainers; i++)
		if (v->trainers[i].runs)
			ids[n++] = v->trainers[i].id;
	return n;
}

size_t coordinator_parts(const struct coordinator_view *v)
{
	int64_t *ids = mem_zero(v->ntrainers + 1, sizeof(*ids));
	size_t n = coordinator_ids(v, ids);
	size_t parts = graph_parts(v->graph, ids, n);

	free(ids);
	return parts;
}

/* The chance of a round: its own, whoever plans it and when. */
static uint64_t seed_of(const struct coordinator_run *run, int64_t epoch,
			int64_t t)
{
	uint64_t h = rand_mix(run->seed + 0x9e3779b97f4a7c15u);

	h = rand_mix(h ^ (uint64_t)run->id);
	h = rand_mix(h ^ (uint64_t)epoch);
	return rand_mix(h ^ (uint64_t)t);
}

int64_t coordinator_epoch(const struct coordinator_view *v)
{
	int64_t planned = plans_epoch(v->plans, v->run->id);

	return planned > v->epoch ? planned : v->epoch;
}

struct plan *coordinator_plan(const struct coordinator_view *v, int64_t t0)
{
	const struct coordinator_run *run = v->run;
	int64_t left = run->rounds - t0;
	struct plan *p =
		plan_new(run->id, coordinator_epoch(v), t0,
			 (size_t)(left < PLAN_ROUNDS ? left : PLAN_ROUNDS));
	int64_t *ids = mem_zero(v->ntrainers + 1, sizeof(*ids));
	size_t n = coordinator_ids(v, ids);
	double *bps = mem_zero(n * n + 1, sizeof(*bps)), theta;
	int *mate = mem_zero(n + 1, sizeof(*mate));
	struct topology_past past;

	topology_past_init(&past, n);
	recall(&past, v, ids, n, t0, mate);
	bandwidth_matrix(v->bandwidth, ids, n, bps);
	graph_limit(v->graph, ids, n, bps);
	theta = topology_theta(n, bps);
	for (size_t i = 0; i < p->nrounds; i++) {
		struct plan_round *r = &p->rounds[i];
		struct rand chance = {seed_of(run, p->epoch, t0 + (int64_t)i)};

		r->seed = rand_next(&chance);
		r->c = run->c;
		r->deadline_ms = run->deadline_ms;
		topology_match(run->policy, n, bps, theta, &past,
			       t0 + (int64_t)i, &chance, mate);
		topology_past_add(&past, t0 + (int64_t)i, mate);
		fill_round(r, ids, n, mate);
	}
	topology_past_release(&past);
	free(mate);
	free(bps);
	free(ids);
	return p;
}
