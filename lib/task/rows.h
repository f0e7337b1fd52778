/* rows.h - tasks and workers as records on standard output. */
#ifndef TASK_ROWS_H
#define TASK_ROWS_H

#include "base/out.h"
#include "proto/task.pb-c.h"
#include "task/reach.h"

/* A task that has ended, with what came of it: in JSON the results stand beside
 * the other columns. */
enum { ROWS_RESULT = 8 };
extern const struct out_col rows_result[ROWS_RESULT];
void rows_put_result(struct out *o, const Gfl__V1__Task *t);

/* The numbers, and whatever else a task's command printed, as JSON; freed by
 * the caller. */
char *rows_result_of(const Gfl__V1__Task *t);

/* All tasks, or all workers, of the master. */
int rows_tasks(const struct reach *r, const struct out_opts *out,
	       struct err *err) MUST_CHECK;
int rows_workers(const struct reach *r, const struct out_opts *out,
		 struct err *err) MUST_CHECK;

#endif
