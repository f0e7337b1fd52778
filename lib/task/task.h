/* task.h - one evaluation task: what is to be done, and how far it is. Pure. */
#ifndef TASK_TASK_H
#define TASK_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <uthash.h>

#include "base/err.h"

/* In this order in the database: those that have ended come last. */
enum task_state {
	TASK_WAITING, /* for other tasks */
	TASK_READY,
	TASK_DELAYED, /* failed, and is tried again later */
	TASK_RUNNING, /* given to a worker */
	TASK_DONE,
	TASK_FAILED,
	TASK_CANCELLED,
	TASK_STATES
};

enum {
	TASK_TRIES = 4, /* unless it says otherwise: three retries */
	TASK_TRIES_MAX = 1000,
	TASK_TIMEOUT_MS = 3600 * 1000,
	TASK_TEXT_MAX = 1 << 20,   /* bytes of what is to be done */
	TASK_RESULT_MAX = 3 << 20, /* bytes of what came of it, as a message */
	TASK_NAME_MAX = 200,
	TASK_AFTER_MAX = 10000, /* tasks that one comes after */
	TASK_CANCEL_MAX = 10000, /* in one request */
};

struct crew; /* a worker, as the master knows it */

struct task {
	int64_t id;
	int64_t submission, line; /* whose it is, and which of theirs */
	char *text;               /* a JSON object */
	char *name, *affinity;    /* never NULL */
	int priority, max_tries;
	int64_t timeout_ms;
	bool gpu;

	enum task_state state;
	int tries;     /* begun so far */
	int before;    /* tasks that it still waits for */
	int64_t *next; /* those that wait for it */
	size_t n_next, cap_next;
	struct crew *on; /* which has it, while it runs; NULL: one that was
			    there before we restarted */
	char *worker;    /* which had it last, or NULL */
	int64_t given;   /* number of its last giving to a worker, of all */
	int gpu_index;   /* of the worker's, or -1 */
	int64_t due_ms;  /* when it is tried again, or its time is over */
	int64_t due_wall_ms, started_wall_ms;
	int64_t doubt_ms; /* since when we do not know whether its worker got
			     it; 0: we do */
	bool deliver;     /* is to be sent to its worker */
	bool held;        /* is among what its worker says it holds */

	size_t ready_place, due_place; /* in the heaps */
	TAILQ_ENTRY(task) of_crew;
	STAILQ_ENTRY(task) ending;
	UT_hash_handle hh;
};

const char *task_state_name(enum task_state state);
bool task_state_parse(const char *name, enum task_state *state);
bool task_ended(enum task_state state);

/* The text is an id, a number from 1 up, and nothing else. */
bool task_parse_id(const char *text, int64_t *id) MUST_CHECK;

/* A task with copies of these texts (NULL: ""); task_free() it. */
struct task *task_new(int64_t id, const char *text, const char *name,
		      const char *affinity);
void task_free(struct task *t);

/* next waits for t. */
void task_add_next(struct task *t, int64_t next);

#endif
