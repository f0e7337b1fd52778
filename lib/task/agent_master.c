/* What a worker says to its master, and asks of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/task.pb-c.h"
#include "task/agent_impl.h"
#include "task/spec.h"

enum {
	CALL_MS = 10000,
	HOLD_MS = 20000,
	EMPTY_MS = 20, /* after an answer that held nothing, and came at once */
	AHEAD = 64,    /* tasks that it takes beyond its slots */
	BRING_MAX = 1000,
	BRING_BYTES = 1 << 20, /* of results in a request, or one */
};

static struct remote *call_master(struct agent *a, enum rpc_name name,
				  const ProtobufCMessage *in,
				  int64_t timeout_ms, rpc_done_fn *done,
				  void *arg)
{
	return remote_call(&a->remotes, a->native, agent_master(a), name, in,
			   timeout_ms, done, arg);
}

static void again(void *arg)
{
	struct agent *a = arg;

	timer_stop(&a->again);
	if (!a->known)
		agent_register(a);
	else
		agent_ask(a);
}

/* The master did not answer. Another one may. */
static void pause_then(struct agent *a, const char *what, const struct err *err)
{
	if (!a->pause.now_ms)
		log_warn("master_lost", "doing=%s error=%s", what, err->msg);
	if (!a->known) { /* each in both ways */
		a->at += a->native;
		a->native = !a->native;
	}
	timer_set(&a->again, a->loop, backoff_next(&a->pause, &a->rand), again,
		  a);
}

static void free_texts(char **all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(all[i]);
	free(all);
}

/* ---- to come ---- */

static void beat(void *arg);

static void refused(struct agent *a, const char *why)
{
	if (!a->gfl) { /* it may think otherwise later */
		struct err err;

		err_set(&err, ERR_FAILED_PRECONDITION, "it says: %s", why);
		pause_then(a, "register", &err);
		return;
	}
	err_set(&a->error, ERR_FAILED_PRECONDITION,
		"master %s refuses worker %s: %s", agent_master(a),
		a->config.id, why);
	agent_end(a);
}

static void registered(const struct err *err, const ProtobufCMessage *msg,
		       void *arg)
{
	const Morphml__Distributed__RegisterResponse *out =
		(const Morphml__Distributed__RegisterResponse *)msg;
	struct agent *a = arg;

	a->registering = NULL;
	if (err) {
		pause_then(a, "register", err);
		return;
	}
	a->gfl = out->gfl;
	a->native = !a->gfl;
	if (!out->success) {
		refused(a, out->message);
		return;
	}
	log_info("registered", "master=%s id=%s gfl=%d", agent_master(a),
		 out->master_id, out->gfl);
	a->known = true;
	a->pause.now_ms = 0;
	timer_every(&a->beat, a->loop, a->config.beat_ms, beat, a);
	beat(a);
	agent_go_on(a);
}

/* "http://HOST:PORT" or https, as a master of others wants it. */
static void put_address(Morphml__Distributed__RegisterRequest *in, char *url)
{
	char *host = strstr(url, "://"), *colon;

	host = host ? host + 3 : url;
	colon = strrchr(host, ':');
	if (!colon)
		return;
	*colon = '\0';
	in->port = atoi(colon + 1);
	if (*host == '[' && colon[-1] == ']') {
		host++;
		colon[-1] = '\0';
	}
	in->host = host;
}

void agent_register(struct agent *a)
{
	const struct machine_metrics *m = machine_look(a->machine);
	Morphml__Distributed__RegisterRequest in =
		MORPHML__DISTRIBUTED__REGISTER_REQUEST__INIT;
	Morphml__Distributed__RegisterRequest__MetadataEntry mode =
		MORPHML__DISTRIBUTED__REGISTER_REQUEST__METADATA_ENTRY__INIT;
	Morphml__Distributed__RegisterRequest__MetadataEntry *all[] = {&mode};
	char *url;

	if (a->registering || a->stopping)
		return;
	url = mem_str(server_url(a->server));
	mode.key = (char *)"mode";
	mode.value = (char *)(a->config.push ? "push" : "pull");
	in.metadata = all;
	in.n_metadata = 1;
	in.worker_id = (char *)a->config.id;
	put_address(&in, url);
	in.num_gpus = m->n_gpus;
	in.gpu_ids = (int32_t *)m->gpus;
	in.n_gpu_ids = (size_t)m->n_gpus;
	in.instance = a->instance;
	in.slots = a->config.slots;
	in.push = a->config.push;
	in.url = (char *)server_url(a->server);
	a->registering = call_master(a, RPC_MASTER_REGISTER_WORKER, &in.base,
				     CALL_MS, registered, a);
	free(url);
}

/* It does not know us any more: it has lost its memory, or took us for dead. */
static void forgotten(struct agent *a)
{
	a->known = false;
	timer_set(&a->again, a->loop, backoff_next(&a->pause, &a->rand), again,
		  a);
}

/* ---- to tell how it is ---- */

static void beaten(const struct err *err, const ProtobufCMessage *msg,
		   void *arg)
{
	const Morphml__Distributed__HeartbeatResponse *out =
		(const Morphml__Distributed__HeartbeatResponse *)msg;
	struct agent *a = arg;

	a->beating = NULL;
	if (err || a->stopping)
		return; /* the next one may come through */
	if (!out->acknowledged) {
		if (a->known)
			forgotten(a);
		return;
	}
	for (size_t i = 0; i < out->n_cancel; i++)
		agent_cancel(a, out->cancel[i]);
	if (!out->should_continue)
		agent_stop(a);
	else
		agent_go_on(a);
}

static void beat(void *arg)
{
	struct agent *a = arg;
	Morphml__Distributed__HeartbeatRequest in =
		MORPHML__DISTRIBUTED__HEARTBEAT_REQUEST__INIT;
	Morphml__Distributed__WorkerMetrics w;

	if (!a->known || a->beating)
		return;
	agent_metrics(a, &w);
	in.worker_id = (char *)a->config.id;
	in.status = (char *)agent_status(a);
	in.current_task_id = (char *)agent_current(a);
	in.metrics = &w;
	in.instance = a->instance;
	in.holding = agent_holding(a, &in.n_holding);
	a->beating = call_master(a, RPC_MASTER_HEARTBEAT, &in.base, CALL_MS,
				 beaten, a);
	free_texts(in.holding, in.n_holding);
}

/* ---- to ask for tasks ---- */

static void take_all(struct agent *a,
		     const Morphml__Distributed__TaskResponse *out)
{
	struct err err;

	for (size_t i = 0; i < out->n_tasks; i++)
		if (agent_take(a, out->tasks[i], NULL, &err) &&
		    err.code != ERR_ALREADY_EXISTS)
			log_err("task_refused", &err);
	for (size_t i = 0; i < out->n_cancel; i++)
		agent_cancel(a, out->cancel[i]);
}

static void asked(const struct err *err, const ProtobufCMessage *msg, void *arg)
{
	const Morphml__Distributed__TaskResponse *out =
		(const Morphml__Distributed__TaskResponse *)msg;
	struct agent *a = arg;
	bool nothing;

	a->asking = NULL;
	if (err) {
		pause_then(a, "request_task", err);
		return;
	}
	if (a->pause.now_ms)
		log_info("master_back", "master=%s", agent_master(a));
	a->pause.now_ms = 0;
	if (out->unknown) {
		forgotten(a);
		return;
	}
	nothing = !out->n_tasks && !out->n_cancel;
	take_all(a, out);
	if (nothing)
		timer_set(&a->again, a->loop,
			  a->gfl ? EMPTY_MS : a->config.poll_ms, again, a);
	agent_go_on(a);
}

void agent_ask(struct agent *a)
{
	int room = a->config.slots - a->queued - a->running - a->over;
	Morphml__Distributed__TaskRequest in =
		MORPHML__DISTRIBUTED__TASK_REQUEST__INIT;

	if (a->asking || !a->known || a->config.push || a->stopping ||
	    a->again.h || (!a->gfl && room < 1))
		return;
	in.worker_id = (char *)a->config.id;
	in.max_tasks = a->gfl ? a->config.slots + AHEAD : room;
	in.instance = a->instance;
	in.wait_ms = HOLD_MS;
	in.holding = agent_holding(a, &in.n_holding);
	a->asking = call_master(a, RPC_MASTER_REQUEST_TASK, &in.base,
				HOLD_MS + CALL_MS, asked, a);
	free_texts(in.holding, in.n_holding);
}

/* ---- to bring results ---- */

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
	spec_numbers(r->output, &r->metrics, &r->n_metrics);
	if (!a->gfl)
		r->architecture = j->text;
	j->brought = true;
}

/* As many as have come: the first of them carries the others. */
static size_t gather(struct agent *a, Morphml__Distributed__ResultRequest *all)
{
	size_t most = a->gfl && !a->singly ? BRING_MAX : 1, n = 0, bytes = 0;
	struct job *j;

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
		a->bringing = call_master(a, RPC_MASTER_SUBMIT_RESULT,
					  &all[0].base, CALL_MS, brought, a);
		free(more);
	}
	for (size_t i = 0; i < n; i++)
		spec_free_numbers(all[i].metrics, all[i].n_metrics);
	free(all);
}

/* ---- to leave ---- */

static void left(const struct err *err, const ProtobufCMessage *msg, void *arg)
{
	struct agent *a = arg;

	(void)err, (void)msg; /* then it will find out by our silence */
	a->leaving = NULL;
	agent_end(a);
}

void agent_leave(struct agent *a)
{
	Gfl__V1__LeaveMasterRequest in = GFL__V1__LEAVE_MASTER_REQUEST__INIT;

	if (a->leaving || a->ended)
		return;
	if (!a->known || !a->gfl) {
		agent_end(a);
		return;
	}
	in.worker_id = (char *)a->config.id;
	in.instance = a->instance;
	a->leaving = call_master(a, RPC_TASK_LEAVE, &in.base, CALL_MS, left, a);
}

void agent_release_master(struct agent *a)
{
	timer_stop(&a->again);
	timer_stop(&a->beat);
	timer_stop(&a->bring_again);
	remotes_close(&a->remotes);
}
