#include "test.h"

#include "registry/runs.h"

static Gfl__V1__TrainerReport report(const char *state, int64_t round,
				     double accuracy)
{
	Gfl__V1__TrainerReport r = GFL__V1__TRAINER_REPORT__INIT;

	r.state = (char *)state;
	r.round = round;
	r.bytes_sent = 10;
	r._accuracy_case = GFL__V1__TRAINER_REPORT___ACCURACY_ACCURACY;
	r.accuracy = accuracy;
	return r;
}

TEST(runs_progress_is_that_of_the_trainers_that_go_on)
{
	Gfl__V1__TrainerReport a = report("training", 7, 0.5),
			       b = report("finished", 9, 0.7),
			       c = report("down", 3, 0.1),
			       d = report("failed", 2, 0.2);
	Gfl__V1__TrainerReport *all[] = {&a, &b, &c, &d};
	Gfl__V1__Run run = GFL__V1__RUN__INIT;
	struct runs_progress p;

	run.reports = all;
	run.n_reports = 4;
	p = runs_progress_of(&run);
	CHECK_INT(p.round, 7);
	CHECK_INT(p.trainers, 2);
	CHECK_NEAR(p.accuracy, 0.6, 1e-12);
	CHECK_INT(p.bytes_sent, 40);
	run.reports += 2;
	run.n_reports = 2;
	p = runs_progress_of(&run);
	CHECK_INT(p.round, 0);
	CHECK(isnan(p.accuracy));
}

TEST(runs_tell_each_reason_once_and_their_own_at_the_end)
{
	Gfl__V1__TrainerReport a = report("failed", 0, 0),
			       b = report("training", 1, 0), c = b;
	Gfl__V1__TrainerReport *first[] = {&a, &b}, *then[] = {&a, &c};
	Gfl__V1__Run before = GFL__V1__RUN__INIT, now = before;
	struct buf news = BUF_INIT(0);

	a.trainer_id = 1;
	a.reason = (char *)"killed";
	b.trainer_id = c.trainer_id = 2;
	before.reports = first;
	now.reports = then;
	before.n_reports = now.n_reports = 2;
	runs_news(&news, NULL, &before);
	CHECK_STR(news.p, "trainer 1: killed");
	buf_reset(&news);
	runs_news(&news, &before, &now);
	CHECK_INT(news.len, 0);
	c.reason = (char *)"no memory";
	runs_news(&news, &before, &now);
	CHECK_STR(news.p, "trainer 2: no memory");
	buf_reset(&news);
	now.reason = (char *)"enough";
	runs_news(&news, &before, &now);
	CHECK_STR(news.p, "trainer 2: no memory; enough");
	buf_release(&news);
}

TEST(runs_that_ended_say_how)
{
	Gfl__V1__Run run = GFL__V1__RUN__INIT;
	struct err err;
	int rc;

	run.id = 4;
	run.state = (char *)"running";
	CHECK(!runs_ended(&run, &rc, &err));
	run.state = (char *)"finished";
	CHECK(runs_ended(&run, &rc, &err) && !rc);
	run.state = (char *)"stopped";
	run.reason = (char *)"enough";
	CHECK(runs_ended(&run, &rc, &err) && rc == ERR_ABORTED);
	CHECK_STR(err.msg, "run 4 stopped: enough");
}
