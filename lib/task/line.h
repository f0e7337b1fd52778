/* line.h - a line of gfl-submit: a JSON object that is the task, in which "gfl"
 * says what the queue is to know. */
#ifndef TASK_LINE_H
#define TASK_LINE_H

#include "base/buf.h"
#include "proto/task.pb-c.h"

/* What holds for lines that do not say otherwise. */
struct line_opts {
	int priority, retries;
	int64_t timeout_ms;
	bool gpu;
	const char *affinity; /* or NULL */
	const int64_t *after; /* tasks that every one comes after */
	size_t n_after;
};

/* The task that an earlier line of this name is: its id, or else its place in
 * the batch at hand. False: there is none. */
typedef bool line_named_fn(const char *name, int64_t *id, int32_t *item,
			   void *arg);

/* *out is rpc_free()d. "gfl" may have name, after (an id or a name, or a list
 * of them), priority, retries, timeout_s, gpu and affinity; the rest goes to
 * the worker as it is written. INVALID_ARGUMENT says what is wrong. */
int line_parse(Gfl__V1__TaskSpec **out, const char *text, size_t len,
	       const struct line_opts *o, line_named_fn *named, void *arg,
	       struct err *err) MUST_CHECK;

#endif
