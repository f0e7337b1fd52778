#include "test.h"

#include "plan/coordinator.h"

/* A leader, the committed state it sees, and a clock. */
struct world {
	struct coordinator *c;
	struct coordinator_trainer trainers[8];
	struct coordinator_run run;
	struct coordinator_view v;
	struct plans plans;
	struct bandwidth bandwidth;
	struct graph graph;
	struct coordinator_act act;
	int64_t now, version; /* of the speeds */
};

static void setup(struct world *w, size_t n)
{
	*w = (struct world){.now = 1000, .version = 9};
	for (size_t i = 0; i < n; i++)
		w->trainers[i] =
			(struct coordinator_trainer){(int64_t)i + 1, true};
	w->run = (struct coordinator_run){.id = 1,
					  .rounds = 40,
					  .seed = 1,
					  .c = 10,
					  .deadline_ms = 1000,
					  .min_trainers = 2};
	w->v = (struct coordinator_view){.epoch = 7,
					 .trainers = w->trainers,
					 .ntrainers = n,
					 .run = &w->run,
					 .plans = &w->plans,
					 .bandwidth = &w->bandwidth,
					 .graph = &w->graph};
	w->c = coordinator_new(NULL, w->now);
}

static void teardown(struct world *w)
{
	coordinator_act_release(&w->act);
	coordinator_free(w->c);
	plans_release(&w->plans);
	bandwidth_release(&w->bandwidth);
	graph_release(&w->graph);
}

/* Ask, and commit what is proposed. */
static enum coordinator_kind next(struct world *w)
{
	coordinator_act_release(&w->act);
	coordinator_next(w->c, &w->v, w->now, &w->act);
	if (w->act.kind == COORDINATOR_BANDWIDTH)
		bandwidth_apply(&w->bandwidth, w->act.cells, w->act.ncells,
				w->version);
	if (w->act.kind == COORDINATOR_PLAN) {
		CHECK(!plan_check(w->act.plan, NULL));
		CHECK(plans_take(&w->plans, w->act.plan));
		w->act.plan = NULL;
	}
	return w->act.kind;
}

static void all_hear(struct world *w)
{
	for (size_t i = 0; i < w->v.ntrainers; i++)
		coordinator_heard(w->c, w->trainers[i].id, w->now);
}

TEST(coordinator_waits_for_enough_trainers_then_plans_ahead)
{
	struct world w;

	setup(&w, 4);
	w.run.min_trainers = 5;
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	w.run.min_trainers = 4;
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	CHECK_INT(plans_end(&w.plans, 1), 16);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	coordinator_reported(w.c, 1, 2, 6, NAN);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	coordinator_reported(w.c, 1, 2, 7, NAN); /* at round 8 of 16 */
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	CHECK_INT(plans_end(&w.plans, 1), 32);
	coordinator_reported(w.c, 1, 3, 25, NAN);
	CHECK_INT(next(&w), COORDINATOR_PLAN); /* the last is shorter */
	CHECK_INT(plans_end(&w.plans, 1), 40);
	coordinator_reported(w.c, 1, 3, 39, NAN);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	teardown(&w);
}

TEST(coordinator_cuts_over_to_a_new_epoch_after_the_highest_report)
{
	struct world w;

	setup(&w, 4);
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	coordinator_reported(w.c, 1, 1, 3, NAN);
	coordinator_reported(w.c, 1, 4, 5, NAN);
	w.v.ntrainers = 3; /* 4 has gone: its report no longer counts */
	w.v.epoch = 20;
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	CHECK_INT(plans_epoch(&w.plans, 1), 20);
	CHECK_INT(plans_start(&w.plans, 1), 4);
	CHECK_INT(plans_at(&w.plans, 1, 20, 4, NULL)->npairs, 1);
	CHECK(plans_at(&w.plans, 1, 20, 4, NULL)->bye != 0);
	teardown(&w);
}

/* Who is still on the way must not wait for a plan that never comes. */
TEST(coordinator_plans_the_last_round_again_when_the_fastest_has_finished)
{
	struct world w;

	setup(&w, 4);
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	coordinator_reported(w.c, 1, 1, 39, NAN);
	coordinator_reported(w.c, 1, 4, 30, NAN);
	CHECK_INT(next(&w), COORDINATOR_PLAN); /* rounds 16 to 38: rests */
	CHECK_INT(plans_end(&w.plans, 1), 40);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	w.v.epoch = 20;
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	CHECK_INT(plans_epoch(&w.plans, 1), 20);
	CHECK_INT(plans_start(&w.plans, 1), 39);
	CHECK_INT(plans_end(&w.plans, 1), 40);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	teardown(&w);
}

TEST(a_new_leader_plans_as_the_old_one_would)
{
	struct world a, b;

	setup(&a, 5);
	setup(&b, 5);
	CHECK_INT(next(&a), COORDINATOR_PLAN);
	CHECK_INT(next(&b), COORDINATOR_PLAN);
	coordinator_free(b.c);
	b.c = coordinator_new(NULL, b.now + 500);
	for (int64_t id = 1; id <= 5; id++) {
		coordinator_reported(a.c, 1, id, 9, NAN);
		coordinator_reported(b.c, 1, id, 9, NAN);
	}
	CHECK_INT(next(&a), COORDINATOR_PLAN);
	CHECK_INT(next(&b), COORDINATOR_PLAN);
	for (int64_t t = 16; t < 32; t++) {
		const struct plan_round *x = plans_at(&a.plans, 1, 0, t, NULL);
		const struct plan_round *y = plans_at(&b.plans, 1, 0, t, NULL);

		CHECK(x->seed == y->seed && x->bye == y->bye);
		CHECK_INT(x->npairs, 2);
		CHECK(!memcmp(x->pairs, y->pairs, 2 * sizeof(x->pairs[0])));
	}
	teardown(&a);
	teardown(&b);
}

TEST(the_leaders_own_sleep_counts_against_no_trainer)
{
	struct world w;

	setup(&w, 2);
	next(&w);
	w.now += 4000;
	next(&w);
	w.now += 60000;
	coordinator_slept(w.c, 60000);
	CHECK(next(&w) != COORDINATOR_TRAINER_DOWN);
	w.now += 1000; /* silent for five seconds of ours */
	CHECK_INT(next(&w), COORDINATOR_TRAINER_DOWN);
	teardown(&w);
}

TEST(a_silent_trainer_goes_down_but_not_before_a_new_leader_waited)
{
	struct world w;

	setup(&w, 3);
	next(&w);
	w.now += 4999;
	coordinator_heard(w.c, 1, w.now);
	coordinator_heard(w.c, 2, w.now);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	w.now += 1;
	CHECK_INT(next(&w), COORDINATOR_TRAINER_DOWN);
	CHECK_INT(w.act.trainer, 3);
	CHECK_HAS(w.act.why, "not heard for 5000 ms");
	teardown(&w);
}

TEST(a_trainer_that_attaches_late_has_its_whole_time)
{
	struct world w;

	setup(&w, 3);
	w.v.ntrainers = 2;
	next(&w);
	w.now += 60000;
	all_hear(&w);
	coordinator_reported(w.c, 1, 3, 0, NAN); /* before it is committed */
	w.v.ntrainers = 3;
	w.v.epoch++;
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	w.now += 4000;
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	teardown(&w);
}

TEST(three_misses_seen_by_two_peers_take_a_trainer_down)
{
	struct world w;

	setup(&w, 4);
	next(&w);
	for (int i = 0; i < 5; i++)
		coordinator_exchanged(w.c, 1, 4, true);
	CHECK_INT(next(&w), COORDINATOR_NOTHING); /* one witness */
	coordinator_exchanged(w.c, 3, 4, false);  /* but it lives */
	coordinator_exchanged(w.c, 1, 4, true);
	coordinator_exchanged(w.c, 2, 4, true);
	CHECK_INT(next(&w), COORDINATOR_NOTHING); /* two misses */
	coordinator_exchanged(w.c, 3, 4, true);
	CHECK_INT(next(&w), COORDINATOR_TRAINER_DOWN);
	CHECK_INT(w.act.trainer, 4);
	CHECK_HAS(w.act.why, "missed 3 exchanges");
	teardown(&w);
}

TEST(bandwidth_enters_the_log_at_most_each_ten_seconds)
{
	struct world w;

	setup(&w, 2);
	w.v.run = NULL;
	coordinator_measured(w.c, 1, 2, 1e6);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	for (int i = 0; i < 10; i++) {
		w.now += 1000;
		all_hear(&w);
	}
	CHECK_INT(next(&w), COORDINATOR_BANDWIDTH);
	CHECK_INT(w.act.ncells, 1);
	coordinator_measured(w.c, 2, 1, 1e6);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	teardown(&w);
}

TEST(the_speed_of_a_link_to_nobody_is_not_proposed)
{
	struct world w;

	setup(&w, 2);
	w.v.run = NULL;
	coordinator_measured(w.c, 1, 3, 1e6);
	for (int i = 0; i < 10; i++) {
		w.now += 1000;
		all_hear(&w);
	}
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	teardown(&w);
}

TEST(a_run_ends_when_all_live_trainers_have_reported_the_last_round)
{
	struct world w;

	setup(&w, 3);
	w.trainers[2].runs = false;
	next(&w);
	coordinator_reported(w.c, 1, 1, 39, NAN);
	next(&w);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	coordinator_reported(w.c, 1, 2, 39, NAN);
	CHECK_INT(next(&w), COORDINATOR_RUN_FINISHED);
	CHECK_INT(w.act.run, 1);
	teardown(&w);
}

TEST(a_run_ends_at_its_target_accuracy)
{
	struct world w;

	setup(&w, 2);
	w.run.target_accuracy = 0.8;
	next(&w);
	coordinator_reported(w.c, 1, 1, 3, 0.85);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	coordinator_reported(w.c, 1, 2, 3, 0.74);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	coordinator_reported(w.c, 1, 2, 4, 0.76);
	CHECK_INT(next(&w), COORDINATOR_RUN_FINISHED);
	teardown(&w);
}

TEST(a_run_fails_when_too_few_were_live_for_too_long)
{
	struct world w;

	setup(&w, 2);
	next(&w);
	w.v.ntrainers = 1;
	w.v.epoch++;
	for (int i = 0; i < 299; i++) {
		w.now += 1000;
		all_hear(&w);
		CHECK(next(&w) != COORDINATOR_RUN_FAILED);
	}
	w.now += 1000;
	all_hear(&w);
	CHECK_INT(next(&w), COORDINATOR_RUN_FAILED);
	CHECK_HAS(w.act.why, "fewer than 2 trainers for 300 s");
	teardown(&w);
}

TEST(a_run_fails_at_once_when_all_its_trainers_have_failed)
{
	struct coordinator_failed failed[3] = {
		{1, "./own: exited with status 3"},
		{2, "./own: exited with status 3"},
		{3, "killed"},
	};
	struct world w;

	setup(&w, 3);
	w.run.min_trainers = 3;
	w.v.failed = failed;
	for (size_t i = 0; i < 3; i++)
		w.trainers[i].runs = false;
	w.v.nfailed = 2; /* fewer than have to begin: the third may come */
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	w.run.min_trainers = 2;
	w.trainers[2].runs = true; /* who is there goes on waiting */
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	w.trainers[2].runs = false;
	w.v.away = 1; /* as does who may come back */
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	w.v.away = 0;
	CHECK_INT(next(&w), COORDINATOR_RUN_FAILED);
	CHECK_STR(w.act.why,
		  "all 2 trainers failed: ./own: exited with status 3");
	w.v.nfailed = 3;
	CHECK_INT(next(&w), COORDINATOR_RUN_FAILED);
	CHECK_STR(w.act.why, "all 3 trainers failed, trainer 1 with: "
			     "./own: exited with status 3");
	w.run.min_trainers = 1;
	w.v.nfailed = 1; /* one alone is no run */
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	teardown(&w);
}

static void check_pairs_are_edges(const struct world *w, int64_t run)
{
	for (int64_t t = 0; t < plans_end(&w->plans, run); t++) {
		const struct plan_round *r =
			plans_at(&w->plans, run, w->v.epoch, t, NULL);

		for (size_t i = 0; r && i < r->npairs; i++)
			CHECK(graph_weight(&w->graph, r->pairs[i].a,
					   r->pairs[i].b) > 0);
	}
}

TEST(a_plan_pairs_along_the_graph_and_tells_of_its_parts)
{
	static const struct graph_edge halves[] = {
		{1, 2, 1}, {2, 3, 1}, {1, 3, 2}, {4, 5, 1}, {5, 6, 1}};
	static const struct graph_edge bridge = {3, 4, 1};
	struct world w;
	const struct plan_round *r;

	setup(&w, 6);
	CHECK_INT(coordinator_parts(&w.v), 1);
	graph_replace(&w.graph, halves, 5, 8);
	CHECK_INT(coordinator_parts(&w.v), 2);
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	check_pairs_are_edges(&w, 1);
	w.v.epoch = 9;
	graph_apply(&w.graph, &bridge, 1, 9);
	CHECK_INT(coordinator_parts(&w.v), 1);
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	check_pairs_are_edges(&w, 1);
	w.v.epoch = 10; /* a ring by the policy's name is none of the graph's */
	w.run.policy = TOPOLOGY_RING;
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	check_pairs_are_edges(&w, 1);
	w.v.epoch = 11;
	graph_replace(&w.graph, NULL, 0, 11); /* removed: all pair again */
	CHECK_INT(coordinator_parts(&w.v), 1);
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	r = plans_at(&w.plans, 1, 11, plans_start(&w.plans, 1), NULL);
	CHECK_INT(r->npairs, 3);
	teardown(&w);
}

/* Heavier edges look faster, so the planner keeps to them. */
TEST(a_weight_scales_the_speed_that_the_planner_sees)
{
	struct graph_edge all[6];
	struct world w;
	size_t n = 0;

	setup(&w, 4);
	for (int64_t a = 1; a < 5; a++)
		for (int64_t b = a + 1; b < 5; b++)
			all[n++] = (struct graph_edge){
				a, b, a == 1 && b == 3 ? 0.01 : 1};
	graph_replace(&w.graph, all, n, 8);
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	for (int64_t t = 0; t < 16; t++)
		CHECK(plan_partner(plans_at(&w.plans, 1, 7, t, NULL), 1) != 3);
	teardown(&w);
}

TEST(along_a_graph_plans_wait_for_the_slowest_but_not_for_ever)
{
	static const struct graph_edge path[] = {{1, 2, 1}, {2, 3, 1}};
	struct world w;

	setup(&w, 3);
	graph_replace(&w.graph, path, 2, 8);
	CHECK_INT(next(&w), COORDINATOR_PLAN); /* rounds 0 to 15 */
	for (int64_t id = 1; id < 4; id++)
		coordinator_reported(w.c, 1, id, 0, NAN);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	coordinator_reported(w.c, 1, 1, 15, NAN);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	coordinator_reported(w.c, 1, 2, 7, NAN);
	coordinator_reported(w.c, 1, 3, 7, NAN);
	CHECK_INT(next(&w), COORDINATOR_PLAN); /* 16 to 31 */
	coordinator_reported(w.c, 1, 1, 31, NAN);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	w.now += w.run.deadline_ms; /* nobody else has moved since */
	all_hear(&w);
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	CHECK_INT(plans_end(&w.plans, 1), 40);
	teardown(&w);
}

/* --- slow links ------------------------------------------------------------ */

static void both_ways(struct world *w, int64_t a, int64_t b, double bps)
{
	coordinator_measured(w->c, a, b, bps);
	coordinator_measured(w->c, b, a, bps);
}

/* The first planned round from t on in which a is with b, or -1. */
static int64_t meet_at(const struct world *w, int64_t a, int64_t b, int64_t t)
{
	const struct plan_round *r;

	for (; (r = plans_at(&w->plans, 1, 0, t, NULL)); t++)
		if (plan_partner(r, a) == b)
			return t;
	return -1;
}

/* The leader of 4, in round 0, of which 1 and 2 (and 3 and 4) have told. */
static void begin_slow(struct world *w, double bps)
{
	setup(w, 4);
	w->run.exchange_bytes = 4e5;
	CHECK_INT(next(w), COORDINATOR_PLAN);
	CHECK(meet_at(w, 1, 2, 1) > 0);
	both_ways(w, 3, 4, 1e8);
	both_ways(w, 1, 2, bps);
	coordinator_reported(w->c, 1, 3, 0, NAN);
	w->now += 1000;
	all_hear(w);
}

TEST(a_slow_link_goes_to_the_log_at_once_and_the_rounds_ahead_are_planned_anew)
{
	struct world w;

	begin_slow(&w, 1e6);
	CHECK_INT(next(&w), COORDINATOR_BANDWIDTH);
	CHECK_INT(w.act.ncells, 4);
	CHECK_INT(next(&w), COORDINATOR_PLAN); /* epoch: the speeds' version */
	CHECK_INT(plans_epoch(&w.plans, 1), 9);
	CHECK_INT(plans_start(&w.plans, 1), 1);
	CHECK_INT(plans_end(&w.plans, 1), 17);
	CHECK_INT(meet_at(&w, 1, 2, 1), -1);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	coordinator_reported(w.c, 1, 3, 8, NAN); /* and so it goes on */
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	CHECK_INT(plans_epoch(&w.plans, 1), 9);
	CHECK_INT(plans_end(&w.plans, 1), 33);
	CHECK_INT(meet_at(&w, 1, 2, 1), -1);
	w.v.epoch = 20; /* until the set changes */
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	CHECK_INT(plans_epoch(&w.plans, 1), 20);
	CHECK_INT(meet_at(&w, 1, 2, 9), -1);
	teardown(&w);
}

TEST(a_link_that_is_slow_but_costs_little_waits_for_the_next_plan)
{
	static const double bps[] = {5e7, 3e6}; /* 2 times slower; 130 ms */
	struct world w;

	for (int i = 0; i < 2; i++) {
		begin_slow(&w, bps[i]);
		CHECK_INT(next(&w), COORDINATOR_NOTHING);
		teardown(&w);
	}
	begin_slow(&w, 3e6);
	w.run.exchange_bytes = 1e6; /* 320 ms */
	CHECK_INT(next(&w), COORDINATOR_BANDWIDTH);
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	teardown(&w);
}

TEST(one_slow_transfer_is_no_slow_link)
{
	struct world w;

	begin_slow(&w, 1e8);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	coordinator_measured(w.c, 1, 3, 1e6);
	w.now += 1000;
	all_hear(&w);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	coordinator_measured(w.c, 3, 1, 1e8); /* it is fast the other way */
	w.now += 1000;
	all_hear(&w);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	coordinator_measured(w.c, 1, 3, 1e6); /* yes, this way it is slow */
	w.now += 1000;
	all_hear(&w);
	CHECK_INT(next(&w), COORDINATOR_BANDWIDTH);
	CHECK_INT(next(&w), COORDINATOR_PLAN);
	CHECK_INT(meet_at(&w, 1, 3, 1), -1);
	teardown(&w);
}

/* A round as planned, in which 1 and 2 exchange at bps, all others fast, and
 * what is proposed then. Whether 1 met 2. */
static bool round_of(struct world *w, int64_t t, double bps)
{
	const struct plan_round *r = plans_at(&w->plans, 1, 0, t, NULL);
	bool met = false;

	for (size_t i = 0; i < r->npairs; i++) {
		bool slow = r->pairs[i].a == 1 && r->pairs[i].b == 2;

		both_ways(w, r->pairs[i].a, r->pairs[i].b, slow ? bps : 1e8);
		met |= slow;
	}
	for (int64_t id = 1; id < 5; id++)
		coordinator_reported(w->c, 1, id, t, NAN);
	w->now += 300;
	all_hear(w);
	while (next(w))
		w->version++;
	return met;
}

TEST(a_link_that_turns_slow_is_left_after_the_second_exchange)
{
	struct world w;
	int met = 0;

	begin_slow(&w, 1e8);
	w.run.rounds = 1000;
	for (int64_t t = 0; t < 200; t++)
		met += round_of(&w, t, 1e8);
	CHECK(met > 50);
	CHECK_INT(plans_epoch(&w.plans, 1), 7);
	met = 0;
	for (int64_t t = 200; t < 300; t++)
		met += round_of(&w, t, 1e6);
	CHECK_INT(met, 2);
	CHECK(plans_epoch(&w.plans, 1) > 7);
	teardown(&w);
}

TEST(a_slow_round_now_and_then_changes_no_plan)
{
	struct world w;
	int met = 0, slow = 0;
	bool was = false;

	begin_slow(&w, 1e8);
	w.run.rounds = 1000;
	for (int64_t t = 0; t < 300; t++) {
		was = round_of(&w, t, met % 4 ? 1e8 : 1e6);
		slow += was && met % 4 == 0;
		met += was;
	}
	CHECK(met > 80 && slow > 20);
	CHECK_INT(plans_epoch(&w.plans, 1), 7);
	teardown(&w);
}

/* Whatever is measured: no more plans than twice what there would be. */
TEST(noise_makes_no_storm_of_plans)
{
	struct rand r = {3};
	struct world w;
	int plans = 0, speeds = 0;

	begin_slow(&w, 1e6);
	w.run.rounds = 100000;
	for (int64_t t = 0; t < 800; t++) {
		for (int64_t id = 1; id < 5; id++)
			coordinator_reported(w.c, 1, id, t, NAN);
		for (int i = 0; i < 4; i++) {
			both_ways(&w, 1, 2 + (int64_t)rand_below(&r, 3),
				  exp2(14 + 14 * rand_unit(&r)));
			w.now += 300;
			all_hear(&w);
			while (next(&w)) {
				plans += w.act.kind == COORDINATOR_PLAN;
				speeds += w.act.kind == COORDINATOR_BANDWIDTH;
				w.version++;
			}
		}
	}
	CHECK(plans >= 50);
	CHECK(plans <= 2 * 800 / 8 + 1);
	CHECK(speeds <= 2 * 800 / 8 + 1);
	teardown(&w);
}

TEST(plans_by_other_policies_and_along_a_graph_stay_as_they_are)
{
	static const struct graph_edge ring[] = {
		{1, 2, 1}, {2, 3, 1}, {3, 4, 1}, {1, 4, 1}};
	struct world w;

	begin_slow(&w, 1e6);
	w.run.policy = TOPOLOGY_RANDOM;
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	w.run.policy = TOPOLOGY_AUTO;
	graph_replace(&w.graph, ring, 4, 7);
	CHECK_INT(next(&w), COORDINATOR_NOTHING);
	graph_replace(&w.graph, NULL, 0, 7);
	CHECK_INT(next(&w), COORDINATOR_BANDWIDTH);
	teardown(&w);
}
