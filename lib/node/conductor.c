/* When this node leads, it is the coordinator: it feeds lib/plan's decisions
 * with what the trainers say, and proposes what they come to. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/conductor_impl.h"
#include "node/state_impl.h"
#include "plan/strategies.h"
#include "wire/rpc.h"

enum { SLEPT_MS = 1000 }; /* between two looks: we were stopped or starved */

void conductor_open(struct node *n)
{
	n->conductor = mem_zero(1, sizeof(*n->conductor));
}

static void forget_table(struct conductor *c)
{
	if (c->table)
		rpc_free(&c->table->base);
	c->table = NULL;
	c->fresh = false;
}

void conductor_close(struct node *n)
{
	struct conductor *c = n->conductor;

	if (!c)
		return;
	coordinator_free(c->plan);
	forget_table(c);
	free(c->trainers);
	free(c->failed);
	free(c);
	n->conductor = NULL;
}

/* ---- what is known ---- */

static Gfl__V1__Run *table_of(struct conductor *c, const Gfl__V1__Run *run)
{
	if (c->table && c->table->id == run->id)
		return c->table;
	forget_table(c);
	c->table = (Gfl__V1__Run *)rpc_copy(&run->base);
	return c->table;
}

const Gfl__V1__TrainerReport *conductor_find(const Gfl__V1__Run *run,
					     int64_t id)
{
	for (size_t i = 0; i < run->n_reports; i++)
		if (run->reports[i]->trainer_id == id)
			return run->reports[i];
	return NULL;
}

static bool failed(const Gfl__V1__TrainerReport *r)
{
	return r && !strcmp(r->state, "failed");
}

/* Rounds finished, as lib/plan counts: the last one's number. The last of all
 * is done only when the trainer says that it has finished: it evaluates yet.
 * Whatever it says, it has not been where no plan was: others would follow. */
static int64_t last_round(const struct node *n, const Gfl__V1__Run *run,
			  const Gfl__V1__TrainerReport *r)
{
	int64_t planned = plans_horizon(&n->state->plans, run->id);

	if (r->round > planned)
		return planned - 1;
	if (r->round >= run->spec->rounds && strcmp(r->state, "finished"))
		return run->spec->rounds - 2;
	return r->round - 1;
}

static void tell_round(struct node *n, const Gfl__V1__Run *run,
		       const Gfl__V1__TrainerReport *r)
{
	coordinator_reported(n->conductor->plan, run->id, r->trainer_id,
			     last_round(n, run, r),
			     r->_accuracy_case ? r->accuracy : NAN);
}

/* A trainer that completed an exchange has a partner that is well. */
static void tell_exchange(struct node *n, const Gfl__V1__TrainerReport *r,
			  int64_t exchanges_before)
{
	const struct plan_round *round;
	int64_t peer;

	if (r->exchanges <= exchanges_before || r->round < 1)
		return;
	round = plans_was(&n->state->plans, r->run, r->round - 1);
	peer = round ? plan_partner(round, r->trainer_id) : 0;
	if (peer)
		coordinator_exchanged(n->conductor->plan, r->trainer_id, peer,
				      false);
}

static void hear_report(struct node *n, const Gfl__V1__TrainerReport *r)
{
	struct conductor *c = n->conductor;
	const Gfl__V1__Run *run = state_running(n->state);
	const Gfl__V1__TrainerReport *old;
	Gfl__V1__Run *table;

	coordinator_heard(c->plan, r->trainer_id, clock_ms());
	if (!run || r->run != run->id) {
		conductor_late(n, r);
		return;
	}
	table = table_of(c, run);
	old = conductor_find(table, r->trainer_id);
	tell_exchange(n, r, old ? old->exchanges : 0);
	if (failed(r) && !failed(old)) {
		log_warn("trainer_failed", "trainer=%" PRId64 " error=%s",
			 r->trainer_id, r->reason);
		conductor_mark_down(n, r->trainer_id, r->reason);
	}
	state_run_note(table, r);
	c->fresh = true;
	tell_round(n, run, r);
}

void conductor_heard(struct node *n, const Gfl__V1__ReportRequest *batch)
{
	struct conductor *c = n->conductor;

	if (!c->plan)
		return;
	for (size_t i = 0; i < batch->n_alive; i++)
		if (state_trainer(n->state, batch->alive[i]))
			coordinator_heard(c->plan, batch->alive[i], clock_ms());
	for (size_t i = 0; i < batch->n_reports; i++)
		if (state_report_ok(batch->reports[i]) &&
		    state_trainer(n->state, batch->reports[i]->trainer_id))
			hear_report(n, batch->reports[i]);
	for (size_t i = 0; i < batch->n_links; i++)
		if (state_link_ok(n->state, batch->links[i]))
			coordinator_measured(
				c->plan, batch->links[i]->from,
				batch->links[i]->to,
				bandwidth_bps(batch->links[i]->half_octaves));
	for (size_t i = 0; i < batch->n_bridge_links; i++)
		cluster_measured(n->cluster, batch->bridge_links[i]);
	for (size_t i = 0; i < batch->n_misses; i++)
		if (state_trainer(n->state, batch->misses[i]->by) &&
		    state_trainer(n->state, batch->misses[i]->peer))
			coordinator_exchanged(c->plan, batch->misses[i]->by,
					      batch->misses[i]->peer, true);
	node_settle(n);
}

void conductor_merge(const struct node *n, Gfl__V1__Run *run)
{
	const Gfl__V1__Run *table = n->conductor->table;

	if (!n->leads || !table || table->id != run->id)
		return;
	for (size_t i = 0; i < table->n_reports; i++)
		state_run_note(run, table->reports[i]);
}

/* All that its trainers have said of a run, or NULL. */
static const Gfl__V1__Run *table_now(const struct node *n, int64_t run)
{
	const Gfl__V1__Run *table = n->conductor->table;

	return table && table->id == run ? table : state_run(n->state, run);
}

const Gfl__V1__TrainerReport *conductor_said(const struct node *n, int64_t run,
					     int64_t trainer)
{
	const Gfl__V1__Run *table = table_now(n, run);

	return table ? conductor_find(table, trainer) : NULL;
}

/* Every clock starts anew; the rounds go on from what the log knows. */
void conductor_leads(struct node *n, bool leads)
{
	struct conductor *c = n->conductor;
	struct coordinator_opts opts = coordinator_defaults;
	const Gfl__V1__Run *run = state_running(n->state);

	coordinator_free(c->plan);
	c->plan = NULL;
	c->busy = false;
	forget_table(c);
	if (!leads)
		return;
	opts.fail_after_ms = n->cfg.fail_after_ms;
	c->look_ms = clock_ms();
	c->plan = coordinator_new(&opts, clock_ms());
	for (size_t i = 0; run && i < run->n_reports; i++)
		tell_round(n, run, run->reports[i]);
}

/* ---- what to do ---- */

/* What a trainer sends in an exchange, by what they all said so far. */
static double exchange_bytes(const struct conductor *c, int64_t run)
{
	double bytes = 0, exchanges = 0;

	for (size_t i = 0; c->table && i < c->table->n_reports; i++) {
		bytes += (double)c->table->reports[i]->bytes_sent;
		exchanges += (double)c->table->reports[i]->exchanges;
	}
	return exchanges > 0 && c->table->id == run ? bytes / exchanges : 0;
}

static const struct coordinator_run *view_run(struct conductor *c,
					      const Gfl__V1__Run *run)
{
	const Gfl__V1__RunSpec *s = run->spec;
	bool dense = !strcmp(s->scheme, "dense");
	bool pairs = strategies_find(s->strategy)->links == LINKS_PAIRS;

	c->run = (struct coordinator_run){
		.id = run->id,
		.rounds = s->rounds,
		.seed = s->seed,
		.c = dense ? 1 : (uint32_t)lround(1 / s->keep),
		.deadline_ms = (uint32_t)s->round_deadline_ms,
		.policy = pairs ? (enum topology_policy)topology_policy_of(
					  s->policy)
				: TOPOLOGY_RING, /* so that all are in it */
		.min_trainers = (int)s->min_trainers,
		.target_accuracy = s->target_accuracy,
		.give_up_ms = s->give_up_ms,
		.exchange_bytes = exchange_bytes(c, run->id),
	};
	return &c->run;
}

/* A trainer that failed in this run takes no part in it until it says that it
 * goes on, even if it has attached again. */
static void view_trainer(const struct node *n, struct coordinator_view *v,
			 const Gfl__V1__Trainer *t)
{
	bool runs = !t->no_runs &&
		    !(v->run && failed(conductor_said(n, v->run->id, t->id)));

	if (!t->liveness)
		n->conductor->trainers[v->ntrainers++] =
			(struct coordinator_trainer){t->id, runs};
	else
		v->away += runs;
}

static void view_failed(struct conductor *c, struct coordinator_view *v,
			const Gfl__V1__Run *run)
{
	c->failed = mem_zero(run->n_reports + 1, sizeof(*c->failed));
	for (size_t i = 0; i < run->n_reports; i++)
		if (failed(run->reports[i]))
			c->failed[v->nfailed++] = (struct coordinator_failed){
				run->reports[i]->trainer_id,
				run->reports[i]->reason};
	v->failed = c->failed;
}

static struct coordinator_view view(struct node *n)
{
	struct conductor *c = n->conductor;
	const struct state *s = n->state;
	const Gfl__V1__Run *run = state_running(s);
	struct coordinator_view v = {
		.epoch = s->epoch,
		.run = run ? view_run(c, run) : NULL,
		.plans = &s->plans,
		.bandwidth = &s->bandwidth,
		.graph = &s->graph,
	};

	free(c->trainers);
	free(c->failed);
	c->failed = NULL;
	c->trainers = mem_zero(s->ntrainers + 1, sizeof(*c->trainers));
	v.trainers = c->trainers;
	for (size_t i = 0; i < s->ntrainers; i++)
		view_trainer(n, &v, s->trainers[i]);
	if (run)
		view_failed(c, &v, table_now(n, run->id));
	return v;
}

/* Rounds go on in each part; they only never learn from each other. */
static void warn_of_parts(const struct node *n,
			  const struct coordinator_view *v)
{
	size_t parts = v->graph->n ? coordinator_parts(v) : 1;

	if (parts > 1)
		log_warn("topology_not_connected",
			 "parts=%zu version=%" PRId64 " run=%" PRId64, parts,
			 n->state->graph.version, v->run->id);
}

void conductor_look(struct node *n)
{
	struct conductor *c = n->conductor;
	int64_t now_ms = clock_ms(), slept_ms = now_ms - c->look_ms;
	struct coordinator_act act = {0};
	struct coordinator_view v;

	c->look_ms = now_ms;
	if (c->plan && slept_ms > SLEPT_MS)
		coordinator_slept(c->plan, slept_ms);
	if (!c->plan || c->busy || !n->leads || !driver_leads(n->driver) ||
	    clock_ms() < c->pause_until_ms)
		return;
	v = view(n);
	if (coordinator_next(c->plan, &v, clock_ms(), &act) ==
		    COORDINATOR_PLAN &&
	    plans_epoch(v.plans, v.run->id) != act.plan->epoch)
		warn_of_parts(n, &v);
	conductor_act(n, &act);
	coordinator_act_release(&act);
}
