/* Workers that get their tasks by a call of ours. Those of others answer with
 * the result; ours say that it has come, and bring the result by
 * SubmitResult. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "task/master_impl.h"
#include "task/task_json.h"

enum {
	ANSWER_MS = 10000, /* beyond the time that a task may take, if it is the
			      result that is the answer */
	CANCEL_MS = 10000,
};

void master_push_free(struct push *p)
{
	if (p->live.le_prev)
		LIST_REMOVE(p, live);
	rpc_free(&p->msg->base);
	free(p->worker);
	free(p->url);
	free(p);
}

static void add_push(struct master *m, struct crew *c, struct task *t)
{
	struct push *p = mem_zero(1, sizeof(*p));

	p->m = m;
	p->what = (struct farm_given){t->id, t->given};
	p->try = t->tries;
	p->worker = mem_str(c->id);
	p->url = mem_str(c->url);
	p->gfl = c->gfl;
	p->msg = task_json_request(t);
	p->msg->brief = c->gfl;
	if (c->gfl)
		p->msg->master_id = mem_str(m->id);
	t->deliver = false;
	STAILQ_INSERT_TAIL(&m->pushes, p, next);
}

static void told(const struct err *err, const ProtobufCMessage *out, void *arg)
{
	(void)err, (void)out, (void)arg; /* its next heartbeat tells again */
}

static void cancel(struct master *m, const struct crew *c, const char *what)
{
	Morphml__Distributed__CancelRequest in =
		MORPHML__DISTRIBUTED__CANCEL_REQUEST__INIT;
	/* one of ours may have a later try of it by then */
	char *id = mem_dup(what, c->gfl ? strlen(what) : strcspn(what, "/"));

	in.task_id = id;
	remote_call(&m->remotes, !c->gfl, c->url, RPC_WORKER_CANCEL_TASK,
		    &in.base, CANCEL_MS, told, m);
	free(id);
}

void master_tell_push(struct master *m, struct crew *c)
{
	struct task *t;

	TAILQ_FOREACH (t, &c->tasks, of_crew)
		if (t->deliver)
			add_push(m, c, t);
	for (size_t i = 0; i < c->n_cancels; i++) {
		if (!m->closing)
			cancel(m, c, c->cancels[i]);
		free(c->cancels[i]);
	}
	if (!c->gfl) /* it does not say when it has stopped */
		c->stopping = 0;
	c->n_cancels = 0;
}

static void not_answered(struct push *p, const struct err *err)
{
	struct master *m = p->m;
	struct err none;
	char id[24];
	struct farm_result r = {.worker = p->worker,
				.task = id,
				.try = p->try,
				.error = err->msg,
				.metrics = "",
				.output = ""};

	log_warn("push_failed", "task=%" PRId64 " worker=%s error=%s",
		 p->what.task, p->worker, err->msg);
	snprintf(id, sizeof(id), "%" PRId64, p->what.task);
	if (err->code == ERR_UNAVAILABLE && strstr(err->msg, "cannot reach"))
		farm_unsent(&m->farm, p->what, true, master_now());
	else if (p->gfl)
		farm_unsent(&m->farm, p->what, false, master_now());
	else if (farm_still(&m->farm, p->what) &&
		 master_result(m, &r, &none))
		log_err("push_result", &none);
}

static void take(struct push *p,
		 const Morphml__Distributed__EvaluateResponse *out)
{
	char *numbers = task_json_metrics(
		(task_json_metric *const *)out->metrics, out->n_metrics);
	char id[24];
	struct farm_result r = {
		.worker = p->worker,
		.task = id,
		.try = p->try,
		.success = out->success,
		.duration_s = out->duration,
		.error = out->error,
		.metrics = out->n_metrics ? numbers : "",
		.output = out->output,
	};
	char why[MASTER_WHY];
	struct err err;
	int rc = 0;

	snprintf(id, sizeof(id), "%" PRId64, p->what.task);
	master_bound(
		&r,
		morphml__distributed__evaluate_response__get_packed_size(out),
		why);
	if (*out->output)
		rc = task_json_object(out->output, strlen(out->output), NULL,
				      &err);
	if (rc || master_result(p->m, &r, &err))
		log_info("result_refused", "worker=%s reason=%s", p->worker,
			 err.msg);
	free(numbers);
}

static void answered(const struct err *err, const ProtobufCMessage *msg,
		     void *arg)
{
	struct push *p = arg;
	struct master *m = p->m;

	const Morphml__Distributed__EvaluateResponse *out =
		(const Morphml__Distributed__EvaluateResponse *)msg;

	if (err)
		not_answered(p, err);
	else if (!out->accepted)
		take(p, out);
	master_push_free(p);
	master_step(m);
}

void master_send(struct push *p)
{
	const struct task *t = farm_still(&p->m->farm, p->what);

	if (!t) {
		master_push_free(p);
		return;
	}
	LIST_INSERT_HEAD(&p->m->live, p, live);
	remote_call(&p->m->remotes, !p->gfl, p->url, RPC_WORKER_EVALUATE,
		    &p->msg->base, ANSWER_MS + (p->gfl ? 0 : t->timeout_ms),
		    answered, p);
}
