/* Training runs: one at a time, others in line, and the plans of that one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node/spec.h"
#include "node/state_impl.h"
#include "plan/strategies.h"
#include "wire/rpc.h"

#define ACTION(name) GFL__V1__RUN_CHANGE__ACTION__##name

static void refuse(struct turn *t, enum err_code code, int64_t id,
		   const char *what)
{
	err_set(&t->res->refused, code, "run %lld %s", (long long)id, what);
}

/* ---- life ---- */

static size_t count(const struct state *s, const char *state)
{
	size_t n = 0;

	for (size_t i = 0; i < s->nruns; i++)
		n += !strcmp(s->runs[i]->state, state);
	return n;
}

/* Forget the oldest that is over, if there are too many. */
static void bound(struct state *s)
{
	for (size_t i = 0; s->nruns > STATE_RUNS_MAX && i < s->nruns; i++)
		if (state_run_over(s->runs[i])) {
			state_remove(STATE_LIST(s, runs), s->runs[i]->id);
			return;
		}
}

/* With no run under way, the one that has waited longest begins. */
static void next(struct turn *t, int64_t at_ms)
{
	struct state *s = t->s;

	if (state_running(s))
		return;
	plans_release(&s->plans);
	s->plans = (struct plans){0};
	state_drop_bridge(s);
	t->res->changed |= STATE_PLAN;
	for (size_t i = 0; i < s->nruns; i++)
		if (!strcmp(s->runs[i]->state, "waiting")) {
			state_text(&s->runs[i]->state, "running");
			s->runs[i]->started_ms = at_ms;
			return;
		}
}

static bool settings_fit(struct turn *t, int64_t id, Gfl__V1__RunSpec *spec)
{
	if (!spec) {
		refuse(t, ERR_INVALID_ARGUMENT, id, "has no settings");
		return false;
	}
	if (spec_complete(spec, &t->res->refused))
		return false;
	if (t->s->graph.n &&
	    strategies_find(spec->strategy)->links != LINKS_PAIRS) {
		refuse(t, ERR_FAILED_PRECONDITION, id,
		       "has to go round all trainers, but a topology says who "
		       "may exchange");
		return false;
	}
	return true;
}

static void start(struct turn *t, const Gfl__V1__RunChange *c)
{
	Gfl__V1__Run *run;

	if (state_run(t->s, t->index)) {
		refuse(t, ERR_INVALID_ARGUMENT, t->index,
		       "is started twice in one entry");
		return;
	}
	if (count(t->s, "waiting") >= STATE_WAITING_MAX) {
		refuse(t, ERR_RESOURCE_EXHAUSTED, t->index,
		       "is one too many in line");
		return;
	}
	if (c->spec && *c->spec->upper_id &&
	    state_part(t->s, c->spec->upper_id, c->spec->upper_run)) {
		refuse(t, ERR_ALREADY_EXISTS, c->spec->upper_run,
		       "of the upper cluster has its part here");
		return;
	}
	run = mem_zero(1, sizeof(*run));
	gfl__v1__run__init(run);
	run->id = t->index;
	run->spec =
		c->spec ? (Gfl__V1__RunSpec *)rpc_copy(&c->spec->base) : NULL;
	if (!settings_fit(t, run->id, run->spec)) {
		gfl__v1__run__free_unpacked(run, NULL);
		return;
	}
	state_text(&run->state, "waiting");
	state_insert(STATE_LIST(t->s, runs), run);
	t->res->id = run->id;
	next(t, c->at_ms);
	bound(t->s);
}

/* What the newer report does not say is as the older said. */
static void inherit(Gfl__V1__TrainerReport *now,
		    const Gfl__V1__TrainerReport *old)
{
	if (!now->_accuracy_case && old->_accuracy_case) {
		now->_accuracy_case = old->_accuracy_case;
		now->accuracy = old->accuracy;
	}
	if (!now->_accuracy_alone_case && old->_accuracy_alone_case) {
		now->_accuracy_alone_case = old->_accuracy_alone_case;
		now->accuracy_alone = old->accuracy_alone;
	}
}

void state_run_note(Gfl__V1__Run *run, const Gfl__V1__TrainerReport *r)
{
	Gfl__V1__TrainerReport *now;
	void **grown;
	size_t i = 0;

	while (i < run->n_reports &&
	       run->reports[i]->trainer_id < r->trainer_id)
		i++;
	now = (Gfl__V1__TrainerReport *)rpc_copy(&r->base);
	now->run = run->id;
	if (i < run->n_reports &&
	    run->reports[i]->trainer_id == r->trainer_id) {
		inherit(now, run->reports[i]);
		rpc_free(&run->reports[i]->base);
		run->reports[i] = now;
		return;
	}
	grown = mem_zero(run->n_reports + 1, sizeof(*grown));
	if (run->n_reports) {
		memcpy(grown, run->reports, i * sizeof(*grown));
		memcpy(grown + i + 1, run->reports + i,
		       (run->n_reports - i) * sizeof(*grown));
	}
	grown[i] = now;
	free(run->reports);
	run->reports = (Gfl__V1__TrainerReport **)grown;
	run->n_reports++;
}

static bool share_ok(double x)
{
	return x >= 0 && x <= 1;
}

bool state_report_ok(const Gfl__V1__TrainerReport *r)
{
	return r->trainer_id > 0 && r->trainer_id <= STATE_ID_MAX &&
	       r->round >= 0 && r->round <= STATE_ROUNDS_MAX &&
	       (!r->_accuracy_case || share_ok(r->accuracy)) &&
	       (!r->_accuracy_alone_case || share_ok(r->accuracy_alone)) &&
	       strlen(r->state) <= STATE_NAME_MAX &&
	       strlen(r->reason) <= STATE_TEXT_MAX &&
	       strlen(r->model_path) <= STATE_TEXT_MAX;
}

static void note_all(Gfl__V1__Run *run, const Gfl__V1__RunChange *c)
{
	for (size_t i = 0; i < c->n_reports; i++)
		if (state_report_ok(c->reports[i]) &&
		    run->n_reports < STATE_TRAINERS_MAX)
			state_run_note(run, c->reports[i]);
}

static void end(struct turn *t, Gfl__V1__Run *run, const char *state,
		const Gfl__V1__RunChange *c)
{
	state_text(&run->state, state);
	state_text(&run->reason, c->reason);
	run->ended_ms = c->at_ms;
	next(t, c->at_ms);
	bound(t->s);
}

static void change(struct turn *t, Gfl__V1__Run *run,
		   const Gfl__V1__RunChange *c)
{
	note_all(run, c);
	if (c->action == ACTION(STOP))
		end(t, run, "stopped", c);
	else if (c->action == ACTION(FINISH))
		end(t, run, "finished", c);
	else if (c->action == ACTION(FAIL))
		end(t, run, "failed", c);
}

void state_apply_run(struct turn *t, const Gfl__V1__RunChange *c)
{
	Gfl__V1__Run *run = state_run(t->s, c->id);

	t->res->id = c->id;
	if (c->action == ACTION(START))
		start(t, c);
	else if (!run)
		refuse(t, ERR_NOT_FOUND, c->id, "is not known");
	else if (state_run_over(run) && c->action != ACTION(PROGRESS))
		refuse(t, ERR_FAILED_PRECONDITION, c->id, "is over");
	else if (c->action != ACTION(STOP) && !strcmp(run->state, "waiting"))
		refuse(t, ERR_FAILED_PRECONDITION, c->id, "has not begun");
	else
		change(t, run, c);
	if (!t->res->refused.code)
		t->res->changed |= STATE_RUN;
}

/* ---- plans ---- */

static bool pairs_fit(const struct state *s, const struct plan_round *r)
{
	for (size_t i = 0; i < r->npairs; i++) {
		const Gfl__V1__Trainer *a = state_trainer(s, r->pairs[i].a);
		const Gfl__V1__Trainer *b = state_trainer(s, r->pairs[i].b);

		if (!a || !b || a->liveness || b->liveness ||
		    graph_weight(&s->graph, a->id, b->id) <= 0)
			return false;
	}
	return true;
}

/* A plan goes on where the plans so far let a trainer be, and ends with the
 * run: whoever plans otherwise would have the trainers rest or jump. */
static bool follows(const struct state *s, const struct plan *p)
{
	return p->t0 <= plans_horizon(&s->plans, p->run) &&
	       (plans_epoch(&s->plans, p->run) != p->epoch ||
		p->t0 >= plans_end(&s->plans, p->run));
}

/* Plans are for the trainers that there are now; and once they were made anew
 * for what the speeds are now, all that follow are of that epoch. */
static bool of_this_epoch(const struct state *s, const struct plan *p,
			  int64_t *epoch)
{
	int64_t planned = plans_epoch(&s->plans, p->run);

	*epoch = planned > s->epoch ? planned : s->epoch;
	return p->epoch == *epoch ||
	       (p->epoch == s->bandwidth.version && p->epoch > *epoch);
}

static int check_plan(const struct turn *t, const struct plan *p,
		      struct err *err)
{
	const Gfl__V1__Run *run = state_running(t->s);
	int64_t epoch;

	if (!run || run->id != p->run)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "plan for run %lld, which is not under way",
			       (long long)p->run);
	if (!of_this_epoch(t->s, p, &epoch))
		return err_set(err, ERR_ABORTED,
			       "plan for epoch %lld, which is %lld now",
			       (long long)p->epoch, (long long)epoch);
	if (p->t0 + (int64_t)p->nrounds > run->spec->rounds)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "plan past the %lld rounds of the run",
			       (long long)run->spec->rounds);
	if (!follows(t->s, p))
		return err_set(err, ERR_ALREADY_EXISTS,
			       "plan from round %lld, not where the others end",
			       (long long)p->t0);
	for (size_t i = 0; i < p->nrounds; i++)
		if (!pairs_fit(t->s, &p->rounds[i]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "plan for a trainer that is not live, "
				       "or a pair that the topology lacks");
	return 0;
}

void state_apply_topology(struct turn *t, const Gfl__V1__Topology *topology)
{
	struct state *s = t->s;
	struct plan *p = NULL;
	int64_t kept = STATE_ROUNDS_KEPT;

	if (state_plan_decode(&p, topology, &t->res->refused))
		return;
	if (check_plan(t, p, &t->res->refused)) {
		plan_free(p);
		return;
	}
	t->res->id = p->run;
	if (!plans_take(&s->plans, p)) {
		err_set(&t->res->refused, ERR_ALREADY_EXISTS,
			"plan for rounds that are planned");
		return;
	}
	if ((int64_t)s->ntrainers > kept)
		kept = (int64_t)s->ntrainers;
	plans_trim(&s->plans, topology->run, topology->t0 - kept);
	t->res->changed |= STATE_PLAN;
}
