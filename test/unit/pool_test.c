/* Who is given which job: exact traces, then thousands of seeded random runs
 * with what must hold after every event. */
#include "test.h"

#include "base/rand.h"
#include "fl/pool.h"

static const struct pool_config config = {
	.members_max = 4, .jobs_max = 5, .lease_ms = 100};

/* What is to be done, as text: "give 1 to 2; job 1 ok; lost 3". */
static char *acts(struct pool *p)
{
	static char text[1024];
	struct pool_act a;
	size_t at = 0;

	*text = '\0';
	while (pool_next(p, &a)) {
		const char *sep = at ? "; " : "";

		if (a.what == POOL_GIVE)
			at += (size_t)snprintf(text + at, sizeof(text) - at,
					       "%sgive %d to %d", sep,
					       (int)a.job, (int)a.who);
		else if (a.what == POOL_LOST)
			at += (size_t)snprintf(text + at, sizeof(text) - at,
					       "%slost %d", sep, (int)a.who);
		else
			at += (size_t)snprintf(text + at, sizeof(text) - at,
					       "%sjob %d of %d %s", sep,
					       (int)a.job, (int)a.who,
					       err_name(a.code));
	}
	return text;
}

static int64_t enter(struct pool *p, int64_t now_ms)
{
	int64_t id;

	CHECK(!pool_enter(p, now_ms, &id, NULL));
	pool_ask(p, id, now_ms);
	return id;
}

static int64_t submit(struct pool *p, int64_t who, int tries, int64_t now_ms)
{
	const struct pool_order o = {
		.who = who, .timeout_ms = 1000, .tries = tries};
	int64_t job;

	CHECK(!pool_submit(p, &o, now_ms, &job, NULL));
	return job;
}

static enum pool_state state(struct pool *p, int64_t who)
{
	struct pool_info info;

	CHECK(pool_look(p, who, &info));
	return info.state;
}

TEST(jobs_go_to_who_waits_longest_and_wait_in_order)
{
	struct pool p;

	pool_init(&p, &config);
	enter(&p, 0);
	enter(&p, 1);
	for (int i = 0; i < 4; i++)
		submit(&p, 0, 1, 2);
	CHECK_STR(acts(&p), "give 1 to 1; give 2 to 2");
	CHECK(pool_answer(&p, 2, ERR_OK, 3));
	pool_ask(&p, 2, 3);
	CHECK_STR(acts(&p), "job 2 of 2 ok; give 3 to 2");
	CHECK(pool_answer(&p, 1, ERR_UNIMPLEMENTED, 4));
	pool_ask(&p, 1, 4);
	CHECK_STR(acts(&p), "job 1 of 1 unimplemented; give 4 to 1");
	pool_release(&p);
}

TEST(a_job_for_somebody_waits_for_nobody_else)
{
	struct pool p;

	pool_init(&p, &config);
	enter(&p, 0);
	enter(&p, 0);
	submit(&p, 2, 3, 0);
	submit(&p, 2, 3, 0);
	CHECK_STR(acts(&p), "give 1 to 2");
	CHECK(pool_answer(&p, 2, ERR_ABORTED, 1));
	CHECK_STR(acts(&p), "job 1 of 2 aborted");
	pool_ask(&p, 2, 1);
	submit(&p, 2, 1, 1);
	CHECK_STR(acts(&p), "give 2 to 2");
	pool_leave(&p, 2, 2);
	CHECK_STR(acts(&p), "job 2 of 2 unavailable; job 3 of 2 unavailable");
	CHECK_INT(pool_jobs(&p), 0);
	CHECK_INT(pool_submit(&p, &(struct pool_order){.who = 2}, 3,
			      &(int64_t){0}, NULL),
		  ERR_NOT_FOUND);
	pool_release(&p);
}

TEST(who_vanishes_leaves_its_job_to_another)
{
	struct pool p;

	pool_init(&p, &config);
	enter(&p, 0);
	submit(&p, 0, 3, 0);
	submit(&p, 0, 3, 0);
	pool_leave(&p, 1, 1);
	CHECK_STR(acts(&p), "give 1 to 1");
	enter(&p, 2); /* what was begun first goes first */
	CHECK_STR(acts(&p), "give 1 to 2");
	enter(&p, 2);
	pool_leave(&p, 2, 3);
	enter(&p, 4);
	pool_leave(&p, 4, 5);
	CHECK_STR(acts(&p), "give 2 to 3; give 1 to 4; job 1 of 4 unavailable");
	pool_release(&p);
}

TEST(who_fails_is_not_asked_the_same_again)
{
	struct pool p;

	pool_init(&p, &config);
	enter(&p, 0);
	CHECK_STR(acts(&p), "");
	submit(&p, 0, 3, 0);
	enter(&p, 0);
	submit(&p, 2, 1, 0);
	CHECK(pool_answer(&p, 1, ERR_ABORTED, 1));
	pool_ask(&p, 1, 1);
	CHECK_STR(acts(&p), "give 1 to 1; give 2 to 2");
	CHECK(pool_answer(&p, 2, ERR_OK, 2));
	pool_ask(&p, 2, 2);
	CHECK_STR(acts(&p), "job 2 of 2 ok; give 1 to 2");
	pool_leave(&p, 1, 3);
	CHECK(pool_answer(&p, 2, ERR_ABORTED, 4)); /* there is nobody else */
	CHECK_STR(acts(&p), "job 1 of 2 aborted");
	pool_release(&p);
}

TEST(what_the_last_one_left_could_not_do_is_not_waited_for)
{
	struct pool p;

	pool_init(&p, &config);
	enter(&p, 0);
	enter(&p, 0);
	submit(&p, 0, 3, 0);
	submit(&p, 0, 3, 0);
	CHECK(pool_answer(&p, 1, ERR_ABORTED, 1)); /* the other one works */
	pool_ask(&p, 1, 1);
	CHECK_STR(acts(&p), "give 1 to 1; give 2 to 2");
	pool_leave(&p, 2, 2);
	CHECK_STR(acts(&p), "give 2 to 1; job 1 of 1 aborted");
	pool_release(&p);
}

TEST(a_job_ends_at_its_time_and_its_answer_is_late)
{
	struct pool p;

	pool_init(&p, &config);
	enter(&p, 0);
	submit(&p, 0, 3, 0);
	submit(&p, 0, 3, 10);
	CHECK_INT(pool_deadline(&p), 1000);
	pool_tick(&p, 999);
	CHECK_STR(acts(&p), "give 1 to 1");
	pool_tick(&p, 1000);
	CHECK_STR(acts(&p), "job 1 of 1 deadline_exceeded");
	CHECK_INT(state(&p, 1), POOL_LATE);
	CHECK_INT(pool_deadline(&p), 1010);
	CHECK(!pool_answer(&p, 1, ERR_OK, 1001));
	pool_ask(&p, 1, 1001);
	CHECK_STR(acts(&p), "give 2 to 1");
	pool_withdraw(&p, 2, 1002);
	pool_tick(&p, 5000);
	CHECK_STR(acts(&p), "");
	CHECK_INT(state(&p, 1), POOL_LATE);
	CHECK_INT(pool_deadline(&p), INT64_MAX);
	pool_release(&p);
}

TEST(nobody_free_in_time_is_said_so)
{
	struct pool p;

	pool_init(&p, &config);
	submit(&p, 0, 1, 0);
	pool_tick(&p, 1000);
	CHECK_STR(acts(&p), "job 1 of 0 deadline_exceeded");
	pool_release(&p);
}

TEST(who_rests_is_lost_unless_it_asks_in_time)
{
	struct pool p;
	int64_t id;

	pool_init(&p, &config);
	CHECK(!pool_enter(&p, 0, &id, NULL)); /* and never says anything */
	enter(&p, 10);
	pool_rest(&p, 2, 50);
	CHECK_INT(pool_deadline(&p), 100);
	pool_tick(&p, 100);
	CHECK_STR(acts(&p), "lost 1");
	pool_ask(&p, 2, 149);
	pool_tick(&p, 150);
	CHECK_STR(acts(&p), "");
	CHECK_INT(pool_deadline(&p), INT64_MAX);
	submit(&p, 2, 1, 151);
	CHECK_STR(acts(&p), "give 1 to 2");
	pool_ask(&p, 2, 152); /* it was lost on its way */
	CHECK_STR(acts(&p), "give 1 to 2");
	pool_tick(&p, 900); /* who works has no lease */
	CHECK_STR(acts(&p), "");
	pool_release(&p);
}

TEST(members_and_jobs_are_bounded)
{
	struct pool p;
	struct err err;
	int64_t id;

	pool_init(&p, &config);
	for (int i = 0; i < 4; i++)
		CHECK(!pool_enter(&p, 0, &id, NULL));
	CHECK_INT(pool_enter(&p, 0, &id, &err), ERR_RESOURCE_EXHAUSTED);
	CHECK_STR(err.msg, "4 participants are there");
	for (int i = 0; i < 5; i++)
		submit(&p, 0, 1, 0);
	CHECK_INT(
		pool_submit(&p, &(struct pool_order){.tries = 1}, 0, &id, &err),
		ERR_RESOURCE_EXHAUSTED);
	CHECK_STR(err.msg, "5 instructions are out or wait");
	CHECK_INT(pool_jobs(&p), 5);
	pool_release(&p);
}

/* ---- random runs ---- */

enum { MEMBERS = 12, JOBS = 20, IDS = 4096 };

/* What fails names the seed. */
#define HOLDS(m, cond)                                                   \
	do {                                                             \
		if (!(cond))                                             \
			test_fail(__FILE__, __LINE__, "seed %llu: %s",   \
				  (unsigned long long)(m)->seed, #cond); \
	} while (0)

struct model {
	uint64_t seed;
	struct pool p;
	struct rand r;
	int64_t now_ms;
	bool there[IDS];
	int64_t has[IDS];    /* job, by member */
	int64_t to[IDS];     /* by job */
	int64_t failed[IDS]; /* who did, by job */
	int given[IDS];
	bool open[IDS];
	int64_t last_member, last_job;
	size_t reports;
};

static void apply(struct model *m)
{
	struct pool_act a;

	while (pool_next(&m->p, &a)) {
		if (a.what == POOL_LOST) {
			HOLDS(m, m->there[a.who]);
			m->there[a.who] = false;
			continue;
		}
		HOLDS(m, m->open[a.job]);
		if (a.what == POOL_GIVE) {
			HOLDS(m, m->there[a.who]);
			HOLDS(m, !m->to[a.job] || m->to[a.job] == a.who);
			if (m->has[a.who] == a.job)
				continue; /* again */
			HOLDS(m, !m->has[a.who]);
			m->has[a.who] = a.job;
			HOLDS(m, ++m->given[a.job] <= 2);
			HOLDS(m, a.tries == m->given[a.job]);
			continue;
		}
		m->open[a.job] = false;
		m->reports++;
		if (a.code == ERR_DEADLINE_EXCEEDED && a.who)
			m->has[a.who] = 0;
	}
}

static bool idle(struct model *m, int64_t who)
{
	struct pool_info info;

	return m->there[who] && pool_look(&m->p, who, &info) &&
	       info.state == POOL_IDLE;
}

/* The pool sees them as we do. */
static void check_member(struct model *m, int64_t id)
{
	struct pool_info info;

	HOLDS(m, pool_look(&m->p, id, &info) == m->there[id]);
	if (!m->there[id])
		return;
	HOLDS(m, (info.state == POOL_WORKING) == (info.job != 0));
	HOLDS(m, info.job == m->has[id]);
}

/* At most one works on it; if none, none is idle who could. */
static void check_job(struct model *m, int64_t job)
{
	size_t with = 0;

	for (int64_t i = 1; i <= m->last_member; i++)
		with += m->there[i] && m->has[i] == job;
	HOLDS(m, with <= m->open[job]);
	if (with || !m->open[job])
		return;
	for (int64_t i = 1; i <= m->last_member; i++)
		if (m->to[job] ? m->to[job] == i : m->failed[job] != i)
			HOLDS(m, !idle(m, i));
}

static void check(struct model *m)
{
	for (int64_t i = 1; i <= m->last_member; i++)
		check_member(m, i);
	for (int64_t j = 1; j <= m->last_job; j++)
		check_job(m, j);
}

static int64_t anybody(struct model *m)
{
	int64_t id = 1 + (int64_t)rand_below(&m->r, (uint64_t)m->last_member);

	return m->there[id] ? id : 0;
}

static void come(struct model *m)
{
	int64_t id;

	if (m->last_member + 1 < IDS &&
	    !pool_enter(&m->p, m->now_ms, &id, NULL)) {
		m->last_member = id;
		m->there[id] = true;
	}
}

static void order(struct model *m)
{
	int64_t who =
		m->last_member && rand_below(&m->r, 3) == 0 ? anybody(m) : 0;
	const struct pool_order o = {
		.who = who,
		.timeout_ms = 1 + (int64_t)rand_below(&m->r, 200),
		.tries = 2,
	};
	int64_t job;

	if (m->last_job + 1 < IDS &&
	    !pool_submit(&m->p, &o, m->now_ms, &job, NULL)) {
		m->last_job = job;
		m->open[job] = true;
		m->to[job] = who;
	}
}

static void answer(struct model *m, int64_t who)
{
	static const enum err_code codes[] = {ERR_OK, ERR_OK, ERR_ABORTED,
					      ERR_UNIMPLEMENTED};
	enum err_code code = codes[rand_below(&m->r, 4)];
	int64_t job = m->has[who];

	m->has[who] = 0;
	if (code == ERR_ABORTED)
		m->failed[job] = who;
	HOLDS(m, pool_answer(&m->p, who, code, m->now_ms) == (job != 0));
	apply(m);
	if (m->there[who])
		pool_ask(&m->p, who, m->now_ms);
}

static void leave(struct model *m, int64_t who)
{
	m->there[who] = false;
	m->has[who] = 0;
	pool_leave(&m->p, who, m->now_ms);
}

static void withdraw(struct model *m)
{
	int64_t job = 1 + (int64_t)rand_below(&m->r, (uint64_t)m->last_job);
	int64_t who = pool_withdraw(&m->p, job, m->now_ms);

	if (who)
		m->has[who] = 0;
	m->open[job] = false;
}

static void step(struct model *m)
{
	uint64_t what = rand_below(&m->r, 16);
	int64_t who = m->last_member ? anybody(m) : 0;

	m->now_ms += (int64_t)rand_below(&m->r, 8);
	if (what < 3)
		come(m);
	else if (what < 7)
		order(m);
	else if (what < 8 && m->last_job)
		withdraw(m);
	else if (what < 9)
		pool_tick(&m->p, m->now_ms);
	else if (who && what < 10)
		leave(m, who);
	else if (who && what < 11 && !m->has[who])
		pool_rest(&m->p, who, m->now_ms);
	else if (who && what < 13)
		pool_ask(&m->p, who, m->now_ms);
	else if (who)
		answer(m, who);
	apply(m);
	check(m);
}

static void run(uint64_t seed)
{
	static struct model m;

	m = (struct model){.seed = seed, .r = {seed}};
	pool_init(&m.p, &(struct pool_config){.members_max = MEMBERS,
					      .jobs_max = JOBS,
					      .lease_ms = 60});
	for (int i = 0; i < 150; i++)
		step(&m);
	pool_tick(&m.p, m.now_ms + 100000); /* each job ends in the end */
	apply(&m);
	HOLDS(&m, pool_jobs(&m.p) == 0);
	for (int64_t j = 1; j <= m.last_job; j++)
		HOLDS(&m, !m.open[j]);
	pool_release(&m.p);
}

TEST(random_runs_keep_every_promise)
{
	for (uint64_t seed = 1; seed <= 2000; seed++)
		run(seed);
}
