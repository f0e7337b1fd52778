#include "test.h"

#include "fl/pace.h"

static void add(struct plans *s, int64_t epoch, int64_t t0)
{
	struct plan *p = plan_new(1, epoch, t0, PLAN_ROUNDS);

	for (int i = 0; i < PLAN_ROUNDS; i++)
		p->rounds[i].c = p->rounds[i].deadline_ms = 1;
	CHECK(plans_take(s, p));
}

static struct pace_next ask(const struct plans *s, int64_t epoch, int64_t at,
			    int64_t fastest)
{
	struct pace p = {.plans = s,
			 .run = 1,
			 .rounds = 40,
			 .epoch = epoch,
			 .at = at,
			 .fastest = fastest};

	return pace_next(&p);
}

TEST(pace_waits_for_a_plan_then_goes_round_by_round)
{
	struct plans s = {0};
	struct pace_next next = ask(&s, 3, -1, -1);

	CHECK_INT(next.step, PACE_WAIT);
	add(&s, 3, 0);
	next = ask(&s, 3, -1, -1);
	CHECK_INT(next.step, PACE_EXCHANGE);
	CHECK_INT(next.t, 0);
	CHECK_INT(next.epoch, 3);
	next = ask(&s, 3, 14, -1);
	CHECK_INT(next.t, 15);
	CHECK(next.round == &s.all[0]->rounds[15]);
	CHECK_INT(ask(&s, 3, 15, -1).step, PACE_WAIT);
	CHECK_INT(ask(&s, 4, 3, -1).step, PACE_WAIT); /* a new epoch */
	plans_release(&s);
}

TEST(pace_rests_up_to_where_a_new_epoch_begins)
{
	struct plans s = {0};

	add(&s, 3, 0);
	add(&s, 9, 7);
	CHECK_INT(ask(&s, 9, 4, -1).step, PACE_REST);
	CHECK_INT(ask(&s, 9, 4, -1).t, 5);
	CHECK_INT(ask(&s, 9, 6, -1).step, PACE_EXCHANGE);
	CHECK_INT(ask(&s, 9, 6, -1).epoch, 9);
	plans_release(&s);
}

TEST(pace_rests_in_rounds_that_the_plans_left_out)
{
	struct plans s = {0};

	add(&s, 3, 0);
	add(&s, 3, 20);
	CHECK_INT(ask(&s, 3, 15, 19).step, PACE_REST);
	CHECK_INT(ask(&s, 3, 15, 19).t, 16);
	CHECK_INT(ask(&s, 3, 18, 19).step, PACE_REST);
	CHECK_INT(ask(&s, 3, 19, 19).step, PACE_EXCHANGE);
	CHECK_INT(ask(&s, 3, 35, 19).step, PACE_WAIT);
	plans_release(&s);
}

TEST(pace_jumps_when_more_than_eight_behind)
{
	struct plans s = {0};

	add(&s, 3, 0);
	CHECK_INT(ask(&s, 3, 2, 11).t, 3);
	CHECK_INT(ask(&s, 3, 2, 12).t, 12);
	CHECK_INT(ask(&s, 3, 2, 12).skipped, 9);
	add(&s, 3, 16);
	CHECK_INT(pace_fastest(&s, 1), 8);
	add(&s, 3, 32);
	CHECK_INT(pace_fastest(&s, 1), 24);
	CHECK_INT(ask(&s, 3, 2, -1).t, 24);
	CHECK_INT(ask(&s, 3, 2, 100).t, 39); /* not beyond the last */
	add(&s, 9, 30);
	CHECK_INT(ask(&s, 9, -1, -1).t, 30);
	plans_release(&s);
}

TEST(pace_believes_nobody_who_says_to_be_where_no_plan_is)
{
	struct plans s = {0};

	add(&s, 3, 0);
	CHECK_INT(ask(&s, 3, 2, 30).t, 15);
	CHECK_INT(ask(&s, 3, 2, INT64_MAX).t, 15);
	CHECK_INT(ask(&s, 3, 15, INT64_MAX).t, 16);
	CHECK_INT(ask(&s, 3, 15, INT64_MAX).step, PACE_WAIT);
	plans_release(&s);
}

TEST(pace_ends_after_the_last_round)
{
	struct plans s = {0};

	add(&s, 3, 32);
	CHECK_INT(ask(&s, 3, 38, -1).step, PACE_EXCHANGE);
	CHECK_INT(ask(&s, 3, 39, -1).step, PACE_FINISHED);
	plans_release(&s);
}

TEST(pace_jumps_over_nothing_where_nobody_waits)
{
	struct plans s = {0};
	struct pace p = {&s, 1, 40, 3, 1, 15, true, false};

	add(&s, 3, 0);
	CHECK_INT(pace_next(&p).t, 2);
	CHECK_INT(pace_next(&p).skipped, 0);
	p.alone = false;
	CHECK_INT(pace_next(&p).t, 15);
	plans_release(&s);
}

TEST(along_a_graph_it_takes_more_to_be_late)
{
	struct plans s = {0};
	struct pace p = {.plans = &s,
			 .run = 1,
			 .rounds = 80,
			 .epoch = 3,
			 .at = 0,
			 .fastest = 30,
			 .graph = true};

	for (int64_t t = 0; t < 80; t += PLAN_ROUNDS)
		add(&s, 3, t);
	s.n = 3; /* to round 48: somebody is at 24, as the plans tell */
	CHECK_INT(pace_next(&p).t, 1);
	p.fastest = 40;
	CHECK_INT(pace_next(&p).t, 40);
	p.graph = false;
	p.fastest = 10;
	CHECK_INT(pace_next(&p).t, 24);
	s.n = 5;
	plans_release(&s);
}
