/* The methods of WorkerService. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "task/agent_impl.h"

/* Who called has gone. If that may have been the master that we are with, of
 * others, it will take the result otherwise; one of ours does not wait so. */
static void caller_gone(struct call *call, void *arg)
{
	struct agent *a = arg;
	struct job *j, *next;

	for (j = TAILQ_FIRST(&a->jobs); j; j = next) {
		next = TAILQ_NEXT(j, next);
		if (j->call != call)
			continue;
		j->call = NULL;
		if (!a->known || a->gfl)
			agent_orphan(a, j);
	}
}

/* A master of ours has it acknowledged that the task has come: what comes of it
 * must reach the master also if the connection breaks. */
static void acknowledge(struct agent *a, struct call *call,
			const Morphml__Distributed__EvaluateRequest *in)
{
	Morphml__Distributed__EvaluateResponse out =
		MORPHML__DISTRIBUTED__EVALUATE_RESPONSE__INIT;
	struct err err;
	int rc = 0;

	/* the call may come before the answer to our registration */
	if (*in->master_id && a->whose &&
	    strcmp(in->master_id, a->whose) != 0)
		rc = err_set(&err, ERR_FAILED_PRECONDITION,
			     "worker %s is with another master by now, %s",
			     a->config.id, a->whose);
	if (!rc)
		rc = agent_take(a, in, NULL, &err);
	if (rc && rc != ERR_ALREADY_EXISTS) {
		call_fail(call, &err);
		return;
	}
	out.task_id = in->task_id;
	out.accepted = true;
	call_reply(call, &out.base);
	agent_go_on(a);
}

static void on_evaluate(struct call *call, const ProtobufCMessage *msg,
			void *arg)
{
	const Morphml__Distributed__EvaluateRequest *in =
		(const Morphml__Distributed__EvaluateRequest *)msg;
	struct agent *a = arg;
	struct err err;

	if (in->brief && a->config.n_masters) {
		acknowledge(a, call, in);
		return;
	}
	if (agent_take(a, in, call, &err)) {
		call_fail(call, &err);
		return;
	}
	call_on_cancel(call, caller_gone, a);
	agent_go_on(a);
}

static void on_status(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	Morphml__Distributed__StatusResponse out =
		MORPHML__DISTRIBUTED__STATUS_RESPONSE__INIT;
	Morphml__Distributed__WorkerMetrics w;
	struct agent *a = arg;

	(void)msg;
	agent_metrics(a, &w);
	out.status = (char *)agent_status(a);
	out.current_task_id = (char *)agent_current(a);
	out.metrics = &w;
	out.uptime_seconds = (clock_ms() - a->started_ms) / 1000;
	call_reply(call, &out.base);
}

static void stop_all(struct agent *a)
{
	struct job *j, *next;

	for (j = TAILQ_FIRST(&a->jobs); j; j = next) {
		next = TAILQ_NEXT(j, next);
		if (j->state == JOB_RUNNING)
			job_stop(j);
	}
}

static void on_shutdown(struct call *call, const ProtobufCMessage *msg,
			void *arg)
{
	const Morphml__Distributed__ShutdownRequest *in =
		(const Morphml__Distributed__ShutdownRequest *)msg;
	Morphml__Distributed__ShutdownResponse out =
		MORPHML__DISTRIBUTED__SHUTDOWN_RESPONSE__INIT;
	struct agent *a = arg;

	out.acknowledged =
		!*in->worker_id || !strcmp(in->worker_id, a->config.id);
	call_reply(call, &out.base);
	if (!out.acknowledged)
		return;
	log_info("shutdown", "graceful=%d", in->graceful);
	if (!in->graceful)
		stop_all(a);
	agent_stop(a);
}

static void on_cancel(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Morphml__Distributed__CancelRequest *in =
		(const Morphml__Distributed__CancelRequest *)msg;
	Morphml__Distributed__CancelResponse out =
		MORPHML__DISTRIBUTED__CANCEL_RESPONSE__INIT;
	struct agent *a = arg;

	out.success = agent_cancel(a, in->task_id);
	out.message = (char *)(out.success ? "" : "it has no such task");
	call_reply(call, &out.base);
	agent_go_on(a);
}

void agent_serve(struct agent *a)
{
	server_handle(a->server, RPC_WORKER_EVALUATE, on_evaluate, a);
	server_handle(a->server, RPC_WORKER_GET_STATUS, on_status, a);
	server_handle(a->server, RPC_WORKER_SHUTDOWN, on_shutdown, a);
	server_handle(a->server, RPC_WORKER_CANCEL_TASK, on_cancel, a);
}
