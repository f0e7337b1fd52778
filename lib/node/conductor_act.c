/* What the coordinator decided becomes entries of the log. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/conductor_impl.h"
#include "node/state_impl.h"
#include "wire/rpc.h"

enum { PAUSE_MS = 200 }; /* after a proposal that came to nothing */

static void done(const struct err *err, const struct driver_result *result,
		 void *arg)
{
	struct node *n = arg;
	struct conductor *c = n->conductor;
	const struct err *why = err ? err : &result->refused;

	if (!c)
		return;
	c->busy = false;
	if (why->code) {
		log_debug("refused", "error=%s", why->msg);
		c->pause_until_ms = clock_ms() + PAUSE_MS;
	}
	node_settle(n);
}

static void propose(struct node *n, const Gfl__V1__Entry *e)
{
	struct conductor *c = n->conductor;
	struct err err;

	if (!node_propose(n, e, done, n, &err)) {
		c->busy = true;
		return;
	}
	log_debug("not_proposed", "error=%s", err.msg);
	c->pause_until_ms = clock_ms() + PAUSE_MS;
}

void conductor_mark_down(struct node *n, int64_t id, const char *why)
{
	const Gfl__V1__Trainer *t = state_trainer(n->state, id);
	Gfl__V1__TrainerChange change = GFL__V1__TRAINER_CHANGE__INIT;
	Gfl__V1__Trainer named = GFL__V1__TRAINER__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	named.id = id;
	named.attached_index = t ? t->attached_index : 0;
	change.action = GFL__V1__TRAINER_CHANGE__ACTION__MARK_DOWN;
	change.trainer = &named;
	change.reason = (char *)why;
	e.kind_case = GFL__V1__ENTRY__KIND_TRAINER;
	e.trainer = &change;
	propose(n, &e);
}

/* The table, as a change of its run; borrows. */
static void fill_run(struct node *n, Gfl__V1__RunChange *change, int action,
		     int64_t id)
{
	struct conductor *c = n->conductor;

	gfl__v1__run_change__init(change);
	change->action = action;
	change->id = id;
	change->at_ms = clock_wall_ms();
	if (!c->table || c->table->id != id)
		return;
	change->reports = c->table->reports;
	change->n_reports = c->table->n_reports;
}

static void do_plan(struct node *n, const struct coordinator_act *act)
{
	Gfl__V1__Entry one[2] = {GFL__V1__ENTRY__INIT, GFL__V1__ENTRY__INIT};
	Gfl__V1__Entry *both[2] = {&one[0], &one[1]};
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	Gfl__V1__Batch batch = GFL__V1__BATCH__INIT;
	Gfl__V1__RunChange progress;

	one[0].kind_case = GFL__V1__ENTRY__KIND_TOPOLOGY;
	one[0].topology = state_plan_encode(act->plan);
	fill_run(n, &progress, GFL__V1__RUN_CHANGE__ACTION__PROGRESS,
		 act->plan->run);
	one[1].kind_case = GFL__V1__ENTRY__KIND_RUN;
	one[1].run = &progress;
	batch.entries = both;
	batch.n_entries = n->conductor->fresh ? 2 : 1;
	e.kind_case = GFL__V1__ENTRY__KIND_BATCH;
	e.batch = &batch;
	log_write(plans_epoch(&n->state->plans, act->plan->run) ==
				  act->plan->epoch
			  ? LEVEL_DEBUG
			  : LEVEL_INFO,
		  "plan", " run=%" PRId64 " reason=%s", act->plan->run,
		  act->why);
	propose(n, &e);
	n->conductor->fresh = false;
	rpc_free(&one[0].topology->base);
}

static void do_bandwidth(struct node *n, const struct coordinator_act *act)
{
	Gfl__V1__Bandwidth *b = mem_zero(1, sizeof(*b));
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	gfl__v1__bandwidth__init(b);
	b->base_version = n->state->bandwidth.version;
	b->n_links = act->ncells;
	b->links = mem_zero(act->ncells + 1, sizeof(*b->links));
	for (size_t i = 0; i < act->ncells; i++) {
		b->links[i] = mem_zero(1, sizeof(*b->links[i]));
		gfl__v1__link__init(b->links[i]);
		b->links[i]->from = act->cells[i].from;
		b->links[i]->to = act->cells[i].to;
		b->links[i]->half_octaves = act->cells[i].level;
	}
	e.kind_case = GFL__V1__ENTRY__KIND_BANDWIDTH;
	e.bandwidth = b;
	propose(n, &e);
	rpc_free(&b->base);
}

static void do_end(struct node *n, const struct coordinator_act *act,
		   int action)
{
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	Gfl__V1__RunChange change;

	fill_run(n, &change, action, act->run);
	change.reason = (char *)act->why;
	e.kind_case = GFL__V1__ENTRY__KIND_RUN;
	e.run = &change;
	log_info("run_over", "run=%" PRId64 " reason=%s", act->run, act->why);
	propose(n, &e);
}

void conductor_late(struct node *n, const Gfl__V1__TrainerReport *r)
{
	Gfl__V1__TrainerReport *one = (Gfl__V1__TrainerReport *)r;
	Gfl__V1__RunChange change = GFL__V1__RUN_CHANGE__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	const Gfl__V1__Run *run = state_run(n->state, r->run);
	const Gfl__V1__TrainerReport *old =
		run ? conductor_find(run, r->trainer_id) : NULL;
	struct err err;

	if (!run || !state_run_over(run) ||
	    (old && old->round == r->round && !strcmp(old->state, r->state)))
		return;
	change.action = GFL__V1__RUN_CHANGE__ACTION__PROGRESS;
	change.id = r->run;
	change.reports = &one;
	change.n_reports = 1;
	change.at_ms = clock_wall_ms();
	e.kind_case = GFL__V1__ENTRY__KIND_RUN;
	e.run = &change;
	if (node_propose(n, &e, NULL, NULL, &err))
		log_debug("late_report", "error=%s", err.msg);
}

void conductor_act(struct node *n, const struct coordinator_act *act)
{
	switch (act->kind) {
	case COORDINATOR_PLAN:
		do_plan(n, act);
		break;
	case COORDINATOR_BANDWIDTH:
		do_bandwidth(n, act);
		break;
	case COORDINATOR_TRAINER_DOWN:
		log_warn("trainer_down", "trainer=%" PRId64 " reason=%s",
			 act->trainer, act->why);
		conductor_mark_down(n, act->trainer, act->why);
		break;
	case COORDINATOR_RUN_FINISHED:
		do_end(n, act, GFL__V1__RUN_CHANGE__ACTION__FINISH);
		break;
	case COORDINATOR_RUN_FAILED:
		do_end(n, act, GFL__V1__RUN_CHANGE__ACTION__FAIL);
		break;
	case COORDINATOR_NOTHING:
		break;
	}
}
