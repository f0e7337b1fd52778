/* master_impl.h - what the parts of the master share: its state and steps in
 * master.c, its workers in master_crew.c, how they get tasks in master_give.c
 * and master_push.c and bring results in master_result.c; tasks in
 * master_tasks.c, who waits for results in master_wait.c. */
#ifndef TASK_MASTER_IMPL_H
#define TASK_MASTER_IMPL_H

#include "proto/master.pb-c.h"
#include "proto/task.pb-c.h"
#include "task/master.h"
#include "task/queue.h"
#include "task/remote.h"

/* A worker's request for tasks that waits for some. */
struct asking {
	struct master *m;
	char *worker;
	struct call *call;
	int64_t until_ms;
	UT_hash_handle hh;
};

/* A submitter that waits for results. */
struct waiter {
	struct master *m;
	struct call *call;
	char *token;
	int64_t submission, after, until_ms;
	int max;
	bool due; /* there is something for it */
	LIST_ENTRY(waiter) next;
};

/* What is answered once the changes that were made with it are durable. */
struct reply {
	struct master *m;
	struct call *call; /* NULL: its client has gone, or nobody is */
	ProtobufCMessage *msg;
	struct farm_given *unsure; /* tasks of a worker that cannot tell that
				      it did not get them; or NULL */
	size_t n_unsure;
	bool to_worker; /* who comes again with the same, if it is told to */
	STAILQ_ENTRY(reply) next;
};
STAILQ_HEAD(replies, reply);

/* A task to be sent to a worker. */
struct push {
	struct master *m;
	struct farm_given what;
	int try;
	char *worker, *url;
	bool gfl;
	Morphml__Distributed__EvaluateRequest *msg;
	STAILQ_ENTRY(push) next;
	LIST_ENTRY(push) live;
};
STAILQ_HEAD(pushes, push);

struct master {
	struct loop *loop;
	struct server *server;
	struct remotes remotes;
	struct writer *writer;
	struct db *reader;
	struct master_config config;
	struct farm farm;
	struct timer tick, due;
	int64_t due_ms;
	struct asking *asking; /* by worker */
	LIST_HEAD(, waiter) waiters;
	struct replies replies; /* of the step that is under way */
	struct pushes pushes;
	LIST_HEAD(, push) live; /* sent, not yet answered */
	bool pruning, closing;
	struct err error; /* why it cannot go on; code 0: it can */
	int64_t pruned_ms;
	char id[STR_ID]; /* of the queue */
	loop_fn *failed;
	void *failed_arg;
};

struct instant master_now(void);

/* What we know is not what is stored: end. */
void master_fail(struct master *m, const struct err *err);

/* Answer call with msg, which is taken, once the step is durable. */
struct reply *master_answer(struct master *m, struct call *call,
			    ProtobufCMessage *msg);

/* The end of every event: give out what can be given, store all that changed,
 * and then answer. */
void master_step(struct master *m);

/* Keep a worker's row; metrics: as of now, too. */
void master_keep(struct master *m, const struct crew *c, bool metrics);

/* What is too much to be kept of a result of so many bytes is left out; a
 * success is a failure then, once and for all, and why has the reason. */
enum { MASTER_WHY = 100 };
void master_bound(struct farm_result *r, size_t bytes, char why[MASTER_WHY]);
/* farm_result(); that it opens or closes a breaker is logged. */
int master_result(struct master *m, const struct farm_result *r,
		  struct err *err) MUST_CHECK;

/* May the caller speak for this worker? If not it is told so. */
bool master_lets_speak(struct master *m, struct call *call, const char *worker);
int master_check_id(const char *worker, struct err *err) MUST_CHECK;

/* How many rows an answer is to have at most. */
enum { MASTER_ROWS = 1000 };
int master_rows(int32_t max);

/* Their methods. */
void master_serve_crew(struct master *m);
void master_serve_giving(struct master *m);
void master_serve_results(struct master *m);
void master_serve_tasks(struct master *m);
void master_serve_waits(struct master *m);

/* Answer a worker that waits, with the tasks that it is to get. */
void master_tell_asking(struct master *m, struct crew *c);
void master_drop_asking(struct asking *a); /* not answered */
void master_expire_asking(struct master *m, int64_t now_ms);

/* Results for those who wait: of this submission there are some; look. */
void master_wake(struct master *m, int64_t submission);
void master_tell_waiters(struct master *m, int64_t now_ms);
void master_end_waiters(struct master *m);

/* Tasks and cancellations for a worker that is called. */
void master_tell_push(struct master *m, struct crew *c);
void master_send(struct push *p);
void master_push_free(struct push *p);

#endif
