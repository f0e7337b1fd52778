/* farm.h - tasks and workers: what the master decides, pure.
 *
 * Events come in as calls; what they change of tasks is appended to changes,
 * which the master makes durable before anybody sees it. A task that has ended
 * stays until farm_forget(). Times are milliseconds of a monotonic clock; those
 * called wall are since the Unix epoch.
 *
 * One task is on one worker at a time. A try is numbered; a worker that was
 * taken for dead and brings the result of an earlier try is heard if nobody was
 * first, else refused. */
#ifndef TASK_FARM_H
#define TASK_FARM_H

#include "base/err.h"
#include "base/rand.h"
#include "task/heap.h"
#include "task/schedule.h"

struct farm_config {
	const struct scheduler *scheduler;
	int64_t silence_ms; /* who is silent for so long is dead */
	int64_t grace_ms;   /* a worker stops what takes too long by itself;
			       after so long more we do not wait for that */
	int64_t retry_ms, retry_max_ms; /* before the second try; doubles */
	struct breaker_config breaker;
	size_t max_tasks; /* that have not ended */
};

struct instant {
	int64_t ms, wall_ms;
};

/* What became of a task, as it is to be stored; the texts are owned by whoever
 * has the changes. */
struct farm_change {
	int64_t id, submission;
	enum task_state state;
	int tries;
	char *worker; /* or NULL */
	int64_t due_wall_ms, started_wall_ms, ended_wall_ms;
	double duration_s;
	char *error, *metrics, *output; /* or NULL; the last two JSON */
	int64_t ended; /* place in the order of endings, or 0 */
	char *lost;    /* why a try ended that was not the last, or NULL */
};

struct farm_changes {
	struct farm_change *at;
	size_t n, cap;
};

void farm_changes_release(struct farm_changes *c);

STAILQ_HEAD(farm_ending, task);
STAILQ_HEAD(farm_tell, crew);

struct farm {
	struct farm_config config;
	struct rand rand;
	struct task *tasks; /* by id */
	struct crew *crew;  /* by worker id */
	struct heap ready, ready_gpu, due;
	size_t count[TASK_STATES]; /* of tasks */
	int64_t registered, given; /* numbers given out */
	int64_t ended;
	int64_t ended_as[TASK_STATES]; /* how many, since farm_init() */
	int64_t awake_ms; /* when farm_tick() last ran; 0: never */
	struct farm_changes changes;
	struct farm_ending ending;
	struct farm_tell tell; /* workers with tasks to be delivered, or to be
				  stopped */
};

void farm_init(struct farm *f, const struct farm_config *config, uint64_t seed);
void farm_release(struct farm *f);

/* ---- tasks ---- */

/* Enter a task that is stored. Takes t, whose state is WAITING, READY, DELAYED
 * (due_wall_ms says until when) or RUNNING (of t->worker; its time begins
 * anew). after are those of the tasks that it comes after that had not ended
 * when it was stored. */
void farm_add(struct farm *f, struct task *t, const int64_t *after, size_t n,
	      struct instant now);

struct task *farm_find(const struct farm *f, int64_t id);
void farm_forget(struct farm *f, int64_t id); /* it has ended */
size_t farm_unfinished(const struct farm *f);

/* The ready task that goes next, or NULL. */
struct task *farm_next(const struct farm *f);

/* End a task that has not ended; false if it had, or there is none. */
bool farm_cancel(struct farm *f, int64_t id, const char *why,
		 struct instant now);

/* A task that this one comes after has ended otherwise than well. */
void farm_doom(struct farm *f, int64_t id, int64_t after, struct instant now);

/* ---- workers ---- */

struct farm_worker {
	const char *id, *url, *instance; /* may be "" but for id */
	bool gfl, push;
	int slots;
	const int32_t *gpus;
	int n_gpus;
};

/* A worker is there. Another instance than before, or one that does not say
 * which it is, has none of the tasks of the former one. An instance that
 * another one has replaced is FAILED_PRECONDITION, one more than CREW_MAX
 * RESOURCE_EXHAUSTED. */
int farm_register(struct farm *f, const struct farm_worker *who,
		  struct instant now, struct err *err) MUST_CHECK;

/* A worker that is stored. */
void farm_restore(struct farm *f, struct crew *c, struct instant now);

/* It is heard of: NULL if it is not known, is another instance, or has been
 * taken for dead or has left, and has to register again. instance may be "". */
struct crew *farm_hear(struct farm *f, const char *id, const char *instance,
		       struct instant now);

/* What it holds, as "ID/TRY": tasks that it should not have are to be stopped;
 * those that it should and has not never came. If it asks, these are to be
 * delivered again; else they go elsewhere if we knew that before. */
void farm_holding(struct farm *f, struct crew *c, char *const *holding,
		  size_t n, bool asks, struct instant now);

/* It leaves. What it still has goes elsewhere. */
void farm_leave(struct farm *f, struct crew *c, struct instant now);

/* Forget a dead one. */
void farm_dismiss(struct farm *f, struct crew *c);

/* ---- from task to worker ---- */

/* Give tasks to workers that have room, as long as there are both; each such
 * task has its deliver set until it is sent. False: there was none. */
bool farm_match(struct farm *f, struct instant now);

/* A task as it was given to a worker: `given` is that of the task. */
struct farm_given {
	int64_t task, given;
};

/* That task, if the same worker still has it from then; else NULL. */
struct task *farm_still(const struct farm *f, struct farm_given what);

/* It could not be sent to its worker: that did not get it for sure (no try
 * counts), or perhaps did, and then it is in doubt. Nothing if it was taken
 * from there meanwhile. */
void farm_unsent(struct farm *f, struct farm_given what, bool surely,
		 struct instant now);

struct farm_result {
	const char *worker, *task; /* ids */
	int64_t try;               /* 0: whichever */
	bool success, returned;
	bool final; /* a failure that another try would not mend */
	double duration_s;
	const char *error, *metrics, *output; /* "" for none; JSON */
};

/* A worker has a result. False: it is refused; why is a sentence then. A task
 * that is not there may have ended long ago: NOT_FOUND. */
int farm_result(struct farm *f, const struct farm_result *r, struct instant now,
		struct err *err) MUST_CHECK;

/* A worker that is to be told something, no longer in the list; NULL: none. */
struct crew *farm_next_to_tell(struct farm *f);

/* ---- time ---- */

/* Let time pass: what is due begins or ends, who is silent is dead; each of
 * those is told to fn. At least once a second: time in which it was not called
 * counts neither as silence nor as that of a task. */
typedef void farm_dead_fn(struct crew *c, void *arg);
void farm_tick(struct farm *f, struct instant now, farm_dead_fn *fn, void *arg);

/* When the next task is due; INT64_MAX: none is. */
int64_t farm_due(const struct farm *f);

#endif
