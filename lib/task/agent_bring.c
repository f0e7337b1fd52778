/* A worker brings its results to its master. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "task/agent_impl.h"
#include "task/task_json.h"

enum {
	BRING_MAX = 1000,
	BRING_BYTES = 1 << 20, /* of results in a request, or one */
};

static void drop_brought(struct agent *a)
{
	struct job *j, *next;

	for (j = TAILQ_FIRST(&a->jobs); j; j = next) {
		next = TAILQ_NEXT(j, next);
		if (j->brought)
			agent_drop_job(a, j);
	}
}

static void bring_again(void *arg)
{
	struct agent *a = arg;

	timer_stop(&a->bring_again);
	agent_bring(a);
}

static void not_brought(struct agent *a, const struct err *err)
{
	struct job *j;

	if (!a->bring_pause.now_ms)
		log_warn("master_lost", "doing=submit_result error=%s",
			 err->msg);
	TAILQ_FOREACH (j, &a->jobs, next)
		j->brought = false;
	timer_set(&a->bring_again, a->loop,
		  backoff_next(&a->bring_pause, &a->rand), bring_again, a);
	agent_look_elsewhere(a);
}

static void say_refused(const Morphml__Distributed__ResultResponse *out)
{
	if (!out->acknowledged)
		log_info("result_refused", "reason=%s", out->message);
	for (size_t i = 0; i < out->n_more; i++)
		say_refused(out->more[i]);
}

/* The master will not have what it was brought: one by one, then, and what it
 * will not have alone has failed. */
static void refuse(struct agent *a, const struct err *err)
{
	struct job *j, *only = NULL;
	int n = 0;

	TAILQ_FOREACH (j, &a->jobs, next) {
		if (!j->brought)
			continue;
		only = j;
		n++;
	}
	if (n == 1 && only->refused) {
		agent_drop_job(a, only);
		return;
	}
	if (n == 1)
		job_refuse(only, err);
	a->singly += n;
	TAILQ_FOREACH (j, &a->jobs, next)
		j->brought = false;
}

static bool may_pass(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE ||
	       err->code == ERR_DEADLINE_EXCEEDED || err->code == ERR_UNKNOWN ||
	       err->code == ERR_UNAUTHENTICATED ||
	       err->code == ERR_PERMISSION_DENIED || err->retry_s;
}

static bool is_of_content(const struct err *err)
{
	return err->code == ERR_RESOURCE_EXHAUSTED ||
	       err->code == ERR_INVALID_ARGUMENT ||
	       err->code == ERR_OUT_OF_RANGE;
}

static void brought(const struct err *err, const ProtobufCMessage *msg,
		    void *arg)
{
	struct agent *a = arg;

	a->bringing = NULL;
	if (err && may_pass(err)) {
		not_brought(a, err);
		return;
	}
	a->bring_pause.now_ms = 0;
	a->heard_ms = clock_ms();
	if (a->singly)
		a->singly--;
	if (err)
		log_err("result_refused", err);
	else
		say_refused((const Morphml__Distributed__ResultResponse *)msg);
	if (err && is_of_content(err))
		refuse(a, err);
	else
		drop_brought(a);
	agent_go_on(a);
}

static void describe(const struct agent *a, struct job *j,
		     Morphml__Distributed__ResultRequest *r)
{
	morphml__distributed__result_request__init(r);
	r->task_id = j->task_id;
	r->worker_id = (char *)a->config.id;
	r->success = j->success;
	r->error = j->error ? j->error : (char *)"";
	r->duration = j->duration_s;
	r->attempt = j->try;
	r->output = j->output ? j->output : (char *)"";
	r->returned = j->returned;
	r->final = j->final;
	if (a->gfl)
		r->master_id = a->whose;
	task_json_numbers(r->output, &r->metrics, &r->n_metrics);
	if (!a->gfl)
		r->architecture = j->text;
	j->brought = true;
}

/* As many as have come: the first of them carries the others. */
static size_t gather(struct agent *a, Morphml__Distributed__ResultRequest *all)
{
	size_t most = a->gfl && !a->singly ? BRING_MAX : 1, n = 0, bytes = 0;
	struct job *j;

	TAILQ_FOREACH (j, &a->jobs, next)
		j->brought = false; /* of a request that was given up */
	TAILQ_FOREACH (j, &a->jobs, next) {
		if (n == most || bytes >= BRING_BYTES)
			break;
		if (j->state != JOB_OVER || j->call)
			continue;
		describe(a, j, &all[n]);
		bytes += morphml__distributed__result_request__get_packed_size(
			&all[n]);
		n++;
	}
	return n;
}

void agent_bring(struct agent *a)
{
	Morphml__Distributed__ResultRequest *all, **more;
	size_t n;

	if (a->bringing || !a->known || !a->over || a->bring_again.h)
		return;
	all = mem_zero(BRING_MAX, sizeof(*all));
	n = gather(a, all);
	if (n) {
		more = mem_zero(n, sizeof(*more));
		for (size_t i = 1; i < n; i++)
			more[i - 1] = &all[i];
		all[0].more = more;
		all[0].n_more = n - 1;
		a->bringing =
			agent_call(a, RPC_MASTER_SUBMIT_RESULT, &all[0].base,
				   AGENT_CALL_MS, brought, a);
		free(more);
	}
	for (size_t i = 0; i < n; i++)
		task_json_free_numbers(all[i].metrics, all[i].n_metrics);
	free(all);
}
