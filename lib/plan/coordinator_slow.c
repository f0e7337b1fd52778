/* Links that turned out slow while the rounds ahead count on them: then these
 * are planned anew, as an epoch of the version of the speeds. What that costs,
 * a round or so of who is on the way, it has to be worth. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "plan/coordinator_impl.h"

enum {
	LOOK_TRAINERS = 4,       /* for each so many, a ms between two looks */
	TIMES = 2,               /* measured, before we believe it */
	APART = PLAN_ROUNDS / 2, /* rounds between two such plans */
	SLOWER = 4,              /* than what pairs of all can be made with */
	LATE_MS = 200,           /* so much longer an exchange takes */
};

struct ahead {
	const struct coordinator *c;
	const struct coordinator_run *run;
	int64_t *ids;
	size_t n;
	double *bps, theta;
};

static bool is_slow(const struct ahead *a, const struct plan_pair *p)
{
	int i = coordinator_index(a->ids, a->n, p->a);
	int j = coordinator_index(a->ids, a->n, p->b);
	double bps = i < 0 || j < 0 ? 0 : a->bps[(size_t)i * a->n + (size_t)j];

	return bps > 0 && bps * SLOWER < a->theta &&
	       a->run->exchange_bytes * (1 / bps - 1 / a->theta) * 1000 >=
		       LATE_MS &&
	       meter_times(&a->c->meter, p->a, p->b) >= TIMES;
}

/* Whether a planned round from t on has a pair that is slow by speeds b. */
static bool slow_ahead(const struct coordinator *c,
		       const struct coordinator_view *v,
		       const struct bandwidth *b, int64_t t)
{
	struct ahead a = {.c = c, .run = v->run};
	const struct plan_round *r;
	bool slow = false;

	a.ids = mem_zero(v->ntrainers + 1, sizeof(*a.ids));
	a.n = coordinator_ids(v, a.ids);
	a.bps = mem_zero(a.n * a.n + 1, sizeof(*a.bps));
	bandwidth_matrix(b, a.ids, a.n, a.bps);
	a.theta = topology_theta(a.n, a.bps);
	while (!slow && (r = plans_at(v->plans, v->run->id, 0, t++, NULL)))
		for (size_t i = 0; i < r->npairs; i++)
			slow |= is_slow(&a, &r->pairs[i]);
	free(a.bps);
	free(a.ids);
	return slow;
}

/* Along a graph those who rest run far ahead, and the others would lose all the
 * rounds in between; other policies do as they must. */
static bool may_plan_anew(const struct coordinator_view *v, int64_t next)
{
	int64_t planned = plans_epoch(v->plans, v->run->id);

	if (v->run->policy != TOPOLOGY_AUTO || v->graph->n || !planned ||
	    planned < v->epoch || v->run->exchange_bytes <= 0)
		return false;
	return planned == v->epoch ||
	       next >= plans_start(v->plans, v->run->id) + APART;
}

static void plan_anew(const struct coordinator_view *v, int64_t next,
		      struct coordinator_act *act)
{
	struct coordinator_view anew = *v;

	anew.epoch = v->bandwidth->version;
	act->kind = COORDINATOR_PLAN;
	act->run = v->run->id;
	act->plan = coordinator_plan(&anew, next);
	snprintf(act->why, sizeof(act->why),
		 "a slow link, rounds %lld to %lld, epoch %lld",
		 (long long)next,
		 (long long)next + (long long)act->plan->nrounds - 1,
		 (long long)act->plan->epoch);
}

/* What was measured since: does it belong into the log at once? */
static bool tell_now(const struct coordinator *c,
		     const struct coordinator_view *v, int64_t next,
		     struct coordinator_act *act)
{
	struct bandwidth told = *v->bandwidth;
	bool slow;

	act->ncells = meter_delta(&c->meter, v->bandwidth, &act->cells);
	act->ncells = coordinator_keep_live(v, act->cells, act->ncells);
	told.cells = mem_dup(told.cells, told.n * sizeof(*told.cells));
	told.cap = told.n;
	bandwidth_apply(&told, act->cells, act->ncells, told.version);
	slow = act->ncells && slow_ahead(c, v, &told, next);
	bandwidth_release(&told);
	if (slow) {
		act->kind = COORDINATOR_BANDWIDTH;
		snprintf(act->why, sizeof(act->why),
			 "%zu links measured, one is slow", act->ncells);
		return true;
	}
	coordinator_act_release(act);
	return false;
}

bool coordinator_look_for_slow(struct coordinator *c,
			       const struct coordinator_view *v, int64_t now_ms,
			       struct coordinator_act *act)
{
	int64_t next = coordinator_next_round(c, v);
	int64_t look_ms = (int64_t)v->ntrainers / LOOK_TRAINERS;

	if (!c->measured || now_ms - c->slow_ms < look_ms ||
	    !may_plan_anew(v, next))
		return false;
	c->slow_ms = now_ms;
	if (v->bandwidth->version > plans_epoch(v->plans, v->run->id) &&
	    slow_ahead(c, v, v->bandwidth, next)) {
		plan_anew(v, next, act);
		return true;
	}
	if (tell_now(c, v, next, act)) {
		c->bandwidth_ms = now_ms;
		c->slow_ms = now_ms - look_ms; /* once it is told: at once */
		return true;
	}
	c->measured = false;
	return false;
}
