/* submit.h - lines of tasks into the master's queue, and their results out of
 * it, in the order in which they end.
 *
 * Each line is queued once, however often the master is lost on the way: it has
 * the number of the line under a token. */
#ifndef TASK_SUBMIT_H
#define TASK_SUBMIT_H

#include "task/line.h"
#include "task/reach.h"
#include "task/silence.h"

struct submit_opts {
	const struct reach *reach; /* its timeout: so long without the master
				      is a failure */
	struct line_opts line;
	const char *token;    /* NULL: a new one */
	bool wait;            /* for the results */
	int64_t max_inflight; /* at most so many have not ended; 0: any */
	const char *path;     /* "-": standard input */
};

/* Each is called when it is so: a line that is no task; tasks that are queued
 * (without wait), in the order of lines; one that has ended. A failure ends it
 * all. */
struct submit_hooks {
	void (*bad)(const struct err *err, void *arg);
	int (*queued)(const int64_t *ids, size_t n, void *arg, struct err *err);
	int (*ended)(const Gfl__V1__Task *t, void *arg, struct err *err);
	silence_fn *waits; /* for this, as nothing comes */
	void *arg;
};

int submit_run(const struct submit_opts *o, const struct submit_hooks *hooks,
	       struct err *err) MUST_CHECK;

#endif
