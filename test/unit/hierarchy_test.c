#include "node/hierarchy.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"

#include "base/mem.h"
#include "node/state_impl.h"
#include "wire/rpc.h"

#define LOWER "00112233445566778899aabbccddeeff"
#define HERE "http://127.0.0.1:8901"

static Gfl__V1__Member *add_member(struct state *s, int64_t id, const char *of,
				   int64_t term, Gfl__V1__Role role)
{
	Gfl__V1__Member *m = mem_zero(1, sizeof(*m));

	gfl__v1__member__init(m);
	m->id = id;
	m->role = role;
	m->lower_term = term;
	state_text(&m->lower_id, of);
	state_insert(STATE_LIST(s, members), m);
	return m;
}

static Gfl__V1__Trainer *add_trainer(struct state *s, int64_t id,
				     const char *instance, int64_t node,
				     int64_t examples)
{
	Gfl__V1__Trainer *t = mem_zero(1, sizeof(*t));

	gfl__v1__trainer__init(t);
	t->id = id;
	t->node_id = node;
	t->examples = examples;
	state_text(&t->instance_id, instance);
	state_text(&t->url, "http://127.0.0.1:9");
	state_insert(STATE_LIST(s, trainers), t);
	return t;
}

TEST(who_speaks_in_a_later_term_supersedes_once_it_has_caught_up)
{
	struct state *s = state_new();
	Gfl__V1__Member *old = add_member(s, 1, LOWER, 3, GFL__V1__ROLE__VOTER);
	Gfl__V1__Member *now =
		add_member(s, 4, LOWER, 5, GFL__V1__ROLE__LEARNER);
	Gfl__V1__Member *plain = add_member(s, 7, "", 0, GFL__V1__ROLE__VOTER);
	Gfl__V1__Trainer *place = add_trainer(s, 1, LOWER, 1, 0);

	place->term = 3;
	CHECK(!hierarchy_superseded(s, old));
	CHECK(!hierarchy_superseded(s, now)); /* it is about to speak */
	place->node_id = 4;
	place->term = 5;
	CHECK(!hierarchy_superseded(s, old)); /* the new one only learns */
	now->role = GFL__V1__ROLE__VOTER;
	CHECK(hierarchy_superseded(s, old));
	CHECK(!hierarchy_superseded(s, now));
	CHECK(!hierarchy_superseded(s, plain));
	now->liveness = GFL__V1__LIVENESS__DOWN;
	CHECK(!hierarchy_superseded(s, old)); /* one of them shall live */
	state_free(s);
}

TEST(the_trainer_that_exchanges_stays_while_it_lives)
{
	struct state *s = state_new();
	Gfl__V1__Trainer *first;

	CHECK_INT(hierarchy_bridge(s, 0), 0);
	first = add_trainer(s, 2, "a", 1, 10);
	add_trainer(s, 3, "b", 1, 20);
	CHECK_INT(hierarchy_bridge(s, 0), 2);
	CHECK_INT(hierarchy_bridge(s, 3), 3);
	CHECK_INT(hierarchy_bridge(s, 9), 2);
	first->no_runs = true;
	CHECK_INT(hierarchy_bridge(s, 2), 3);
	first->no_runs = false;
	first->liveness = GFL__V1__LIVENESS__DOWN;
	CHECK_INT(hierarchy_bridge(s, 2), 3);
	state_free(s);
}

TEST(a_cluster_is_the_sum_of_its_live_trainers)
{
	static const struct bandwidth_cell cells[] = {
		{2, 3, 40}, {2, 4, 90}, {3, 2, 44}, {3, 4, 90}};
	struct state *s = state_new();
	Gfl__V1__Trainer out;

	memcpy(s->cluster_id, LOWER, sizeof(LOWER));
	add_member(s, 1, "", 0, GFL__V1__ROLE__VOTER);
	hierarchy_fill(&out, s, 0, 6, HERE);
	CHECK_STR(out.url, HERE);
	CHECK(out.no_runs);
	add_trainer(s, 2, "a", 1, 10);
	add_trainer(s, 3, "b", 1, 20);
	add_trainer(s, 4, "c", 1, 40)->liveness = GFL__V1__LIVENESS__DOWN;
	bandwidth_apply(&s->bandwidth, cells, 4, 1);
	hierarchy_fill(&out, s, 2, 6, HERE);
	CHECK_STR(out.instance_id, LOWER);
	CHECK_STR(out.url, "http://127.0.0.1:9");
	CHECK(!out.no_runs); /* two trainers live */
	CHECK_INT(out.term, 6);
	CHECK_INT(out.members, 1);
	CHECK_INT(out.trainers, 2);
	CHECK_INT(out.examples, 30);
	CHECK_INT(out.half_octaves, 44);
	state_free(s);
}

TEST(what_is_new_is_told_by_how_urgent_it_is)
{
	Gfl__V1__Trainer said = GFL__V1__TRAINER__INIT, now = said;

	CHECK_INT(hierarchy_news(NULL, &now), HIERARCHY_PLACE);
	CHECK_INT(hierarchy_news(&said, &now), HIERARCHY_SAME);
	now.half_octaves = 1;
	CHECK_INT(hierarchy_news(&said, &now), HIERARCHY_SAME);
	now.half_octaves = 2;
	CHECK_INT(hierarchy_news(&said, &now), HIERARCHY_COUNTS);
	now.term = 1;
	CHECK_INT(hierarchy_news(&said, &now), HIERARCHY_PLACE);
	now = said;
	said.liveness = GFL__V1__LIVENESS__DOWN;
	CHECK_INT(hierarchy_news(&said, &now), HIERARCHY_PLACE);
}

/* ---- runs ---- */

static Gfl__V1__Run *run_above(int64_t rounds, int64_t every)
{
	Gfl__V1__Run *run = mem_zero(1, sizeof(*run));

	gfl__v1__run__init(run);
	run->id = 7;
	run->spec = mem_zero(1, sizeof(*run->spec));
	gfl__v1__run_spec__init(run->spec);
	run->spec->rounds = rounds;
	run->spec->bridge_every = every;
	run->spec->target_accuracy = 0.9;
	state_text(&run->state, "running");
	return run;
}

static Gfl__V1__Run *part_of(const Gfl__V1__Run *above, int64_t from)
{
	Gfl__V1__Run *part = mem_zero(1, sizeof(*part));

	gfl__v1__run__init(part);
	part->id = 3;
	part->spec = hierarchy_spec(above, LOWER, from);
	state_text(&part->state, "running");
	return part;
}

TEST(rounds_above_are_so_many_below_and_who_comes_late_has_fewer)
{
	Gfl__V1__Run *above = run_above(20, 5), *part = part_of(above, 0);

	CHECK_INT(part->spec->rounds, 100);
	CHECK(part->spec->target_accuracy == 0); /* that is told above */
	CHECK_INT(hierarchy_round(part->spec, 3), -1);
	CHECK_INT(hierarchy_round(part->spec, 4), 0);
	CHECK_INT(hierarchy_round(part->spec, 99), 19);
	CHECK_INT(hierarchy_rounds(part->spec, 99), 19);
	CHECK_INT(hierarchy_rounds(part->spec, 100), 20);
	CHECK_INT(hierarchy_round(above->spec, 4), -1);
	rpc_free(&part->base);
	part = part_of(above, 12);
	CHECK_INT(part->spec->rounds, 40);
	CHECK_INT(hierarchy_round(part->spec, 4), 12);
	CHECK_INT(hierarchy_round(part->spec, 39), 19);
	rpc_free(&part->base);
	rpc_free(&above->base);
}

/* Places 1 and 2 exchange in rounds 0 and 2, 1 rests in round 1. */
static void plan_above(struct state *s)
{
	struct plan *p = plan_new(7, 5, 0, 3);

	for (size_t i = 0; i < 3; i++) {
		p->rounds[i].seed = 40 + i;
		p->rounds[i].c = 2;
		p->rounds[i].deadline_ms = 1000;
		p->rounds[i].pairs = mem_zero(1, sizeof(struct plan_pair));
		p->rounds[i].npairs = 1;
		p->rounds[i].pairs[0] = i == 1 ? (struct plan_pair){2, 3}
					       : (struct plan_pair){1, 2};
	}
	CHECK(plans_take(&s->plans, p));
}

TEST(a_bridge_has_its_own_of_the_plan_above_and_where_its_peers_are)
{
	Gfl__V1__Run *above = run_above(20, 5), *part = part_of(above, 0);
	struct state *s = state_new();
	Gfl__V1__Bridge *was, *now;

	add_trainer(s, 2, "two", 1, 0);
	was = hierarchy_plan(s, part, 1, 9, 0); /* nothing is planned yet */
	CHECK_INT(was->n_rounds, 0);
	CHECK(hierarchy_replan(NULL, was));
	CHECK(!hierarchy_replan(was, was));
	plan_above(s);
	now = hierarchy_plan(s, part, 1, 9, 0);
	CHECK(hierarchy_replan(was, now));
	CHECK_INT(now->trainer, 9);
	CHECK_INT(now->epoch, 5);
	CHECK_INT(now->n_rounds, 3);
	CHECK_INT(now->rounds[0]->peer, 2);
	CHECK_INT(now->rounds[0]->deadline_ms, 500);
	CHECK_INT(now->rounds[1]->peer, 0);
	CHECK_INT(now->rounds[2]->seed, 42);
	CHECK_INT(now->n_peers, 1);
	CHECK_STR(now->peers[0]->url, "http://127.0.0.1:9");
	rpc_free(&was->base);

	/* Rounds pass: nothing new. The peer moves, or we do: that is. */
	was = now;
	now = hierarchy_plan(s, part, 1, 9, 2);
	CHECK_INT(now->n_rounds, 1);
	CHECK(!hierarchy_replan(was, now));
	rpc_free(&now->base);
	state_text(&s->trainers[0]->url, "http://127.0.0.1:10");
	now = hierarchy_plan(s, part, 1, 9, 2);
	CHECK(hierarchy_replan(was, now));
	rpc_free(&now->base);
	state_text(&s->trainers[0]->url, "http://127.0.0.1:9");
	now = hierarchy_plan(s, part, 1, 8, 2);
	CHECK(hierarchy_replan(was, now));
	rpc_free(&now->base);
	rpc_free(&was->base);
	rpc_free(&part->base);
	rpc_free(&above->base);
	state_free(s);
}

static void add_report(Gfl__V1__Run *run, int64_t trainer, int64_t round,
		       double accuracy, int64_t bridged)
{
	Gfl__V1__TrainerReport r = GFL__V1__TRAINER_REPORT__INIT;

	r.trainer_id = trainer;
	r.round = round;
	r._accuracy_case = GFL__V1__TRAINER_REPORT___ACCURACY_ACCURACY;
	r.accuracy = accuracy;
	r.bytes_sent = 100;
	r.bridged = bridged;
	state_run_note(run, &r);
}

TEST(a_cluster_reports_the_mean_of_its_trainers_and_the_rounds_of_its_bridge)
{
	Gfl__V1__Run *above = run_above(20, 5), *part = part_of(above, 0);
	Gfl__V1__TrainerReport out;

	add_report(part, 1, 42, 0.5, 6);
	add_report(part, 2, 37, 0.7, 1); /* it was the bridge once */
	hierarchy_report(&out, part, 4, 1);
	CHECK_INT(out.trainer_id, 4);
	CHECK_INT(out.run, 7);
	CHECK_INT(out.round, 8);
	CHECK(out.accuracy > 0.599 && out.accuracy < 0.601);
	CHECK_INT(out.bytes_sent, 200);
	CHECK_INT(out.exchanges, 7);
	CHECK_STR(out.state, "training");
	state_text(&part->state, "finished");
	hierarchy_report(&out, part, 4, 1);
	CHECK_STR(out.state, "finished");
	CHECK_INT(out.round, 20);
	state_text(&part->state, "stopped");
	state_text(&part->reason, "enough");
	hierarchy_report(&out, part, 4, 1);
	CHECK_STR(out.state, "failed");
	CHECK_STR(out.reason, "enough");
	rpc_free(&part->base);
	rpc_free(&above->base);
}
