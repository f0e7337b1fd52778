/* The methods of MasterService. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "task/master_impl.h"
#include "task/spec.h"

enum {
	HOLD_MAX_MS = 25000,
	ASKS_MAX = 10000,
	RESULTS_MAX = 10000,    /* in one request */
	ANSWER_BYTES = 1 << 20, /* of tasks in an answer, or one */
};

/* ---- a worker comes ---- */

static const char *meta(const Morphml__Distributed__RegisterRequest *in,
			const char *key)
{
	for (size_t i = 0; i < in->n_metadata; i++)
		if (!strcmp(in->metadata[i]->key, key))
			return in->metadata[i]->value;
	return "";
}

static char *url_of(const Morphml__Distributed__RegisterRequest *in)
{
	bool v6 = strchr(in->host, ':') != NULL;

	if (*in->url)
		return mem_str(in->url);
	if (!*in->host || in->port < 1 || in->port > 65535)
		return mem_str("");
	return mem_fmt("http://%s%s%s:%d", v6 ? "[" : "", in->host,
		       v6 ? "]" : "", (int)in->port);
}

static bool wants_push(const struct master *m, const char *mode,
		       const Morphml__Distributed__RegisterRequest *in,
		       const char *url)
{
	if (!*url)
		return false;
	if (*in->instance)
		return in->push;
	return *mode ? !strcmp(mode, "push") : m->config.push;
}

static int check_id(const char *id, struct err *err)
{
	if (!*id || strlen(id) > CREW_ID_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "worker_id has %zu bytes, not 1 to %d",
			       strlen(id), CREW_ID_MAX);
	return 0;
}

static int enter(struct master *m,
		 const Morphml__Distributed__RegisterRequest *in,
		 struct err *err)
{
	char *url = url_of(in);
	int32_t gpus[CREW_GPUS];
	struct farm_worker who = {
		.id = in->worker_id,
		.url = url,
		.instance = in->instance,
		.gfl = *in->instance,
		.push = wants_push(m, meta(in, "mode"), in, url),
		.slots = in->slots,
		.gpus = gpus,
	};
	int rc = check_id(in->worker_id, err);

	if (!rc && strlen(url) > CREW_URL_MAX)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "an address of more than %d bytes", CREW_URL_MAX);
	if (!rc && *in->instance && !str_is_id(in->instance))
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "instance is not 32 hex digits");
	who.n_gpus = in->n_gpu_ids ? (int)in->n_gpu_ids : in->num_gpus;
	if (who.n_gpus < 0 || who.n_gpus > CREW_GPUS)
		who.n_gpus = CREW_GPUS;
	for (int i = 0; i < who.n_gpus; i++)
		gpus[i] = in->n_gpu_ids ? in->gpu_ids[i] : i;
	if (!rc)
		rc = farm_register(&m->farm, &who, master_now(), err);
	if (!rc)
		log_info("worker",
			 "worker=%s url=%s mode=%s slots=%d gpus=%d gfl=%d",
			 who.id, who.url, who.push ? "push" : "pull",
			 who.slots ? who.slots : 1, who.n_gpus, who.gfl);
	free(url);
	return rc;
}

static void on_register(struct call *call, const ProtobufCMessage *msg,
			void *arg)
{
	const Morphml__Distributed__RegisterRequest *in =
		(const Morphml__Distributed__RegisterRequest *)msg;
	struct master *m = arg;
	Morphml__Distributed__RegisterResponse *out = mem_zero(1, sizeof(*out));
	struct err err;
	struct crew *c;

	morphml__distributed__register_response__init(out);
	out->success = !enter(m, in, &err);
	out->message = mem_str(out->success ? "registered" : err.msg);
	out->master_id = mem_str(m->id);
	out->gfl = true;
	out->silence_ms = m->config.farm.silence_ms;
	if (out->success) {
		HASH_FIND_STR(m->farm.crew, in->worker_id, c);
		master_keep(m, c, false);
	}
	master_answer(m, call, &out->base)->to_worker = true;
	master_step(m);
}

/* ---- it is heard of ---- */

static double percent(double v)
{
	return v >= 0 && v <= 1e6 ? v : 0; /* of so many CPUs, say; no NaN */
}

static void take_metrics(struct crew *c,
			 const Morphml__Distributed__HeartbeatRequest *in)
{
	const Morphml__Distributed__WorkerMetrics *w = in->metrics;

	str_copy(c->status, sizeof(c->status), in->status);
	if (w)
		c->metrics = (struct crew_metrics){
			percent(w->cpu_usage), percent(w->memory_usage),
			percent(w->gpu_usage), percent(w->gpu_memory)};
}

static void on_heartbeat(struct call *call, const ProtobufCMessage *msg,
			 void *arg)
{
	const Morphml__Distributed__HeartbeatRequest *in =
		(const Morphml__Distributed__HeartbeatRequest *)msg;
	Morphml__Distributed__HeartbeatResponse out =
		MORPHML__DISTRIBUTED__HEARTBEAT_RESPONSE__INIT;
	struct master *m = arg;
	struct instant now = master_now();
	struct crew *c = farm_hear(&m->farm, in->worker_id, in->instance, now);

	out.acknowledged = c != NULL;
	out.should_continue = true;
	if (c) {
		take_metrics(c, in);
		if (c->gfl)
			farm_holding(&m->farm, c, in->holding, in->n_holding,
				     false, now);
		master_keep(m, c, in->metrics != NULL);
		out.cancel = c->cancels;
		out.n_cancel = c->n_cancels;
	}
	call_reply(call, &out.base);
	master_step(m);
}

/* ---- it asks for tasks ---- */

void master_drop_asking(struct asking *a)
{
	HASH_DEL(a->m->asking, a);
	free(a->worker);
	free(a);
}

static void asking_gone(struct call *call, void *arg)
{
	struct asking *a = arg;
	struct crew *c;

	(void)call;
	HASH_FIND_STR(a->m->farm.crew, a->worker, c);
	if (c)
		c->asks = 0;
	master_drop_asking(a);
}

static void add_task(Morphml__Distributed__TaskResponse *out, struct reply *r,
		     struct task *t, size_t *cap)
{
	out->tasks = mem_grow(out->tasks, cap, out->n_tasks + 1,
			      sizeof(*out->tasks));
	out->tasks[out->n_tasks++] = spec_request(t);
	t->deliver = false;
	if (r->unsure)
		r->unsure[r->n_unsure++] = (struct farm_given){t->id, t->given};
}

static void move_cancels(Morphml__Distributed__TaskResponse *out,
			 struct crew *c)
{
	out->cancel = mem_dup(c->cancels, c->n_cancels * sizeof(*c->cancels));
	out->n_cancel = c->n_cancels;
	c->n_cancels = 0;
}

static void answer(struct asking *a, struct crew *c)
{
	Morphml__Distributed__TaskResponse *out = mem_zero(1, sizeof(*out));
	struct master *m = a->m;
	struct reply *r;
	struct task *t;
	size_t cap = 0, bytes = 0;

	morphml__distributed__task_response__init(out);
	r = master_answer(m, a->call, &out->base);
	r->to_worker = true;
	if (!c->gfl)
		r->unsure = mem_zero((size_t)c->running, sizeof(*r->unsure));
	TAILQ_FOREACH (t, &c->tasks, of_crew) {
		if (!t->deliver || (c->gfl && bytes >= ANSWER_BYTES))
			continue; /* the latter when it asks again */
		add_task(out, r, t, &cap);
		bytes += strlen(t->text);
	}
	out->has_task = out->n_tasks > 0;
	move_cancels(out, c);
	c->asks = 0;
	master_drop_asking(a);
}

void master_tell_asking(struct master *m, struct crew *c)
{
	struct asking *a;

	HASH_FIND_STR(m->asking, c->id, a);
	if (a)
		answer(a, c);
}

static void answer_empty(struct asking *a, bool unknown)
{
	Morphml__Distributed__TaskResponse out =
		MORPHML__DISTRIBUTED__TASK_RESPONSE__INIT;
	struct crew *c;

	HASH_FIND_STR(a->m->farm.crew, a->worker, c);
	if (c)
		c->asks = 0;
	out.unknown = unknown;
	call_reply(a->call, &out.base);
	master_drop_asking(a);
}

void master_expire_asking(struct master *m, int64_t now_ms)
{
	struct asking *a, *next;
	struct crew *c;

	HASH_ITER (hh, m->asking, a, next) {
		HASH_FIND_STR(m->farm.crew, a->worker, c);
		if (!c || c->dead || c->left)
			answer_empty(a, true);
		else if (a->until_ms <= now_ms)
			answer_empty(a, false);
		else
			c->seen_ms = now_ms; /* its connection is there */
	}
}

static struct asking *wait_for_tasks(struct master *m, const struct crew *c,
				     struct call *call, int64_t wait_ms)
{
	struct asking *a;

	HASH_FIND_STR(m->asking, c->id, a);
	if (a)
		answer_empty(a, false); /* it has given that one up */
	a = mem_zero(1, sizeof(*a));
	a->m = m;
	a->worker = mem_str(c->id);
	a->call = call;
	wait_ms = wait_ms < HOLD_MAX_MS ? wait_ms : HOLD_MAX_MS;
	a->until_ms = clock_ms() + wait_ms;
	call_on_cancel(call, asking_gone, a);
	HASH_ADD_KEYPTR(hh, m->asking, a->worker, strlen(a->worker), a);
	return a;
}

static void on_request(struct call *call, const ProtobufCMessage *msg,
		       void *arg)
{
	const Morphml__Distributed__TaskRequest *in =
		(const Morphml__Distributed__TaskRequest *)msg;
	Morphml__Distributed__TaskResponse none =
		MORPHML__DISTRIBUTED__TASK_RESPONSE__INIT;
	struct master *m = arg;
	struct instant now = master_now();
	struct crew *c = farm_hear(&m->farm, in->worker_id, in->instance, now);
	struct asking *a;

	if (!c) {
		none.unknown = true;
		call_reply(call, &none.base);
		return;
	}
	wait_for_tasks(m, c, call, in->wait_ms);
	c->asks = in->max_tasks < 1 ? 1 : in->max_tasks;
	c->asks = c->asks < ASKS_MAX ? c->asks : ASKS_MAX;
	if (c->gfl)
		farm_holding(&m->farm, c, in->holding, in->n_holding, true,
			     now);
	master_step(m);
	HASH_FIND_STR(m->asking, in->worker_id, a);
	if (a && a->call == call && in->wait_ms <= 0)
		answer_empty(a, false);
}

/* ---- it has a result ---- */

/* A task that the farm has no longer: who ended it? */
static bool known_end(struct master *m, const struct farm_result *r,
		      struct err *err)
{
	struct queue_rows rows = {0};
	const Gfl__V1__Task *t;
	struct err none;
	bool same;

	if (queue_get(m->reader, strtoll(r->task, NULL, 10), &rows, &none)) {
		queue_rows_release(&rows);
		return false;
	}
	t = rows.at[0];
	same = r->success && !strcmp(t->state, "done") &&
	       !strcmp(t->worker, r->worker);
	if (!same)
		err_set(err, ERR_ABORTED, "task %s is %s already%s%s", r->task,
			t->state, *t->worker ? ", by " : "", t->worker);
	queue_rows_release(&rows);
	return same;
}

void master_bound(struct farm_result *r, size_t bytes, char why[MASTER_WHY])
{
	if (bytes <= TASK_RESULT_MAX)
		return;
	r->metrics = r->output = "";
	if (!r->success)
		return;
	snprintf(why, MASTER_WHY, "its result has %zu bytes, at most %d", bytes,
		 TASK_RESULT_MAX);
	r->success = false;
	r->final = true;
	r->error = why;
}

static size_t size_of(const Morphml__Distributed__ResultRequest *in)
{
	Morphml__Distributed__ResultRequest alone = *in;

	alone.n_more = 0;
	return morphml__distributed__result_request__get_packed_size(&alone);
}

static Morphml__Distributed__ResultResponse *
take_result(struct master *m, const Morphml__Distributed__ResultRequest *in,
	    const char *worker)
{
	char *numbers =
		spec_metrics((spec_metric *const *)in->metrics, in->n_metrics);
	struct farm_result r = {
		.worker = worker,
		.task = in->task_id,
		.try = in->attempt,
		.success = in->success,
		.returned = in->returned,
		.final = in->final,
		.duration_s = in->duration,
		.error = in->error,
		.metrics = in->n_metrics ? numbers : "",
		.output = in->output,
	};
	Morphml__Distributed__ResultResponse *out = mem_zero(1, sizeof(*out));
	char why[MASTER_WHY];
	struct err err;
	int rc;

	master_bound(&r, size_of(in), why);
	rc = farm_result(&m->farm, &r, master_now(), &err);
	morphml__distributed__result_response__init(out);
	out->acknowledged =
		!rc || (rc == ERR_NOT_FOUND && known_end(m, &r, &err));
	out->message = mem_str(out->acknowledged ? "" : err.msg);
	if (!out->acknowledged && !in->returned)
		log_info("result_refused", "worker=%s reason=%s", worker,
			 err.msg);
	free(numbers);
	return out;
}

static int check_result(const Morphml__Distributed__ResultRequest *in,
			struct err *err)
{
	if (*in->output &&
	    spec_object(in->output, strlen(in->output), NULL, err))
		return err_wrap(err, "output of task %.40s", in->task_id);
	return 0;
}

static void on_result(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Morphml__Distributed__ResultRequest *in =
		(const Morphml__Distributed__ResultRequest *)msg;
	Morphml__Distributed__ResultResponse *out;
	struct master *m = arg;
	struct crew *c;
	struct err err;
	int rc = check_id(in->worker_id, &err);

	if (!rc && in->n_more > RESULTS_MAX)
		rc = err_set(&err, ERR_RESOURCE_EXHAUSTED,
			     "more than %d results in one request",
			     RESULTS_MAX);
	if (!rc)
		rc = check_result(in, &err);
	for (size_t i = 0; !rc && i < in->n_more; i++)
		rc = check_result(in->more[i], &err);
	if (rc) {
		call_fail(call, &err);
		return;
	}
	HASH_FIND_STR(m->farm.crew, in->worker_id, c);
	if (c && !c->dead && !c->left)
		c->seen_ms = clock_ms();
	out = take_result(m, in, in->worker_id);
	out->more = mem_zero(in->n_more, sizeof(*out->more));
	for (size_t i = 0; i < in->n_more; i++)
		out->more[out->n_more++] =
			take_result(m, in->more[i], in->worker_id);
	master_answer(m, call, &out->base)->to_worker = true;
	master_step(m);
}

void master_serve(struct master *m)
{
	server_handle(m->server, RPC_MASTER_REGISTER_WORKER, on_register, m);
	server_handle(m->server, RPC_MASTER_HEARTBEAT, on_heartbeat, m);
	server_handle(m->server, RPC_MASTER_REQUEST_TASK, on_request, m);
	server_handle(m->server, RPC_MASTER_SUBMIT_RESULT, on_result, m);
}
