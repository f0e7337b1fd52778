/* job.h - a task on a worker: a command that gets it as JSON on its standard
 * input and prints what came of it. */
#ifndef TASK_JOB_H
#define TASK_JOB_H

#include <sys/queue.h>

#include "base/process.h"
#include "proto/master.pb-c.h"

struct call;
struct job;

enum job_state {
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_OVER, /* it has a result */
};

typedef void job_done_fn(struct job *j, void *arg);

struct job {
	char *task_id;
	int try;
	char *text;         /* a JSON object */
	int64_t timeout_ms; /* 0: none */
	int gpu;            /* -1: none */

	enum job_state state;
	bool stopped;  /* nobody wants its result */
	bool returned; /* it was not begun, and goes back */
	bool brought;  /* its result is on the way to the master */
	bool refused;  /* ... which would not have it as it was */
	bool orphan;   /* nobody is to have its result */
	struct process *process;
	int64_t started_us;
	job_done_fn *done;
	void *arg;

	bool success;
	bool final; /* it failed, and would again */
	double duration_s;
	char *error, *output; /* or NULL; output is a JSON object */

	struct call *call; /* who waits for the result, or NULL */
	TAILQ_ENTRY(job) next;
};

/* A job for what a master sent; what is no task is INVALID_ARGUMENT. *out is
 * freed by job_free(). */
int job_new(struct job **out, const Morphml__Distributed__EvaluateRequest *in,
	    struct err *err) MUST_CHECK;
void job_free(struct job *j); /* it does not run */

struct job_opts {
	const struct command *command;
	const char *worker;
	int64_t grace_ms; /* from TERM to KILL */
};

/* Run it; done(j, arg) when it is over, never before job_start() has returned
 * 0. Otherwise it is over at once. */
int job_start(struct job *j, struct loop *loop, const struct job_opts *how,
	      job_done_fn *done, void *arg) MUST_CHECK;

/* TERM, and KILL after the grace. */
void job_stop(struct job *j);

/* Its result is to be a failure: that will not have it. */
void job_refuse(struct job *j, const struct err *err);

/* End it; done does not run. */
void job_drop(struct job *j);

/* "ID/TRY", with a "-" behind it while it is being stopped, and a "=" once it
 * is over; free() it. */
char *job_text(const struct job *j);

/* Is it what text names, with or without a try? */
bool job_is(const struct job *j, const char *text);

#endif
