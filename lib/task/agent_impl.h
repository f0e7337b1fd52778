/* agent_impl.h - what the parts of the agent share: its jobs in agent.c, those
 * that go back in agent_back.c, its calls of the master in agent_master.c and,
 * with results, agent_bring.c, WorkerService in agent_serve.c. */
#ifndef TASK_AGENT_IMPL_H
#define TASK_AGENT_IMPL_H

#include "base/str.h"
#include "task/agent.h"
#include "task/job.h"
#include "task/machine.h"
#include "task/remote.h"
#include "wire/backoff.h"

TAILQ_HEAD(jobs, job);

struct agent {
	struct loop *loop;
	struct server *server;
	struct remotes remotes;
	struct agent_config config;
	char instance[STR_ID];
	int64_t started_ms;
	struct jobs jobs; /* in the order they came */
	int running, queued, over;
	int32_t completed, failed;
	struct machine *machine;

	/* The master, if any. */
	size_t at;  /* of masters: the one that is tried, or that we are with */
	bool known; /* it has us */
	bool gfl;   /* it is of gfl */
	char *whose; /* which master the tasks are of: its id, or its URL;
			or NULL */
	bool native; /* it is to be called by native gRPC */
	int singly;  /* so many results are brought one by one */
	int64_t heard_ms, silence_ms; /* it has answered last; after so long it
					 has taken us for dead */
	struct remote *registering, *asking, *bringing, *leaving, *beating;
	struct timer again, beat, bring_again;
	struct timer patience; /* until the queue goes back; while none begins
				  */
	struct backoff pause, bring_pause;
	struct rand rand;

	bool stopping, ended;
	struct err error; /* code 0: none */
	loop_fn *on_ended;
	void *arg;
};

const char *agent_master(const struct agent *a);

/* Take a task; call waits for its result, or NULL. One that it has already is
 * ALREADY_EXISTS. */
int agent_take(struct agent *a, const Morphml__Distributed__EvaluateRequest *in,
	       struct call *call, struct err *err) MUST_CHECK;

/* Stop the tasks that text names; false: it has none. */
bool agent_cancel(struct agent *a, const char *text);

/* All that has not begun goes back, now or if none begins for a while. */
void agent_hand_back(struct agent *a);
void agent_watch_queue(struct agent *a);

/* Start what there are slots for; see whether all is over. */
void agent_go_on(struct agent *a);

void agent_drop_job(struct agent *a, struct job *j); /* it is not running */

/* Nobody is to have its result: stop it. It may be gone. */
void agent_orphan(struct agent *a, struct job *j);

/* We are with this master from now on; what is of another one is nobody's. */
void agent_belong(struct agent *a, const char *master_id);

/* What it holds, as HeartbeatRequest has it; free each and the array. */
char **agent_holding(const struct agent *a, size_t *n);

const char *agent_status(const struct agent *a);  /* idle, busy, error */
const char *agent_current(const struct agent *a); /* id of a task, or "" */
void agent_metrics(const struct agent *a,
		   Morphml__Distributed__WorkerMetrics *out);

/* Call the master that it is with, or comes to. */
enum { AGENT_CALL_MS = 10000 };
struct remote *agent_call(struct agent *a, enum rpc_name name,
			  const ProtobufCMessage *in, int64_t timeout_ms,
			  rpc_done_fn *done, void *arg);

/* The calls of the master: come to it; ask, if there is room; bring results, if
 * there are; beat. */
void agent_register(struct agent *a);
void agent_ask(struct agent *a);
void agent_bring(struct agent *a);
void agent_leave(struct agent *a);

/* It has not answered: is it time to look for another one? */
void agent_look_elsewhere(struct agent *a);
void agent_end(struct agent *a);
void agent_release_master(struct agent *a);

void agent_serve(struct agent *a);

#endif
