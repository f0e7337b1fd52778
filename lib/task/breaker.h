/* breaker.h - a worker that fails again and again gets nothing for a while.
 *
 * Circuit breaker (Nygard, Release It!, 2007): closed; after so many failures
 * in a row open for a time; then half open, with one task at a time, until so
 * many successes in a row close it or a failure opens it again. Failures of one
 * task count once: that the task is bad is no news of the worker. Pure. */
#ifndef TASK_BREAKER_H
#define TASK_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF };

struct breaker_config {
	int failures;    /* to open; 0: never */
	int64_t open_ms; /* then half open */
	int successes;   /* to close */
};

/* All zero is closed. */
struct breaker {
	enum breaker_state state;
	int failures, successes; /* in a row */
	int64_t failed;          /* the task of the last failure */
	int64_t until_ms;        /* while open */
};

/* How many tasks a worker may have that could have slots of them: all, one or
 * none. An open breaker whose time is over is half open from now on. */
int breaker_allows(struct breaker *b, int slots, int64_t now_ms);

void breaker_success(struct breaker *b, const struct breaker_config *c);

/* True if it opened now. */
bool breaker_failure(struct breaker *b, const struct breaker_config *c,
		     int64_t task, int64_t now_ms);

const char *breaker_name(enum breaker_state state); /* closed, open, half */

#endif
