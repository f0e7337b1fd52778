/* pool.h - who is there to work, who works on what, and what waits for somebody
 * to work on it. Pure: each event is a function, and what is then to be done is
 * taken by pool_next() until there is nothing more.
 *
 * A participant is idle while it has the initiative handed over to us, working
 * from an instruction to its answer, and late when its job was ended before it
 * answered. It is there until pool_leave() says otherwise, or, by requests, as
 * long as it asks again within the lease; while it works nothing tells but
 * pool_leave() and the job's deadline. Times are milliseconds of one clock that never goes back. */
#ifndef FL_POOL_H
#define FL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pool_config {
	size_t members_max, jobs_max;
	int64_t lease_ms; /* of who is away */
};

enum pool_state {
	POOL_IDLE,
	POOL_WORKING,
	POOL_LATE,
	POOL_AWAY, /* neither works nor waits: it will ask again, or not */
};

struct pool_member;
struct pool_job;
struct pool_act;

struct pool {
	struct pool_config cfg;
	struct pool_member *members;     /* by id */
	struct pool_job *jobs;           /* by id */
	struct pool_member *idle, *away; /* the longest first */
	struct pool_job *waiting;        /* the next to be given first */
	struct pool_job *due;            /* all, the first to end first */
	struct pool_act *acts;
	size_t n_acts, next_act, cap_acts;
	size_t n_named; /* jobs that wait for somebody */
	int64_t last_member, last_job;
};

void pool_init(struct pool *p, const struct pool_config *cfg);
void pool_release(struct pool *p);

/* Somebody has come, and is away until pool_ask(). Full: RESOURCE_EXHAUSTED. */
int pool_enter(struct pool *p, int64_t now_ms, int64_t *id,
	       struct err *err) MUST_CHECK;

/* It hands over the initiative. Working, it is given its job again: the
 * instruction was lost on its way. */
void pool_ask(struct pool *p, int64_t who, int64_t now_ms);

/* It has answered: code as POOL_REPORT has it; ERR_ABORTED, it could not do it,
 * is a reason to try another one, as long as there is one. False: there is no job that
 * it had, so this answers nothing. It is away then, until it asks again. */
bool pool_answer(struct pool *p, int64_t who, enum err_code code,
		 int64_t now_ms);

/* It does not wait any more, and is to ask within the lease. Not while it
 * works. */
void pool_rest(struct pool *p, int64_t who, int64_t now_ms);

/* It has gone, which no POOL_LOST repeats. */
void pool_leave(struct pool *p, int64_t who, int64_t now_ms);

/* A job for who, or for anybody (0), to end within timeout_ms and to be tried
 * at most so many times. Full: RESOURCE_EXHAUSTED; who is not there:
 * NOT_FOUND. */
struct pool_order {
	int64_t who;
	int64_t timeout_ms;
	int tries; /* at least 1; of a job for somebody it is always 1 */
};
int pool_submit(struct pool *p, const struct pool_order *order, int64_t now_ms,
		int64_t *job, struct err *err) MUST_CHECK;

/* The job's end is of no interest any more; no POOL_REPORT follows. Who worked
 * on it, and is late now; or 0. */
int64_t pool_withdraw(struct pool *p, int64_t job, int64_t now_ms);

/* Time has passed. */
void pool_tick(struct pool *p, int64_t now_ms);
int64_t pool_deadline(const struct pool *p); /* INT64_MAX: none */

/* What is to be done. */
struct pool_act {
	enum {
		POOL_GIVE,   /* the job to who */
		POOL_REPORT, /* the job has ended, at who's (0: nobody's) */
		POOL_LOST,   /* who did not ask again in time */
	} what;
	int64_t who, job;
	/* POOL_REPORT: ERR_OK, or why not: ERR_UNIMPLEMENTED, who does not know
	 * such an instruction; ERR_ABORTED, could not do it; ERR_UNAVAILABLE,
	 * has gone; ERR_DEADLINE_EXCEEDED, too late. */
	enum err_code code;
	int tries; /* so far */
};
bool pool_next(struct pool *p, struct pool_act *act);

/* How many jobs there are. */
size_t pool_jobs(const struct pool *p);

/* One of them, or of who is not there: false. */
struct pool_info {
	enum pool_state state;
	int64_t since_ms;
	int64_t job; /* 0: none */
};
bool pool_look(const struct pool *p, int64_t who, struct pool_info *info);

#endif
