#include "node/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

#include "base/mem.h"
#include "node/roles.h"
#include "node/state_impl.h"
#include "wire/rpc.h"

/* A state, and what became of the last entry. */
struct fix {
	struct state *s;
	struct state_result res;
	struct err err;
};

#define CLUSTER "00112233445566778899aabbccddeeff"
#define TRAINER(name) GFL__V1__TRAINER_CHANGE__ACTION__##name
#define MEMBER(name) GFL__V1__MEMBERSHIP__ACTION__##name
#define RUN(name) GFL__V1__RUN_CHANGE__ACTION__##name
#define KIND(name) GFL__V1__ENTRY__KIND_##name

/* Apply e as the next entry; its code of refusal. */
static int apply(struct fix *f, enum state_config config,
		 const Gfl__V1__Entry *e)
{
	CHECK_INT(state_apply(f->s, f->s->applied + 1, 1, config, e, &f->res,
			      &f->err),
		  0);
	return f->res.refused.code;
}

static int member(struct fix *f, bool config, int action, int64_t id,
		  const char *instance, const char *cluster)
{
	Gfl__V1__Member m = GFL__V1__MEMBER__INIT;
	Gfl__V1__Membership c = GFL__V1__MEMBERSHIP__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	m.id = id;
	m.instance_id = (char *)instance;
	m.url = "http://127.0.0.1:1";
	m.role = GFL__V1__ROLE__LEARNER;
	c.action = action;
	c.member = &m;
	c.cluster_id = (char *)cluster;
	e.kind_case = KIND(MEMBERSHIP);
	e.membership = &c;
	return apply(f, config, &e);
}

static int trainer_change(struct fix *f, int action, Gfl__V1__Trainer *t)
{
	Gfl__V1__TrainerChange c = GFL__V1__TRAINER_CHANGE__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	c.action = action;
	c.trainer = t;
	e.kind_case = KIND(TRAINER);
	e.trainer = &c;
	return apply(f, false, &e);
}

static int trainer(struct fix *f, int action, int64_t id, const char *instance,
		   int64_t node)
{
	Gfl__V1__Trainer t = GFL__V1__TRAINER__INIT;

	t.id = id;
	t.instance_id = (char *)instance;
	t.node_id = node;
	t.url = "http://127.0.0.1:9";
	return trainer_change(f, action, &t);
}

static int run_change(struct fix *f, int action, int64_t id,
		      Gfl__V1__TrainerReport *report)
{
	Gfl__V1__RunSpec spec = GFL__V1__RUN_SPEC__INIT;
	Gfl__V1__RunChange c = GFL__V1__RUN_CHANGE__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	spec.rounds = 1000;
	c.action = action;
	c.id = id;
	c.spec = action == RUN(START) ? &spec : NULL;
	c.reason = "because";
	c.at_ms = 1000 + f->s->applied;
	c.reports = &report;
	c.n_reports = report ? 1 : 0;
	e.kind_case = KIND(RUN);
	e.run = &c;
	return apply(f, false, &e);
}

static int plan(struct fix *f, int64_t run, int64_t epoch, int64_t t0,
		int64_t a, int64_t b)
{
	struct plan *p = plan_new(run, epoch, t0, 2);
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	int rc;

	for (int i = 0; i < 2; i++) {
		p->rounds[i].c = 10;
		p->rounds[i].deadline_ms = 1000;
		p->rounds[i].npairs = 1;
		p->rounds[i].pairs = mem_zero(1, sizeof(struct plan_pair));
		p->rounds[i].pairs[0] = (struct plan_pair){a, b};
	}
	e.kind_case = KIND(TOPOLOGY);
	e.topology = state_plan_encode(p);
	rc = apply(f, false, &e);
	rpc_free(&e.topology->base);
	plan_free(p);
	return rc;
}

static int bandwidth(struct fix *f, int64_t base, int64_t from, int64_t to,
		     int level)
{
	Gfl__V1__Link l = GFL__V1__LINK__INIT, *links = &l;
	Gfl__V1__Bandwidth b = GFL__V1__BANDWIDTH__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	l.from = from;
	l.to = to;
	l.half_octaves = level;
	b.base_version = base;
	b.n_links = 1;
	b.links = &links;
	e.kind_case = KIND(BANDWIDTH);
	e.bandwidth = &b;
	return apply(f, false, &e);
}

/* A cluster of nodes 1 to 3, each with a trainer, and a run under way. */
static struct fix cluster(void)
{
	struct fix f = {.s = state_new()};

	CHECK_INT(member(&f, true, MEMBER(ADD), 1, "n1", CLUSTER), 0);
	CHECK_INT(member(&f, true, MEMBER(ADD), 2, "n2", ""), 0);
	CHECK_INT(member(&f, true, MEMBER(ADD), 3, "n3", ""), 0);
	for (int i = 1; i <= 3; i++) {
		char instance[] = {'t', (char)('0' + i), 0};

		CHECK_INT(trainer(&f, TRAINER(ATTACH), 0, instance, i), 0);
		CHECK_INT(f.res.id, i);
	}
	CHECK_INT(run_change(&f, RUN(START), 0, NULL), 0);
	return f;
}

TEST(the_first_entry_names_the_cluster_for_ever)
{
	struct fix f = {.s = state_new()};

	CHECK_INT(member(&f, true, MEMBER(ADD), 1, "n1", CLUSTER), 0);
	CHECK_STR(f.s->cluster_id, CLUSTER);
	CHECK_INT(member(&f, true, MEMBER(ADD), 2, "n2",
			 "ff112233445566778899aabbccddeeff"),
		  ERR_FAILED_PRECONDITION);
	CHECK_HAS(f.res.refused.msg, CLUSTER);
	CHECK_HAS(f.res.refused.msg, "ff1122");
	CHECK_STR(f.s->cluster_id, CLUSTER);
	state_free(f.s);
}

TEST(roles_follow_rafts_configuration_and_nothing_else)
{
	struct fix f = cluster();

	CHECK_INT(state_member(f.s, 2)->role, GFL__V1__ROLE__LEARNER);
	CHECK_INT(member(&f, true, MEMBER(PROMOTE), 2, "", ""), 0);
	CHECK_INT(state_member(f.s, 2)->role, GFL__V1__ROLE__VOTER);
	CHECK_INT(member(&f, true, MEMBER(DEMOTE), 2, "", ""), 0);
	CHECK_INT(state_member(f.s, 2)->role, GFL__V1__ROLE__STANDBY);
	CHECK_INT(member(&f, false, MEMBER(PROMOTE), 2, "", ""),
		  ERR_INVALID_ARGUMENT);
	CHECK_INT(state_member(f.s, 2)->role, GFL__V1__ROLE__STANDBY);
	CHECK_INT(member(&f, true, MEMBER(REMOVE), 2, "", ""), 0);
	CHECK(!state_member(f.s, 2));
	CHECK_INT(f.s->nmembers, 2);
	state_free(f.s);
}

TEST(a_member_that_is_back_keeps_its_role_and_another_instance_is_refused)
{
	struct fix f = cluster();

	CHECK_INT(member(&f, false, MEMBER(MARK_DOWN), 2, "", ""), 0);
	CHECK_INT(state_member(f.s, 2)->liveness, GFL__V1__LIVENESS__DOWN);
	CHECK_INT(member(&f, false, MEMBER(ADD), 2, "other", ""),
		  ERR_ALREADY_EXISTS);
	CHECK_INT(member(&f, false, MEMBER(ADD), 2, "n2", ""), 0);
	CHECK_INT(state_member(f.s, 2)->liveness, GFL__V1__LIVENESS__LIVE);
	CHECK_INT(member(&f, false, MEMBER(ADD), 9, "n9", ""), ERR_NOT_FOUND);
	CHECK_INT(member(&f, false, MEMBER(MARK_UP), 9, "", ""), ERR_NOT_FOUND);
	state_free(f.s);
}

TEST(the_first_trainer_of_a_node_has_its_number_and_others_the_next)
{
	struct fix f = cluster();

	CHECK_INT(trainer(&f, TRAINER(ATTACH), 0, "second", 2), 0);
	CHECK_INT(f.res.id, 4);
	CHECK_INT(trainer(&f, TRAINER(DETACH), 2, "", 0), 0);
	CHECK_INT(trainer(&f, TRAINER(DETACH), 4, "", 0), 0);
	CHECK_INT(trainer(&f, TRAINER(ATTACH), 0, "third", 2), 0);
	CHECK_INT(f.res.id, 2);
	CHECK_INT(trainer(&f, TRAINER(ATTACH), 7, "seventh", 2), 0);
	CHECK_INT(f.res.id, 7);
	CHECK_INT(trainer(&f, TRAINER(ATTACH), 0, "eighth", 2), 0);
	CHECK_INT(f.res.id, 8);
	state_free(f.s);
}

TEST(an_id_whose_holder_is_alive_is_refused_and_after_its_death_given)
{
	struct fix f = cluster();

	CHECK_INT(trainer(&f, TRAINER(ATTACH), 2, "thief", 3),
		  ERR_ALREADY_EXISTS);
	CHECK_STR(state_trainer(f.s, 2)->instance_id, "t2");
	CHECK_INT(trainer(&f, TRAINER(MARK_DOWN), 2, "", 0), 0);
	CHECK_INT(trainer(&f, TRAINER(ATTACH), 2, "heir", 3), 0);
	CHECK_STR(state_trainer(f.s, 2)->instance_id, "heir");
	CHECK_INT(trainer(&f, TRAINER(ATTACH), 2, "t2", 2), ERR_ALREADY_EXISTS);
	CHECK_INT(trainer(&f, TRAINER(ATTACH), 0, "nowhere", 77),
		  ERR_FAILED_PRECONDITION);
	CHECK_INT(trainer(&f, TRAINER(ATTACH), 0, "", 1), ERR_INVALID_ARGUMENT);
	state_free(f.s);
}

TEST(an_attachment_asked_for_twice_is_one)
{
	struct fix f = cluster();
	int64_t epoch = f.s->epoch;

	CHECK_INT(trainer(&f, TRAINER(ATTACH), 0, "t3", 1), 0);
	CHECK_INT(f.res.id, 3);
	CHECK_INT(f.s->ntrainers, 3);
	CHECK_INT(state_trainer(f.s, 3)->node_id, 1);
	CHECK_INT(state_trainer(f.s, 3)->attached_index, f.s->applied);
	CHECK_INT(f.s->epoch, epoch); /* it moved, the set is the same */
	CHECK_INT(trainer(&f, TRAINER(ATTACH), 5, "t3", 1), ERR_ALREADY_EXISTS);
	state_free(f.s);
}

TEST(a_cluster_is_spoken_for_by_its_latest_leader_only)
{
	struct fix f = cluster();
	Gfl__V1__Trainer t = GFL__V1__TRAINER__INIT;

	t.instance_id = CLUSTER;
	t.url = "http://127.0.0.1:9";
	t.node_id = 1;
	t.term = 4;
	CHECK_INT(trainer_change(&f, TRAINER(ATTACH), &t), 0);
	t.node_id = 2;
	t.term = 6;
	CHECK_INT(trainer_change(&f, TRAINER(ATTACH), &t), 0);
	t.node_id = 1;
	t.term = 4;
	CHECK_INT(trainer_change(&f, TRAINER(ATTACH), &t),
		  ERR_FAILED_PRECONDITION);
	CHECK_INT(state_trainer_of(f.s, CLUSTER)->node_id, 2);
	state_free(f.s);
}

TEST(a_run_above_has_one_part_here_and_a_bridge_until_its_end)
{
	struct fix f = cluster(), g = {0};
	Gfl__V1__RunSpec spec = GFL__V1__RUN_SPEC__INIT;
	Gfl__V1__RunChange c = GFL__V1__RUN_CHANGE__INIT;
	Gfl__V1__Bridge b = GFL__V1__BRIDGE__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	Gfl__V1__State *msg;
	int64_t first = state_running(f.s)->id, part;

	b.run = first;
	b.self = 1;
	e.kind_case = KIND(BRIDGE);
	e.bridge = &b;
	CHECK_INT(apply(&f, false, &e), ERR_FAILED_PRECONDITION);
	CHECK_INT(run_change(&f, RUN(STOP), first, NULL), 0);

	spec.rounds = 100;
	spec.upper_id = CLUSTER;
	spec.upper_run = 7;
	c.action = RUN(START);
	c.spec = &spec;
	e.kind_case = KIND(RUN);
	e.run = &c;
	CHECK_INT(apply(&f, false, &e), 0);
	part = f.res.id;
	CHECK_INT(apply(&f, false, &e), ERR_ALREADY_EXISTS);
	CHECK_INT(state_part(f.s, CLUSTER, 7)->id, part);
	CHECK(!state_part(f.s, CLUSTER, 8));

	b.run = part;
	e.kind_case = KIND(BRIDGE);
	e.bridge = &b;
	CHECK_INT(apply(&f, false, &e), 0);
	CHECK_INT(f.s->bridge->index, f.s->applied);
	msg = state_encode(f.s);
	CHECK_INT(state_decode(&g.s, msg, &g.err), 0);
	CHECK_INT(g.s->bridge->index, f.s->applied);
	b.self = 0;
	CHECK_INT(apply(&f, false, &e), ERR_INVALID_ARGUMENT);
	CHECK_INT(run_change(&f, RUN(STOP), part, NULL), 0);
	CHECK(!f.s->bridge);
	rpc_free(&msg->base);
	state_free(g.s);
	state_free(f.s);
}

TEST(the_epoch_is_the_index_of_the_last_change_of_the_set)
{
	static const struct {
		int action;
		bool changes;
	} rows[] = {
		{TRAINER(MOVE), false},     {TRAINER(MARK_UP), false},
		{TRAINER(MARK_DOWN), true}, {TRAINER(MARK_DOWN), false},
		{TRAINER(MARK_UP), true},   {TRAINER(MARK_DOWN), true},
		{TRAINER(ATTACH), true},    {TRAINER(DETACH), true},
	};
	struct fix f = cluster();

	CHECK_INT(f.s->epoch, 6);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int64_t before = f.s->epoch;

		CHECK_INT(trainer(&f, rows[i].action, 2, "t2", 3), 0);
		CHECK_INT(f.s->epoch, rows[i].changes ? f.s->applied : before);
		CHECK_INT(!!(f.res.changed & STATE_EPOCH), rows[i].changes);
	}
	CHECK_INT(member(&f, false, MEMBER(MARK_DOWN), 2, "", ""), 0);
	CHECK(f.s->epoch < f.s->applied);
	state_free(f.s);
}

TEST(a_change_that_speaks_of_a_past_attachment_is_refused)
{
	struct fix f = cluster();
	Gfl__V1__Trainer t = GFL__V1__TRAINER__INIT;

	t.id = 2;
	t.attached_index = state_trainer(f.s, 2)->attached_index;
	CHECK_INT(trainer(&f, TRAINER(ATTACH), 2, "t2", 3), 0);
	CHECK_INT(trainer_change(&f, TRAINER(MARK_DOWN), &t), ERR_ABORTED);
	CHECK_INT(state_trainer(f.s, 2)->liveness, GFL__V1__LIVENESS__LIVE);
	CHECK_INT(trainer(&f, TRAINER(DETACH), 2, "other", 0), ERR_ABORTED);
	CHECK_INT(trainer(&f, TRAINER(DETACH), 9, "", 0), ERR_NOT_FOUND);
	state_free(f.s);
}

TEST(a_second_run_waits_in_line)
{
	struct fix f = cluster();
	int64_t first = f.res.id, second;

	CHECK_INT(first, f.s->applied);
	CHECK_STR(state_run(f.s, first)->state, "running");
	CHECK_INT(run_change(&f, RUN(START), 0, NULL), 0);
	second = f.res.id;
	CHECK_STR(state_run(f.s, second)->state, "waiting");
	CHECK_INT(run_change(&f, RUN(PROGRESS), second, NULL),
		  ERR_FAILED_PRECONDITION);
	CHECK_INT(run_change(&f, RUN(FINISH), first, NULL), 0);
	CHECK_STR(state_run(f.s, first)->state, "finished");
	CHECK_INT(state_run(f.s, first)->ended_ms, 1000 + f.s->applied - 1);
	CHECK_STR(state_run(f.s, second)->state, "running");
	CHECK_INT(state_run(f.s, second)->started_ms,
		  state_run(f.s, first)->ended_ms);
	CHECK_INT(run_change(&f, RUN(STOP), first, NULL),
		  ERR_FAILED_PRECONDITION);
	CHECK_INT(run_change(&f, RUN(STOP), second, NULL), 0);
	CHECK_STR(state_run(f.s, second)->state, "stopped");
	CHECK_STR(state_run(f.s, second)->reason, "because");
	CHECK(!state_running(f.s));
	CHECK_INT(run_change(&f, RUN(STOP), 12345, NULL), ERR_NOT_FOUND);
	state_free(f.s);
}

TEST(one_that_waits_can_be_stopped_and_the_line_is_bounded)
{
	struct fix f = cluster();

	for (int i = 0; i < STATE_WAITING_MAX; i++)
		CHECK_INT(run_change(&f, RUN(START), 0, NULL), 0);
	CHECK_INT(run_change(&f, RUN(START), 0, NULL), ERR_RESOURCE_EXHAUSTED);
	CHECK_INT(run_change(&f, RUN(STOP), f.s->applied - 1, NULL), 0);
	CHECK_INT(run_change(&f, RUN(START), 0, NULL), 0);
	CHECK_INT(state_running(f.s)->id, 7);
	state_free(f.s);
}

TEST(runs_that_are_over_are_forgotten_past_the_bound)
{
	struct fix f = cluster();
	int64_t last = f.res.id;

	for (int i = 0; i < 2 * STATE_RUNS_MAX; i++) {
		CHECK_INT(run_change(&f, RUN(FAIL), last, NULL), 0);
		CHECK_INT(run_change(&f, RUN(START), 0, NULL), 0);
		last = f.res.id;
	}
	CHECK_INT(f.s->nruns, STATE_RUNS_MAX);
	CHECK_INT(state_running(f.s)->id, last);
	CHECK_INT(f.s->runs[STATE_RUNS_MAX - 1]->id, last);
	state_free(f.s);
}

TEST(reports_keep_the_last_value_that_was_said)
{
	struct fix f = cluster();
	Gfl__V1__TrainerReport r = GFL__V1__TRAINER_REPORT__INIT;
	int64_t run = f.res.id;

	r.trainer_id = 3;
	r.round = 4;
	r._accuracy_case = GFL__V1__TRAINER_REPORT___ACCURACY_ACCURACY;
	r.accuracy = 0.5;
	CHECK_INT(run_change(&f, RUN(PROGRESS), run, &r), 0);
	r.trainer_id = 1;
	CHECK_INT(run_change(&f, RUN(PROGRESS), run, &r), 0);
	r.trainer_id = 3;
	r.round = 6;
	r._accuracy_case = 0;
	CHECK_INT(run_change(&f, RUN(PROGRESS), run, &r), 0);
	CHECK_INT(state_run(f.s, run)->n_reports, 2);
	CHECK_INT(state_run(f.s, run)->reports[0]->trainer_id, 1);
	CHECK_INT(state_run(f.s, run)->reports[1]->round, 6);
	CHECK_NEAR(state_run(f.s, run)->reports[1]->accuracy, 0.5, 0);
	CHECK_INT(state_run(f.s, run)->reports[1]->run, run);
	state_free(f.s);
}

TEST(a_report_out_of_bounds_counts_for_nothing)
{
	struct fix f = cluster();
	Gfl__V1__TrainerReport r = GFL__V1__TRAINER_REPORT__INIT;
	char *longer = mem_zero(1, STATE_TEXT_MAX + 2);

	memset(longer, 'x', STATE_TEXT_MAX + 1);
	r.trainer_id = 3;
	CHECK(state_report_ok(&r));
	r.round = -1;
	CHECK(!state_report_ok(&r));
	CHECK_INT(run_change(&f, RUN(PROGRESS), f.res.id, &r), 0);
	CHECK_INT(f.s->runs[0]->n_reports, 0);
	r.round = INT64_MAX;
	CHECK(!state_report_ok(&r));
	r.round = 1;
	r._accuracy_case = GFL__V1__TRAINER_REPORT___ACCURACY_ACCURACY;
	r.accuracy = NAN;
	CHECK(!state_report_ok(&r));
	r.accuracy = 1;
	CHECK(state_report_ok(&r));
	r.reason = longer;
	CHECK(!state_report_ok(&r));
	free(longer);
	state_free(f.s);
}

TEST(a_plan_is_for_the_run_under_way_the_epoch_and_live_trainers)
{
	struct fix f = cluster();
	int64_t run = f.res.id, epoch = f.s->epoch;

	CHECK_INT(plan(&f, run + 1, epoch, 0, 1, 2), ERR_FAILED_PRECONDITION);
	CHECK_INT(plan(&f, run, epoch - 1, 0, 1, 2), ERR_ABORTED);
	CHECK_INT(plan(&f, run, epoch, 0, 1, 9), ERR_INVALID_ARGUMENT);
	CHECK_INT(plan(&f, run, epoch, 0, 2, 1), ERR_INVALID_ARGUMENT);
	CHECK_INT(f.s->plans.n, 0);
	CHECK_INT(plan(&f, run, epoch, 0, 1, 2), 0);
	CHECK_INT(plan(&f, run, epoch, 1, 1, 3), ERR_ALREADY_EXISTS);
	CHECK_INT(plan(&f, run, epoch, 2, 1, 3), 0);
	CHECK_INT(f.s->plans.n, 2);
	CHECK_INT(run_change(&f, RUN(FINISH), run, NULL), 0);
	CHECK_INT(f.s->plans.n, 0);
	CHECK_INT(plan(&f, run, epoch, 4, 1, 3), ERR_FAILED_PRECONDITION);
	state_free(f.s);
}

TEST(a_plan_goes_on_where_the_others_end_and_not_past_the_run)
{
	struct fix f = cluster();
	int64_t run = f.res.id, epoch = f.s->epoch;

	CHECK_INT(plan(&f, run, epoch, 1, 1, 2), ERR_ALREADY_EXISTS);
	CHECK_INT(plan(&f, run, epoch, 998, 1, 2), ERR_ALREADY_EXISTS);
	CHECK_INT(plan(&f, run, epoch, 0, 1, 2), 0);
	CHECK_INT(plan(&f, run, epoch, 999, 1, 2), ERR_INVALID_ARGUMENT);
	CHECK_INT(plan(&f, run, epoch, INT64_MAX / 2, 1, 2),
		  ERR_INVALID_ARGUMENT);
	CHECK_INT(plan(&f, run, epoch, 3, 1, 2), ERR_ALREADY_EXISTS);
	CHECK_INT(plan(&f, run, epoch, 2, 1, 2), 0);
	CHECK_INT(trainer(&f, TRAINER(MARK_DOWN), 3, "", 0), 0);
	epoch = f.s->epoch;
	CHECK_INT(plan(&f, run, epoch, 5, 1, 2), ERR_ALREADY_EXISTS);
	CHECK_INT(plan(&f, run, epoch, 1, 1, 2), 0);
	CHECK_INT(plan(&f, run, epoch, 0, 1, 2), ERR_ALREADY_EXISTS);
	CHECK_INT(f.s->plans.n, 3);
	state_free(f.s);
}

/* The epoch of plans that were made anew is the version of the speeds. */
TEST(plans_may_be_made_anew_for_the_last_speeds_and_go_on_so)
{
	struct fix f = cluster();
	int64_t run = f.res.id, epoch = f.s->epoch, speeds;

	CHECK_INT(plan(&f, run, epoch, 0, 1, 2), 0);
	CHECK_INT(bandwidth(&f, 0, 1, 2, 40), 0);
	speeds = f.s->bandwidth.version;
	CHECK_INT(plan(&f, run, speeds + 1, 1, 1, 3), ERR_ABORTED);
	CHECK_INT(plan(&f, run, speeds - 1, 1, 1, 3), ERR_ABORTED);
	CHECK_INT(plan(&f, run, epoch, 2, 1, 2), 0); /* or not */
	CHECK_INT(plan(&f, run, speeds, 1, 1, 3), 0);
	CHECK_INT(f.s->epoch, epoch);
	CHECK_INT(plans_epoch(&f.s->plans, run), speeds);
	CHECK_INT(plan(&f, run, epoch, 4, 1, 2), ERR_ABORTED);
	CHECK_INT(plan(&f, run, speeds, 2, 1, 3), ERR_ALREADY_EXISTS);
	CHECK_INT(bandwidth(&f, speeds, 1, 2, 44), 0);
	CHECK_INT(plan(&f, run, speeds, 3, 1, 3), 0);
	CHECK_INT(trainer(&f, TRAINER(MARK_DOWN), 3, "", 0), 0);
	CHECK_INT(plan(&f, run, speeds, 5, 1, 2), ERR_ABORTED);
	CHECK_INT(plan(&f, run, f.s->bandwidth.version, 5, 1, 2), ERR_ABORTED);
	CHECK_INT(plan(&f, run, f.s->epoch, 2, 1, 2), 0);
	state_free(f.s);
}

TEST(old_plans_are_dropped)
{
	struct fix f = cluster();
	int64_t run = f.res.id, epoch = f.s->epoch;

	for (int t = 0; t < 1000; t += 2)
		CHECK_INT(plan(&f, run, epoch, t, 1, 2), 0);
	CHECK_INT(f.s->plans.n, STATE_ROUNDS_KEPT / 2 + 1);
	state_free(f.s);
}

TEST(bandwidth_names_the_version_that_it_changes)
{
	struct fix f = cluster();

	CHECK_INT(bandwidth(&f, 0, 1, 2, 40), 0);
	CHECK_INT(f.s->bandwidth.version, f.s->applied);
	CHECK_INT(bandwidth(&f, 0, 1, 3, 40), ERR_ABORTED);
	CHECK_INT(bandwidth(&f, f.s->bandwidth.version, 1, 3, 44), 0);
	CHECK_INT(bandwidth_find(&f.s->bandwidth, 1, 3)->level, 44);
	CHECK_INT(bandwidth(&f, f.s->bandwidth.version, 1, 9, 44), 0);
	CHECK(!bandwidth_find(&f.s->bandwidth, 1, 9));
	CHECK_INT(trainer(&f, TRAINER(DETACH), 3, "", 0), 0);
	CHECK_INT(f.s->bandwidth.n, 1);
	state_free(f.s);
}

static int topology(struct fix *f, Gfl__V1__Graph *g)
{
	Gfl__V1__Topology t = GFL__V1__TOPOLOGY__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	t.graph = g;
	e.kind_case = KIND(TOPOLOGY);
	e.topology = &t;
	return apply(f, false, &e);
}

/* A list of one edge, or of none (a is 0); weight -1 removes it. */
static int edge(struct fix *f, int form, int64_t base, int64_t a, int64_t b,
		double weight)
{
	Gfl__V1__Graph g = GFL__V1__GRAPH__INIT;
	Gfl__V1__Edge e = GFL__V1__EDGE__INIT, *edges = &e;

	e.a = a;
	e.b = b;
	e.removed = weight < 0;
	e.weight = e.removed ? 0 : weight;
	g.form = form;
	g.base_version = base;
	g.n_edges = a ? 1 : 0;
	g.edges = &edges;
	return topology(f, &g);
}

#define FORM(name) GFL__V1__FORM__##name

TEST(a_topology_names_the_version_that_it_changes_or_replaces_any)
{
	struct fix f = cluster();
	struct graph *g = &f.s->graph;

	CHECK_INT(edge(&f, FORM(DELTA), 1, 1, 2, 0), ERR_ABORTED);
	CHECK_HAS(f.res.refused.msg, "topology on version 1, which is 0 now");
	CHECK_INT(edge(&f, FORM(DELTA), 0, 2, 1, 0), 0);
	CHECK_INT(g->version, f.s->applied);
	CHECK_NEAR(graph_weight(g, 1, 2), 1, 0);
	CHECK_INT(edge(&f, FORM(DELTA), g->version, 2, 3, 0.5), 0);
	CHECK_INT(g->n, 2);
	CHECK_INT(edge(&f, FORM(SPARSE), g->version - 1, 1, 3, 1), ERR_ABORTED);
	CHECK_INT(edge(&f, FORM(SPARSE), g->version, 1, 3, 1), 0);
	CHECK_INT(g->n, 1);
	CHECK_INT(edge(&f, FORM(SPARSE), 0, 1, 2, 1), 0);
	CHECK_INT(edge(&f, FORM(DELTA), g->version, 1, 2, -1),
		  ERR_INVALID_ARGUMENT);
	CHECK_INT(g->n, 1);
	CHECK_INT(edge(&f, FORM(SPARSE), 0, 0, 0, 0), 0);
	CHECK_INT(g->n, 0);
	CHECK_INT(g->version, f.s->applied);
	state_free(f.s);
}

TEST(a_topology_that_makes_no_sense_is_refused)
{
	static const struct {
		int64_t a, b;
		double weight;
		int form;
		const char *why;
	} wrong[] = {
		{1, 1, 1, FORM(SPARSE), "to itself"},
		{-1, 2, 1, FORM(SPARSE), "no trainers' numbers"},
		{1, 2, NAN, FORM(SPARSE), "weight"},
		{1, 2, 1e9, FORM(DELTA), "weight"},
		{1, 2, -1, FORM(SPARSE), "removed in a whole"},
		{1, 2, 1, 7, "form"},
	};
	struct fix f = cluster();

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		CHECK_INT(edge(&f, wrong[i].form, 0, wrong[i].a, wrong[i].b,
			       wrong[i].weight),
			  ERR_INVALID_ARGUMENT);
		CHECK_HAS(f.res.refused.msg, wrong[i].why);
	}
	CHECK_INT(f.s->graph.version, 0);
	state_free(f.s);
}

static int matrix(struct fix *f, const double *w, size_t n, int64_t *trainers,
		  size_t rows)
{
	Gfl__V1__Graph g = GFL__V1__GRAPH__INIT;

	g.form = FORM(EXPLICIT);
	g.weights = (double *)w;
	g.n_weights = n;
	g.trainers = trainers;
	g.n_trainers = rows;
	return topology(f, &g);
}

TEST(a_matrix_is_square_symmetric_and_of_trainers_in_order)
{
	static const double path[9] = {0, 2, 0, 2, 0, 1, 0, 1, 0};
	static const double crooked[4] = {0, 1, 2, 0}, empty[4] = {0};
	int64_t ids[3] = {2, 5, 9}, again[3] = {2, 2, 9};
	struct fix f = cluster();

	CHECK_INT(matrix(&f, path, 9, NULL, 0), 0);
	CHECK_NEAR(graph_weight(&f.s->graph, 2, 1), 2, 0);
	CHECK_NEAR(graph_weight(&f.s->graph, 1, 3), 0, 0);
	CHECK_INT(matrix(&f, path, 9, ids, 3), 0);
	CHECK_NEAR(graph_weight(&f.s->graph, 5, 9), 1, 0);
	CHECK_INT(f.s->graph.n, 2);
	CHECK_INT(matrix(&f, path, 8, NULL, 0), ERR_INVALID_ARGUMENT);
	CHECK_HAS(f.res.refused.msg, "no square");
	CHECK_INT(matrix(&f, path, 9, ids, 2), ERR_INVALID_ARGUMENT);
	CHECK_INT(matrix(&f, path, 9, again, 3), ERR_INVALID_ARGUMENT);
	CHECK_HAS(f.res.refused.msg, "ascend");
	CHECK_INT(matrix(&f, crooked, 4, NULL, 0), ERR_INVALID_ARGUMENT);
	CHECK_HAS(f.res.refused.msg, "not symmetric");
	CHECK_INT(matrix(&f, empty, 4, NULL, 0), ERR_INVALID_ARGUMENT);
	CHECK_HAS(f.res.refused.msg, "without an edge");
	state_free(f.s);
}

TEST(a_topology_begins_an_epoch_whose_plans_obey_it)
{
	struct fix f = cluster();
	int64_t run = f.res.id, epoch = f.s->epoch;

	CHECK_INT(edge(&f, FORM(SPARSE), 0, 2, 3, 1), 0);
	CHECK_INT(f.s->epoch, f.s->applied);
	CHECK_INT(plan(&f, run, epoch, 0, 2, 3), ERR_ABORTED);
	CHECK_INT(plan(&f, run, f.s->epoch, 0, 1, 2), ERR_INVALID_ARGUMENT);
	CHECK_HAS(f.res.refused.msg, "the topology lacks");
	CHECK_INT(plan(&f, run, f.s->epoch, 0, 2, 3), 0);
	state_free(f.s);
}

TEST(speeds_come_as_a_matrix_and_name_trainers_that_are_there)
{
	static int32_t levels[9] = {0, 40, 41, 42, 0, 0, 50, 51, 7};
	Gfl__V1__Bandwidth b = GFL__V1__BANDWIDTH__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	int64_t ids[3] = {1, 2, 9};
	struct fix f = cluster();

	CHECK_INT(bandwidth(&f, 0, 3, 1, 60), 0);
	e.kind_case = KIND(BANDWIDTH);
	e.bandwidth = &b;
	b.form = FORM(EXPLICIT);
	b.levels = levels;
	b.n_levels = 9;
	b.base_version = 1;
	CHECK_INT(apply(&f, false, &e), ERR_ABORTED);
	b.base_version = 0;
	CHECK_INT(apply(&f, false, &e), 0);
	CHECK_INT(f.s->bandwidth.n, 5);
	CHECK_INT(f.s->bandwidth.version, f.s->applied);
	CHECK_INT(bandwidth_find(&f.s->bandwidth, 3, 2)->level, 51);
	CHECK(!bandwidth_find(&f.s->bandwidth, 2, 3));
	CHECK_INT(state_links_known(f.s, &b, &f.err), 0);
	b.trainers = ids;
	b.n_trainers = 3;
	CHECK_INT(state_links_known(f.s, &b, &f.err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(f.err.msg, "from 1 to 9");
	levels[1] = 161;
	CHECK_INT(apply(&f, false, &e), ERR_INVALID_ARGUMENT);
	levels[1] = 40;
	state_free(f.s);
}

/* The version that a batch names is the one before it, for all its entries. */
TEST(a_batch_of_deltas_names_one_version)
{
	Gfl__V1__Graph g[2] = {GFL__V1__GRAPH__INIT, GFL__V1__GRAPH__INIT};
	Gfl__V1__Edge edges[2] = {GFL__V1__EDGE__INIT, GFL__V1__EDGE__INIT};
	Gfl__V1__Edge *at[2] = {&edges[0], &edges[1]};
	Gfl__V1__Topology t[2] = {GFL__V1__TOPOLOGY__INIT,
				  GFL__V1__TOPOLOGY__INIT};
	Gfl__V1__Entry one[2] = {GFL__V1__ENTRY__INIT, GFL__V1__ENTRY__INIT};
	Gfl__V1__Entry *both[2] = {&one[0], &one[1]};
	Gfl__V1__Batch b = GFL__V1__BATCH__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	struct fix f = cluster();

	for (int i = 0; i < 2; i++) {
		edges[i].a = 1;
		edges[i].b = 2 + i;
		g[i].edges = &at[i];
		g[i].n_edges = 1;
		t[i].graph = &g[i];
		one[i].kind_case = KIND(TOPOLOGY);
		one[i].topology = &t[i];
	}
	b.n_entries = 2;
	b.entries = both;
	e.kind_case = KIND(BATCH);
	e.batch = &b;
	CHECK_INT(apply(&f, false, &e), 0);
	CHECK_INT(f.s->graph.n, 2);
	CHECK_INT(apply(&f, false, &e), ERR_ABORTED);
	state_free(f.s);
}

TEST(a_batch_applies_each_and_tells_of_the_first_refused)
{
	struct fix f = cluster();
	Gfl__V1__Trainer t[2] = {GFL__V1__TRAINER__INIT,
				 GFL__V1__TRAINER__INIT};
	Gfl__V1__TrainerChange c[2] = {GFL__V1__TRAINER_CHANGE__INIT,
				       GFL__V1__TRAINER_CHANGE__INIT};
	Gfl__V1__Entry one[2] = {GFL__V1__ENTRY__INIT, GFL__V1__ENTRY__INIT};
	Gfl__V1__Entry *both[2] = {&one[0], &one[1]};
	Gfl__V1__Batch b = GFL__V1__BATCH__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	for (int i = 0; i < 2; i++) {
		t[i].id = i ? 2 : 9;
		c[i].action = TRAINER(MARK_DOWN);
		c[i].trainer = &t[i];
		one[i].kind_case = KIND(TRAINER);
		one[i].trainer = &c[i];
	}
	b.n_entries = 2;
	b.entries = both;
	e.kind_case = KIND(BATCH);
	e.batch = &b;
	CHECK_INT(apply(&f, false, &e), ERR_NOT_FOUND);
	CHECK_INT(state_trainer(f.s, 2)->liveness, GFL__V1__LIVENESS__DOWN);
	CHECK(state_proposable(&e, &f.err));
	one[1].kind_case = KIND(BATCH);
	one[1].batch = &b;
	CHECK_INT(state_apply(f.s, f.s->applied + 1, 1, false, &e, &f.res,
			      &f.err),
		  ERR_DATA_LOSS);
	state_free(f.s);
}

TEST(a_kind_from_a_newer_version_stops_the_node)
{
	struct fix f = cluster();
	static const uint8_t newer[] = {0xd2, 0x0f, 0x00}; /* field 250 */
	Gfl__V1__Entry *e = NULL;
	int64_t applied = f.s->applied;
	Gfl__V1__Member nobody = GFL__V1__MEMBER__INIT; /* id 0 */
	Gfl__V1__Membership m = GFL__V1__MEMBERSHIP__INIT;
	Gfl__V1__Entry action = GFL__V1__ENTRY__INIT;

	CHECK_INT(state_entry(&e, newer, sizeof(newer), &f.err), 0);
	CHECK_INT(state_apply(f.s, applied + 1, 1, false, e, &f.res, &f.err),
		  ERR_UNIMPLEMENTED);
	CHECK_HAS(f.err.hint, "upgrade");
	CHECK_INT(f.s->applied, applied);
	CHECK(state_proposable(e, &f.err));
	rpc_free(&e->base);
	m.action = 99;
	action.kind_case = KIND(MEMBERSHIP);
	action.membership = &m;
	CHECK_INT(state_apply(f.s, applied + 1, 1, false, &action, &f.res,
			      &f.err),
		  ERR_UNIMPLEMENTED);
	CHECK_INT(state_entry(&e, "\xff\xff", 2, &f.err), ERR_DATA_LOSS);
	m.action = MEMBER(ADD);
	m.member = &nobody;
	CHECK_INT(
		state_apply(f.s, applied + 1, 1, true, &action, &f.res, &f.err),
		ERR_DATA_LOSS);
	CHECK_INT(state_apply(f.s, applied + 2, 1, false, NULL, &f.res, &f.err),
		  ERR_OUT_OF_RANGE);
	state_free(f.s);
}

/* The bytes of a state, as a transfer would send them. */
static struct buf bytes_of(const struct state *s)
{
	Gfl__V1__State *msg = state_encode(s);
	struct buf b = {0};
	size_t len = gfl__v1__state__get_packed_size(msg);

	gfl__v1__state__pack(msg, (uint8_t *)buf_room(&b, len));
	b.len = len;
	rpc_free(&msg->base);
	return b;
}

TEST(a_state_survives_its_encoding_and_goes_on_alike)
{
	struct fix f = cluster(), g = {0};
	Gfl__V1__TrainerReport r = GFL__V1__TRAINER_REPORT__INIT;
	int64_t run = f.res.id;
	ProtobufCMessage *msg;
	struct buf before, after;

	r.trainer_id = 3;
	CHECK_INT(run_change(&f, RUN(PROGRESS), run, &r), 0);
	CHECK_INT(plan(&f, run, f.s->epoch, 0, 1, 2), 0);
	CHECK_INT(plan(&f, run, f.s->epoch, 2, 1, 2), 0);
	CHECK_INT(bandwidth(&f, 0, 1, 2, 40), 0);
	CHECK_INT(edge(&f, FORM(SPARSE), 0, 1, 2, 0.25), 0);
	f.s->coordinator = 1;
	f.s->coordinator_term = 5;
	before = bytes_of(f.s);
	CHECK_INT(rpc_unpack(&msg, &gfl__v1__state__descriptor, before.p,
			     before.len, &f.err),
		  0);
	CHECK_INT(state_decode(&g.s, (Gfl__V1__State *)msg, &f.err), 0);
	rpc_free(msg);
	for (int i = 0; i < 2; i++) {
		struct fix *one = i ? &g : &f;

		CHECK_INT(trainer(one, TRAINER(MARK_DOWN), 3, "", 0), 0);
		CHECK_INT(plan(one, run, one->s->epoch, 3, 1, 2), 0);
		CHECK_INT(
			edge(one, FORM(DELTA), one->s->graph.version, 2, 3, 2),
			0);
	}
	buf_release(&before);
	before = bytes_of(f.s);
	after = bytes_of(g.s);
	CHECK_INT(before.len, after.len);
	CHECK(!memcmp(before.p, after.p, after.len));
	buf_release(&before);
	buf_release(&after);
	state_free(f.s);
	state_free(g.s);
}

static int role_of(const struct fix *f, int64_t id)
{
	const Gfl__V1__Member *m = state_member(f->s, id);

	return m ? (int)m->role : 0;
}

/* Several changes of roles, as a batch of Raft's configuration. */
static void apply_roles(struct fix *f, enum state_config config,
			const struct raft_member *to, size_t n)
{
	Gfl__V1__Entry *e;
	size_t len;
	void *bytes = roles_pack(to, n, &len);

	CHECK_INT(state_entry(&e, bytes, len, &f->err), 0);
	CHECK_INT(apply(f, config, e), 0);
	CHECK(f->res.changed & STATE_MEMBER);
	rpc_free(&e->base);
	free(bytes);
}

/* A joint configuration needs the old voters, and their URLs, to its end. */
TEST(voters_that_go_stay_until_the_joint_configuration_ends)
{
	const struct raft_member before[] = {
		{.id = 1, .role = RAFT_VOTER},
		{.id = 3, .role = RAFT_VOTER},
	};
	const struct raft_member to[] = {
		{.id = 1, .role = RAFT_NONE},
		{.id = 2, .role = RAFT_VOTER},
		{.id = 3, .role = RAFT_STANDBY},
	};
	struct fix f = cluster(), g;
	Gfl__V1__State *msg;

	member(&f, true, MEMBER(ADD), 2, "two", "");
	member(&f, true, MEMBER(ADD), 3, "three", "");
	apply_roles(&f, STATE_CONFIG, before, 2);
	apply_roles(&f, STATE_JOINT, to, 3);
	CHECK_INT(role_of(&f, 1), RAFT_VOTER);
	CHECK_INT(role_of(&f, 2), RAFT_VOTER);
	CHECK_INT(role_of(&f, 3), RAFT_VOTER);
	msg = state_encode(f.s); /* a snapshot in between */
	CHECK_INT(state_decode(&g.s, msg, &g.err), 0);
	rpc_free(&msg->base);
	CHECK_INT(apply(&g, STATE_NO_CONFIG, NULL), 0);
	CHECK_INT(role_of(&g, 1), RAFT_VOTER);
	CHECK_INT(apply(&g, STATE_CONFIG, NULL), 0);
	CHECK(g.res.changed & STATE_MEMBER);
	CHECK(!state_member(g.s, 1));
	CHECK_INT(role_of(&g, 2), RAFT_VOTER);
	CHECK_INT(role_of(&g, 3), RAFT_STANDBY);
	CHECK_INT(apply(&g, STATE_CONFIG, NULL), 0);
	CHECK(!g.res.changed);
	state_free(f.s);
	state_free(g.s);
}

TEST(roles_may_be_proposed_by_themselves)
{
	Gfl__V1__Member who = GFL__V1__MEMBER__INIT;
	Gfl__V1__Membership m = GFL__V1__MEMBERSHIP__INIT;
	Gfl__V1__Noop noop = GFL__V1__NOOP__INIT;
	Gfl__V1__Entry e[2] = {GFL__V1__ENTRY__INIT, GFL__V1__ENTRY__INIT};
	Gfl__V1__Entry *list[] = {&e[0], &e[0]}, batch = GFL__V1__ENTRY__INIT;
	Gfl__V1__Batch b = GFL__V1__BATCH__INIT;
	struct raft_member *to;
	struct err err;
	size_t n;

	e[0].kind_case = KIND(MEMBERSHIP);
	e[0].membership = &m;
	e[1].kind_case = KIND(NOOP);
	e[1].noop = &noop;
	batch.kind_case = KIND(BATCH);
	batch.batch = &b;
	b.n_entries = 2;
	b.entries = list;
	m.action = MEMBER(DEMOTE);
	CHECK_INT(state_proposable(&e[0], &err), ERR_INVALID_ARGUMENT);
	m.member = &who;
	who.id = 4;
	CHECK_INT(state_proposable(&e[0], &err), 0);
	CHECK_INT(state_proposable(&batch, &err), 0);
	CHECK_INT(roles_read(&to, &n, &batch, &err), 0);
	CHECK(n == 2 && to[1].id == 4 && to[1].role == RAFT_STANDBY);
	free(to);
	list[1] = &e[1];
	CHECK_INT(state_proposable(&batch, &err), ERR_INVALID_ARGUMENT);
	list[0] = &e[1];
	list[1] = &e[0];
	CHECK_INT(state_proposable(&batch, &err), ERR_INVALID_ARGUMENT);
	m.action = MEMBER(MARK_DOWN);
	CHECK_INT(state_proposable(&e[0], &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "promoted, demoted or removed");
}

TEST(what_nobody_may_propose_is_refused)
{
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT, *inner = &e;
	Gfl__V1__Batch batch = GFL__V1__BATCH__INIT;
	Gfl__V1__Entry outer = GFL__V1__ENTRY__INIT;
	Gfl__V1__Membership m = GFL__V1__MEMBERSHIP__INIT;
	Gfl__V1__Bandwidth b = GFL__V1__BANDWIDTH__INIT;
	struct err err;

	CHECK_INT(state_proposable(&e, &err), ERR_INVALID_ARGUMENT);
	outer.kind_case = KIND(BATCH);
	outer.batch = &batch;
	batch.n_entries = 1;
	batch.entries = &inner;
	e.kind_case = KIND(MEMBERSHIP);
	e.membership = &m;
	CHECK_INT(state_proposable(&outer, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "membership");
	e.kind_case = KIND(BANDWIDTH);
	e.bandwidth = &b;
	CHECK_INT(state_proposable(&outer, &err), 0);
	b.n_links = STATE_PROPOSED_MAX / 2 + 1;
	b.links = mem_zero(b.n_links, sizeof(*b.links));
	for (size_t i = 0; i < b.n_links; i++) {
		static Gfl__V1__Link link = GFL__V1__LINK__INIT;

		b.links[i] = &link;
	}
	CHECK_INT(state_proposable(&outer, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "bytes");
	free(b.links);
}

TEST(what_is_no_state_is_refused)
{
	struct fix f = cluster();
	Gfl__V1__State *msg = state_encode(f.s);
	struct state *out = NULL;
	Gfl__V1__Member *first = msg->members[0];

	msg->members[0] = msg->members[1];
	msg->members[1] = first;
	CHECK_INT(state_decode(&out, msg, &f.err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(f.err.msg, "members are out of order");
	rpc_free(&msg->base);
	CHECK_INT(edge(&f, FORM(SPARSE), 0, 1, 2, 1), 0);
	msg = state_encode(f.s);
	msg->edges[0]->b = 1;
	CHECK_INT(state_decode(&out, msg, &f.err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(f.err.msg, "state: an edge from 1 to itself");
	rpc_free(&msg->base);
	state_free(f.s);
}
