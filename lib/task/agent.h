/* agent.h - the worker's side: it comes to a master, gets tasks (it asks for
 * them, or the master calls), runs them, brings the results, and tells how it
 * and its machine are.
 *
 * A master of gfl holds the request for tasks until there are some, takes many
 * results at once, and is told what the worker holds; from another one we ask
 * now and then, and bring results one by one. */
#ifndef TASK_AGENT_H
#define TASK_AGENT_H

#include "base/command.h"
#include "base/loop.h"
#include "wire/client.h"
#include "wire/server.h"

struct agent;

enum { AGENT_GPUS = 32 };

struct agent_config {
	const char *const *masters;    /* URLs, tried in turn, also later */
	size_t n_masters;              /* 0: only serves who calls */
	const char *id;                /* how it is called */
	bool push;                     /* wants to be called */
	int slots;                     /* tasks at a time */
	const struct command *command; /* runs a task */
	int64_t grace_ms;              /* from TERM to KILL */
	int64_t beat_ms;               /* between heartbeats */
	int64_t poll_ms; /* to a master that does not hold requests */
	bool no_gpu;     /* do not look for any */
};

/* Serve WorkerService on s, and come to the master. ended(arg) runs after
 * agent_stop(), or when it cannot go on. All is borrowed until agent_close().
 */
int agent_open(struct agent **out, struct loop *loop, struct server *s,
	       struct client *client, const struct agent_config *config,
	       loop_fn *ended, void *arg, struct err *err) MUST_CHECK;

/* Begin no more tasks; ended(arg) once those at hand are done and their results
 * are with the master. */
void agent_stop(struct agent *a);

/* Why it cannot go on, or NULL. */
const struct err *agent_failed(const struct agent *a);

/* Kill what still runs. After the server, before the client. NULL is nothing. */
void agent_close(struct agent *a);

#endif
