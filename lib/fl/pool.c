#include "fl/pool.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include <uthash.h>
#include <utlist.h>

#include "base/mem.h"

struct pool_member {
	int64_t id;
	enum pool_state state;
	int64_t since_ms;
	struct pool_job *job;            /* at which it works */
	struct pool_member *prev, *next; /* of idle or away */
	UT_hash_handle hh;
};

struct pool_job {
	int64_t id;
	int64_t to;               /* 0: anybody */
	int64_t not_to;           /* who could not do it */
	struct pool_member *with; /* NULL: it waits */
	int64_t due_ms;
	int tries, tries_max;
	struct pool_job *prev, *next;         /* of waiting */
	struct pool_job *due_prev, *due_next; /* of due */
	UT_hash_handle hh;
};

void pool_init(struct pool *p, const struct pool_config *cfg)
{
	*p = (struct pool){.cfg = *cfg};
}

void pool_release(struct pool *p)
{
	struct pool_member *m, *next_m;
	struct pool_job *j, *next_j;

	HASH_ITER (hh, p->members, m, next_m) {
		HASH_DEL(p->members, m);
		free(m);
	}
	HASH_ITER (hh, p->jobs, j, next_j) {
		HASH_DEL(p->jobs, j);
		free(j);
	}
	free(p->acts);
}

static struct pool_member *member(const struct pool *p, int64_t id)
{
	struct pool_member *m;

	HASH_FIND(hh, p->members, &id, sizeof(id), m);
	return m;
}

static void act(struct pool *p, struct pool_act a)
{
	p->acts = mem_grow(p->acts, &p->cap_acts, p->n_acts + 1,
			   sizeof(*p->acts));
	p->acts[p->n_acts++] = a;
}

bool pool_next(struct pool *p, struct pool_act *a)
{
	if (p->next_act == p->n_acts) {
		p->next_act = p->n_acts = 0;
		return false;
	}
	*a = p->acts[p->next_act++];
	return true;
}

/* ---- states ---- */

static void turn(struct pool *p, struct pool_member *m, enum pool_state to,
		 int64_t now_ms)
{
	if (m->state == POOL_IDLE)
		DL_DELETE(p->idle, m);
	if (m->state == POOL_AWAY)
		DL_DELETE(p->away, m);
	m->state = to;
	m->since_ms = now_ms;
	if (to == POOL_IDLE)
		DL_APPEND(p->idle, m);
	if (to == POOL_AWAY)
		DL_APPEND(p->away, m);
}

static void give(struct pool *p, struct pool_job *j, struct pool_member *m,
		 int64_t now_ms)
{
	turn(p, m, POOL_WORKING, now_ms);
	m->job = j;
	j->with = m;
	j->tries++;
	act(p, (struct pool_act){.what = POOL_GIVE,
				 .who = m->id,
				 .job = j->id,
				 .tries = j->tries});
}

static bool fits(const struct pool_job *j, const struct pool_member *m)
{
	return j->to ? j->to == m->id : j->not_to != m->id;
}

/* Somebody idle for a job that has just come, or come back. */
static bool find_member(struct pool *p, struct pool_job *j, int64_t now_ms)
{
	struct pool_member *m = j->to ? member(p, j->to) : NULL;

	if (!j->to)
		DL_FOREACH (p->idle, m)
			if (fits(j, m))
				break;
	if (!m || m->state != POOL_IDLE)
		return false;
	give(p, j, m, now_ms);
	return true;
}

static void unqueue(struct pool *p, struct pool_job *j)
{
	DL_DELETE(p->waiting, j);
	p->n_named -= j->to != 0;
}

/* A job for somebody who has just become idle. */
static void find_job(struct pool *p, struct pool_member *m, int64_t now_ms)
{
	struct pool_job *j;

	DL_FOREACH (p->waiting, j) {
		if (!fits(j, m))
			continue;
		unqueue(p, j);
		give(p, j, m, now_ms);
		return;
	}
}

/* ---- jobs ---- */

static void forget_job(struct pool *p, struct pool_job *j)
{
	if (!j->with)
		unqueue(p, j);
	DL_DELETE2(p->due, j, due_prev, due_next);
	HASH_DEL(p->jobs, j);
	free(j);
}

static void report(struct pool *p, struct pool_job *j, int64_t who,
		   enum err_code code)
{
	act(p, (struct pool_act){.what = POOL_REPORT,
				 .who = who,
				 .job = j->id,
				 .code = code,
				 .tries = j->tries});
	forget_job(p, j);
}

/* Whoever had it could not do it: another one, if there is to be one. */
static void move_on(struct pool *p, struct pool_job *j, int64_t from,
		    enum err_code code, int64_t now_ms)
{
	bool alone = code == ERR_ABORTED && HASH_COUNT(p->members) == 1;

	if (j->tries >= j->tries_max || alone) {
		report(p, j, from, code);
		return;
	}
	j->with = NULL;
	if (!find_member(p, j, now_ms))
		DL_PREPEND(p->waiting, j);
}

/* By ascending end; mostly the last. */
static void insert_due(struct pool *p, struct pool_job *j)
{
	struct pool_job *last = p->due ? p->due->due_prev : NULL, *at = last;

	while (at && at->due_ms > j->due_ms)
		at = at == p->due ? NULL : at->due_prev;
	if (at == last)
		DL_APPEND2(p->due, j, due_prev, due_next);
	else
		DL_APPEND_ELEM2(p->due, at, j, due_prev, due_next);
}

int pool_submit(struct pool *p, const struct pool_order *order, int64_t now_ms,
		int64_t *job, struct err *err)
{
	struct pool_job *j;

	if (HASH_COUNT(p->jobs) >= p->cfg.jobs_max)
		return err_full(err, "%zu instructions are out or wait",
				p->cfg.jobs_max);
	if (order->who && !member(p, order->who))
		return err_set(err, ERR_NOT_FOUND,
			       "participant %" PRId64 " is not there",
			       order->who);
	j = mem_zero(1, sizeof(*j));
	j->id = ++p->last_job;
	j->to = order->who;
	j->due_ms = now_ms + order->timeout_ms;
	j->tries_max = order->who ? 1 : order->tries;
	HASH_ADD(hh, p->jobs, id, sizeof(j->id), j);
	insert_due(p, j);
	if (!find_member(p, j, now_ms)) {
		DL_APPEND(p->waiting, j);
		p->n_named += j->to != 0;
	}
	*job = j->id;
	return 0;
}

/* Whoever works on it is late from now on. */
static void let_go(struct pool *p, struct pool_job *j, int64_t now_ms)
{
	if (!j->with)
		return;
	j->with->job = NULL;
	turn(p, j->with, POOL_LATE, now_ms);
}

int64_t pool_withdraw(struct pool *p, int64_t job, int64_t now_ms)
{
	struct pool_job *j;
	int64_t who;

	HASH_FIND(hh, p->jobs, &job, sizeof(job), j);
	if (!j)
		return 0;
	who = j->with ? j->with->id : 0;
	let_go(p, j, now_ms);
	forget_job(p, j);
	return who;
}

/* ---- members ---- */

int pool_enter(struct pool *p, int64_t now_ms, int64_t *id, struct err *err)
{
	struct pool_member *m;

	if (HASH_COUNT(p->members) >= p->cfg.members_max)
		return err_full(err, "%zu participants are there",
				p->cfg.members_max);
	m = mem_zero(1, sizeof(*m));
	*id = m->id = ++p->last_member;
	m->state = POOL_LATE; /* on no list */
	turn(p, m, POOL_AWAY, now_ms);
	HASH_ADD(hh, p->members, id, sizeof(m->id), m);
	return 0;
}

void pool_ask(struct pool *p, int64_t who, int64_t now_ms)
{
	struct pool_member *m = member(p, who);

	assert(m);
	if (m->state == POOL_WORKING) {
		act(p, (struct pool_act){.what = POOL_GIVE,
					 .who = who,
					 .job = m->job->id,
					 .tries = m->job->tries});
		return;
	}
	if (m->state == POOL_IDLE)
		return;
	turn(p, m, POOL_IDLE, now_ms);
	find_job(p, m, now_ms);
}

bool pool_answer(struct pool *p, int64_t who, enum err_code code,
		 int64_t now_ms)
{
	struct pool_member *m = member(p, who);
	struct pool_job *j;

	assert(m);
	j = m->job;
	if (m->state == POOL_LATE)
		turn(p, m, POOL_AWAY, now_ms);
	if (m->state != POOL_WORKING)
		return false;
	m->job = NULL;
	turn(p, m, POOL_AWAY, now_ms);
	if (code == ERR_ABORTED) {
		j->not_to = who;
		move_on(p, j, who, code, now_ms);
	} else {
		report(p, j, who, code);
	}
	return true;
}

void pool_rest(struct pool *p, int64_t who, int64_t now_ms)
{
	struct pool_member *m = member(p, who);

	assert(m && m->state != POOL_WORKING);
	turn(p, m, POOL_AWAY, now_ms);
}

/* What waits for who has gone, and what the only one left could not do. */
static void report_hopeless(struct pool *p, int64_t who)
{
	int64_t last = HASH_COUNT(p->members) == 1 ? p->members->id : 0;
	struct pool_job *j = p->waiting, *next;

	for (; j && (last || p->n_named); j = next) {
		next = j->next;
		if (j->to == who)
			report(p, j, who, ERR_UNAVAILABLE);
		else if (last && j->not_to == last)
			report(p, j, last, ERR_ABORTED);
	}
}

void pool_leave(struct pool *p, int64_t who, int64_t now_ms)
{
	struct pool_member *m = member(p, who);
	struct pool_job *j;

	assert(m);
	j = m->job;
	turn(p, m, POOL_LATE, now_ms); /* off every list */
	HASH_DEL(p->members, m);
	free(m);
	if (j)
		move_on(p, j, who, ERR_UNAVAILABLE, now_ms);
	report_hopeless(p, who);
}

/* ---- time ---- */

static void end_jobs(struct pool *p, int64_t now_ms)
{
	struct pool_job *j;

	while ((j = p->due) && j->due_ms <= now_ms) {
		int64_t who = j->with ? j->with->id : 0;

		let_go(p, j, now_ms);
		report(p, j, who, ERR_DEADLINE_EXCEEDED);
	}
}

void pool_tick(struct pool *p, int64_t now_ms)
{
	struct pool_member *m;

	end_jobs(p, now_ms);
	while ((m = p->away) && m->since_ms + p->cfg.lease_ms <= now_ms) {
		int64_t who = m->id;

		pool_leave(p, who, now_ms);
		act(p, (struct pool_act){.what = POOL_LOST, .who = who});
	}
}

int64_t pool_deadline(const struct pool *p)
{
	const struct pool_member *m = p->away;
	const struct pool_job *j = p->due;
	int64_t at_ms = j ? j->due_ms : INT64_MAX;

	if (m && m->since_ms + p->cfg.lease_ms < at_ms)
		at_ms = m->since_ms + p->cfg.lease_ms;
	return at_ms;
}

size_t pool_jobs(const struct pool *p)
{
	return HASH_COUNT(p->jobs);
}

bool pool_look(const struct pool *p, int64_t who, struct pool_info *info)
{
	const struct pool_member *m = member(p, who);

	if (!m)
		return false;
	*info = (struct pool_info){m->state, m->since_ms,
				   m->job ? m->job->id : 0};
	return true;
}
