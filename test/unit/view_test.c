#include "test.h"

#include "base/buf.h"
#include "node/screen.h"
#include "node/view.h"

/* Whatever is told, a line each. */
static void note(const struct view_event *e, void *arg)
{
	struct buf *told = arg;

	screen_event(told, e);
	buf_putc(told, '\n');
}

struct fixture {
	struct buf told;
	struct view view;
	struct state *state;
	int64_t index;
};

static void begin(struct fixture *f)
{
	*f = (struct fixture){.state = state_new()};
	f->view = (struct view){.fn = note, .arg = &f->told};
}

static void end(struct fixture *f)
{
	view_release(&f->view);
	state_free(f->state);
	buf_release(&f->told);
}

/* All that was told since the last time is want. */
static void told(struct fixture *f, const char *want)
{
	CHECK_STR(f->told.p ? f->told.p : "", want);
	buf_reset(&f->told);
	buf_puts(&f->told, "");
}

static void from_gateway(struct fixture *f, const char *kind, int32_t id,
			 const char *role, const char *status)
{
	NodeEvent e = NODE_EVENT__INIT;
	NodeInfo n = NODE_INFO__INIT;

	n.node_id = id;
	n.url = (char *)"http://a:1";
	n.role = (char *)role;
	n.status = (char *)status;
	e.kind = (char *)kind;
	e.node = &n;
	e.leader_term = 5;
	view_gateway(&f->view, &e);
}

static void apply(struct fixture *f, const Gfl__V1__Entry *e, bool config)
{
	struct state_result r;
	struct err err;

	CHECK(!state_apply(f->state, ++f->index, 1, config, e, &r, &err));
	CHECK_INT(r.refused.code, 0);
	view_state(&f->view, f->state, r.changed);
}

static void member(struct fixture *f, Gfl__V1__Membership__Action action,
		   int64_t id)
{
	Gfl__V1__Membership change = GFL__V1__MEMBERSHIP__INIT;
	Gfl__V1__Member m = GFL__V1__MEMBER__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	m.id = id;
	m.url = (char *)"http://a:1";
	m.instance_id = (char *)(id == 1 ? "11111111111111111111111111111111"
					 : "22222222222222222222222222222222");
	m.role = GFL__V1__ROLE__VOTER;
	change.action = action;
	change.member = &m;
	change.cluster_id = (char *)(f->index ? ""
					      : "cccccccccccccccccccccccccccccc"
						"cc");
	e.kind_case = GFL__V1__ENTRY__KIND_MEMBERSHIP;
	e.membership = &change;
	apply(f, &e, action != GFL__V1__MEMBERSHIP__ACTION__MARK_DOWN);
}

static void trainer(struct fixture *f, Gfl__V1__TrainerChange__Action action,
		    int64_t id)
{
	Gfl__V1__TrainerChange change = GFL__V1__TRAINER_CHANGE__INIT;
	Gfl__V1__Trainer t = GFL__V1__TRAINER__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	t.id = id;
	t.url = (char *)"http://t:1";
	t.instance_id = (char *)"33333333333333333333333333333333";
	t.node_id = 1;
	change.action = action;
	change.trainer = &t;
	e.kind_case = GFL__V1__ENTRY__KIND_TRAINER;
	e.trainer = &change;
	apply(f, &e, false);
}

TEST(a_node_that_both_streams_tell_of_has_joined_once)
{
	struct fixture f;

	begin(&f);
	member(&f, GFL__V1__MEMBERSHIP__ACTION__ADD, 1);
	told(&f, "node 1 present http://a:1\n");
	from_gateway(&f, "present", 1, "voter", "alive");
	told(&f, "");
	from_gateway(&f, "joined", 2, "", "alive");
	told(&f, "node 2 joined http://a:1\n");
	member(&f, GFL__V1__MEMBERSHIP__ACTION__ADD, 2);
	told(&f, "");
	member(&f, GFL__V1__MEMBERSHIP__ACTION__REMOVE, 2);
	told(&f, "node 2 left http://a:1\n");
	from_gateway(&f, "changed", 2, "voter", "alive");
	from_gateway(&f, "left", 2, "voter", "alive");
	told(&f, "");
	end(&f);
}

TEST(whom_only_a_gateway_knows_stays_until_it_leaves)
{
	struct fixture f;

	begin(&f);
	from_gateway(&f, "joined", 7, "", "alive");
	member(&f, GFL__V1__MEMBERSHIP__ACTION__ADD, 1);
	CHECK(view_node(&f.view, 7));
	buf_reset(&f.told);
	from_gateway(&f, "left", 7, "", "alive");
	told(&f, "node 7 left http://a:1\n");
	CHECK(!view_node(&f.view, 7));
	end(&f);
}

TEST(a_node_expires_goes_down_and_comes_back)
{
	struct fixture f;

	begin(&f);
	member(&f, GFL__V1__MEMBERSHIP__ACTION__ADD, 1);
	buf_reset(&f.told);
	from_gateway(&f, "expired", 1, "voter", "dead");
	told(&f, "node 1 expired: voter http://a:1\n");
	from_gateway(&f, "changed", 1, "leader", "alive");
	told(&f, "node 1 changed: leader http://a:1\n"
		 "node 1 up: leader http://a:1\n");
	member(&f, GFL__V1__MEMBERSHIP__ACTION__MARK_DOWN, 1);
	told(&f, "node 1 down: leader http://a:1\n");
	end(&f);
}

TEST(a_leader_is_told_once_and_an_older_one_never)
{
	struct fixture f;

	begin(&f);
	view_leader(&f.view, 0, 3);
	told(&f, "");
	view_leader(&f.view, 1, 3);
	told(&f, "leader elected: node 1 in term 3\n");
	view_leader(&f.view, 1, 3);
	view_leader(&f.view, 2, 2);
	told(&f, "");
	view_leader(&f.view, 0, 9);
	told(&f, "leader lost in term 3\n");
	from_gateway(&f, "leader", 2, "leader", "alive");
	told(&f, "leader elected: node 2 in term 5\n");
	view_leader(&f.view, 0, 4);
	told(&f, "");
	end(&f);
}

TEST(trainers_attach_go_down_and_detach)
{
	struct fixture f;

	begin(&f);
	member(&f, GFL__V1__MEMBERSHIP__ACTION__ADD, 1);
	buf_reset(&f.told);
	trainer(&f, GFL__V1__TRAINER_CHANGE__ACTION__ATTACH, 4);
	told(&f, "trainer 4 attached: node 1\n");
	CHECK_INT(view_attached(&f.view, 1), 1);
	trainer(&f, GFL__V1__TRAINER_CHANGE__ACTION__MARK_DOWN, 4);
	told(&f, "trainer 4 down: node 1\n");
	CHECK_INT(view_attached(&f.view, 1), 0);
	trainer(&f, GFL__V1__TRAINER_CHANGE__ACTION__DETACH, 4);
	told(&f, "trainer 4 detached: node 1\n");
	end(&f);
}

static Gfl__V1__Run run_at(int64_t round, const char *state,
			   Gfl__V1__TrainerReport **reports)
{
	static Gfl__V1__RunSpec spec = GFL__V1__RUN_SPEC__INIT;
	Gfl__V1__Run r = GFL__V1__RUN__INIT;

	spec.rounds = 10;
	r.id = 9;
	r.spec = &spec;
	r.state = (char *)state;
	reports[0]->round = round;
	reports[0]->trainer_id = 4;
	r.reports = reports;
	r.n_reports = 1;
	return r;
}

/* The state with this run alone. */
static void see_run(struct fixture *f, int64_t round, const char *state)
{
	Gfl__V1__TrainerReport report = GFL__V1__TRAINER_REPORT__INIT;
	Gfl__V1__TrainerReport *reports = &report;
	Gfl__V1__Run run = run_at(round, state, &reports), *runs = &run;
	struct state s = {.nruns = 1, .runs = &runs};

	view_state(&f->view, &s, STATE_RUN);
}

TEST(a_run_starts_progresses_and_finishes)
{
	struct fixture f;

	begin(&f);
	view_state(&f.view, f.state, STATE_ALL);
	see_run(&f, 0, "waiting");
	told(&f, "run 9 waiting: round 0/10\n");
	see_run(&f, 0, "running");
	told(&f, "run 9 started: round 0/10\n");
	see_run(&f, 0, "running");
	told(&f, "");
	see_run(&f, 4, "running");
	told(&f, "run 9 progress: round 4/10\n");
	CHECK_INT(view_last_run(&f.view)->round, 4);
	see_run(&f, 10, "finished");
	told(&f, "run 9 finished: round 10/10\n");
	end(&f);
}

TEST(a_run_that_had_ended_before_is_no_event)
{
	struct fixture f;

	begin(&f);
	see_run(&f, 10, "finished");
	told(&f, "");
	end(&f);
}

TEST(a_screen_is_no_larger_than_the_terminal_and_plain)
{
	struct screen_node said[2] = {{"leader", 3, 70}, {"", 0, -1}};
	struct buf b = BUF_INIT(0);
	struct screen s = {.width = 60, .height = 9, .watched = "http://a:1"};
	struct fixture f;
	size_t lines = 0;

	begin(&f);
	member(&f, GFL__V1__MEMBERSHIP__ACTION__ADD, 1);
	member(&f, GFL__V1__MEMBERSHIP__ACTION__ADD, 2);
	s.view = &f.view;
	s.nodes = said;
	s.events[0] = "first";
	s.events[1] = "last\033[2J";
	s.nevents = 2;
	screen_draw(&b, &s);
	for (char *line = strtok(b.p, "\n"); line; line = strtok(NULL, "\n"))
		CHECK(strlen(line) <= 60);
	buf_reset(&b);
	screen_draw(&b, &s);
	for (size_t i = 0; i < b.len; i++)
		lines += b.p[i] == '\n';
	CHECK_INT(lines, 9);
	CHECK_HAS(b.p, "   1 leader    alive       3      70     0 ");
	CHECK_HAS(b.p, "   2           silent      -       -     - ");
	CHECK_HAS(b.p, "no run");
	CHECK(!strstr(b.p, "first"));
	CHECK_HAS(b.p, "last?[2J");
	buf_release(&b);
	end(&f);
}
