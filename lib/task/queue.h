/* queue.h - the master's tasks in one SQLite file: what is to be done, how far
 * it is, what came of it, and which tries failed on the way.
 *
 * What a task is, is written once; how far it is, in a small row beside it. */
#ifndef TASK_QUEUE_H
#define TASK_QUEUE_H

#include "base/str.h"
#include "proto/task.pb-c.h"
#include "store/writer.h"
#include "task/farm.h"

/* Why a worker is gone, in its row. */
enum { QUEUE_DEAD = 1, QUEUE_LEFT };

/* Bring the file to this version's tables, and enter workers and what has not
 * ended into f. */
int queue_load(struct db *db, struct farm *f, struct instant now,
	       struct err *err) MUST_CHECK;

/* Which queue of all it is, whose tasks are 1, 2, ... as those of others. */
int queue_id(struct db *db, char id[STR_ID], struct err *err) MUST_CHECK;

/* ---- what is submitted ---- */

/* A task that is asked for, and what became of it. */
struct queue_item {
	int64_t id;     /* out: of the task, new or not */
	bool known;     /* out: it had been submitted before */
	int64_t *after; /* out: of those it comes after, which had not ended */
	size_t n_after;
	int64_t doomed; /* out: one of them had not ended well, or 0 */
};

struct queue_batch {
	Gfl__V1__SubmitTasksRequest *in;
	int64_t now_wall_ms;
	struct queue_item *items;  /* out: in->n_tasks */
	int64_t submission, ended; /* out */
	void *arg;                 /* of whoever asks */
};

/* Takes in. */
struct queue_batch *queue_batch_new(Gfl__V1__SubmitTasksRequest *in,
				    int64_t now_wall_ms, void *arg);
void queue_batch_free(struct queue_batch *b);

/* On the writer's thread (a writer_fn, arg is a queue_batch). A task to come
 * after that there is not is NOT_FOUND; a line of a token that was submitted
 * with another text ALREADY_EXISTS. */
int queue_submit(struct db *db, void *arg, struct err *err) MUST_CHECK;

/* ---- what changes ---- */

/* On the writer's thread. */
int queue_store(struct db *db, const struct farm_changes *all,
		struct err *err) MUST_CHECK;

/* A worker as it is now, and how its machine is; a copy, for the writer. */
struct queue_worker {
	struct crew crew; /* id and url are its own; no tasks */
	bool metrics;     /* keep these, of this moment */
};
struct queue_worker *queue_worker_new(const struct crew *c, bool metrics);
void queue_worker_free(struct queue_worker *w);
int queue_store_worker(struct db *db, void *arg, struct err *err) MUST_CHECK;

/* The same, arg is a struct queue_prune: forget some of what ended before, the
 * oldest first, and of the workers' metrics and of workers that are gone. */
struct queue_prune {
	int64_t before_wall_ms;
	int64_t after; /* only what ended after this place */
	int64_t next;  /* out: where to go on; 0: that was all */
	void *arg;     /* of whoever asks */
};
int queue_prune(struct db *db, void *arg, struct err *err) MUST_CHECK;

/* ---- what is read ---- */

/* Append to *out, until these are so many bytes as a message: then there may be
 * more. */
enum { QUEUE_ROWS_BYTES = 1 << 20 };
struct queue_rows {
	Gfl__V1__Task **at;
	size_t n, cap, bytes;
	bool more;
};
void queue_rows_release(struct queue_rows *r);

/* Tasks of the token that ended after this place, in that order; "": of all.
 * NOT_FOUND: nothing was submitted with it. *submission is which it is; 0: all. */
int queue_results(struct db *db, const char *token, int64_t after, int max,
		  struct queue_rows *out, int64_t *submission,
		  struct err *err) MUST_CHECK;

/* Tasks of ids above after, by ascending id, in one of these states (a set of
 * bits, 0: any). */
int queue_list(struct db *db, int64_t after, unsigned states, int max,
	       struct queue_rows *out, struct err *err) MUST_CHECK;

/* When it was submitted; none is NOT_FOUND. */
int queue_submitted(struct db *db, int64_t id, int64_t *ms,
		    struct err *err) MUST_CHECK;

/* One task; none is NOT_FOUND. */
int queue_get(struct db *db, int64_t id, struct queue_rows *out,
	      struct err *err) MUST_CHECK;

#endif
