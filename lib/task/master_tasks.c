/* The methods of TaskService. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "task/master_impl.h"
#include "task/task_json.h"

enum {
	SUBMIT_MAX = 10000, /* in one request */
	TOKEN_MAX = 200,
	PRIORITY_MAX = 1000000,
	DAY_MS = 86400 * 1000,
};

/* ---- submit ---- */

struct submitting {
	struct master *m;
	struct call *call; /* NULL: its client has gone */
};

static int check_after(const Gfl__V1__TaskSpec *t, size_t i, struct err *err)
{
	if (t->n_after + t->n_after_items > TASK_AFTER_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "it comes after more than %d tasks",
			       TASK_AFTER_MAX);
	for (size_t k = 0; k < t->n_after_items; k++)
		if (t->after_items[k] < 0 || (size_t)t->after_items[k] >= i)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "after_items has %d, which is no "
				       "earlier task of the request",
				       (int)t->after_items[k]);
	return 0;
}

static int check_spec(Gfl__V1__TaskSpec *t, size_t i, struct err *err)
{
	size_t len = strlen(t->task);

	t->tries = t->tries ? t->tries : TASK_TRIES;
	t->timeout_ms = t->timeout_ms ? t->timeout_ms : TASK_TIMEOUT_MS;
	if (len > TASK_TEXT_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "a task of %zu bytes, at most %d", len,
			       TASK_TEXT_MAX);
	if (strlen(t->name) > TASK_NAME_MAX ||
	    strlen(t->affinity) > TASK_NAME_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a name or affinity of more than %d bytes",
			       TASK_NAME_MAX);
	if (t->tries < 1 || t->tries > TASK_TRIES_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "tries is %d, not 1 to %d", (int)t->tries,
			       TASK_TRIES_MAX);
	if (t->priority > PRIORITY_MAX || t->priority < -PRIORITY_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "priority is beyond %d", PRIORITY_MAX);
	if (t->timeout_ms < 1 || t->timeout_ms > 365LL * DAY_MS)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "timeout_ms is not 1 ms to a year");
	return task_json_object(t->task, len, NULL, err) ||
			       check_after(t, i, err)
		       ? (int)err->code
		       : 0;
}

static int check_submit(const struct master *m, Gfl__V1__SubmitTasksRequest *in,
			struct err *err)
{
	size_t max = m->config.farm.max_tasks;

	if (strlen(in->token) > TOKEN_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a token of more than %d bytes", TOKEN_MAX);
	if (in->n_tasks > SUBMIT_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "%zu tasks in one request, at most %d",
			       in->n_tasks, SUBMIT_MAX);
	if (in->n_tasks > max)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "%zu tasks at once, where the queue has room "
			       "for %zu: --max-inflight gives it fewer",
			       in->n_tasks, max);
	if (farm_unfinished(&m->farm) + in->n_tasks > max)
		return err_full(err,
				"the queue is full: %zu of %zu tasks have not "
				"ended",
				farm_unfinished(&m->farm), max);
	for (size_t i = 0; i < in->n_tasks; i++)
		if (check_spec(in->tasks[i], i, err))
			return err_wrap(err, "task %zu", i + 1);
	return 0;
}

static void add_one(struct master *m, const struct queue_batch *b, size_t i)
{
	const Gfl__V1__TaskSpec *spec = b->in->tasks[i];
	const struct queue_item *item = &b->items[i];
	struct task *t =
		task_new(item->id, spec->task, spec->name, spec->affinity);
	struct instant now = master_now();

	t->submission = b->submission;
	t->line = spec->line;
	t->priority = spec->priority;
	t->max_tries = spec->tries;
	t->timeout_ms = spec->timeout_ms;
	t->gpu = spec->gpu;
	t->state = item->n_after || item->doomed ? TASK_WAITING : TASK_READY;
	if (item->doomed)
		t->before = 1; /* it never begins */
	farm_add(&m->farm, t, item->after, item->n_after, now);
	if (item->doomed)
		farm_doom(&m->farm, item->id, item->doomed, now);
}

static Gfl__V1__SubmitTasksResponse *submit_answer(const struct queue_batch *b)
{
	Gfl__V1__SubmitTasksResponse *out = mem_zero(1, sizeof(*out));

	gfl__v1__submit_tasks_response__init(out);
	out->ids = mem_zero(b->in->n_tasks, sizeof(*out->ids));
	out->ended = b->ended;
	for (size_t i = 0; i < b->in->n_tasks; i++) {
		out->ids[out->n_ids++] = b->items[i].id;
		out->known += b->items[i].known;
	}
	return out;
}

static void submitted(const struct err *err, void *arg)
{
	struct queue_batch *b = arg;
	struct submitting *s = b->arg;
	struct master *m = s->m;

	if (err) {
		if (s->call)
			call_fail(s->call, err);
		if (writer_failed(m->writer))
			master_fail(m, writer_failed(m->writer));
	} else {
		Gfl__V1__SubmitTasksResponse *out = submit_answer(b);

		for (size_t i = 0; i < b->in->n_tasks; i++)
			if (!b->items[i].known)
				add_one(m, b, i);
		if (s->call)
			call_reply(s->call, &out->base);
		rpc_free(&out->base);
	}
	queue_batch_free(b);
	free(s);
	if (!err)
		master_step(m);
}

static void submit_gone(struct call *call, void *arg)
{
	(void)call;
	((struct submitting *)arg)->call = NULL;
}

static void on_submit(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	struct submitting *s = mem_zero(1, sizeof(*s));
	struct master *m = arg;
	struct queue_batch *b;
	struct err err;

	(void)msg;
	*s = (struct submitting){m, call};
	b = queue_batch_new((Gfl__V1__SubmitTasksRequest *)call_take(call),
			    clock_wall_ms(), s);
	if (check_submit(m, b->in, &err)) {
		submitted(&err, b);
		return;
	}
	call_on_cancel(call, submit_gone, s);
	if (writer_post(m->writer, queue_submit, submitted, b, &err))
		submitted(&err, b);
}

/* ---- list ---- */

static int list_ids(struct master *m, const Gfl__V1__ListTasksRequest *in,
		    struct queue_rows *rows, struct err *err)
{
	for (size_t i = 0; i < in->n_ids && i < MASTER_ROWS && !rows->more; i++)
		if (queue_get(m->reader, in->ids[i], rows, err))
			return (int)err->code;
	return 0;
}

static int parse_states(const Gfl__V1__ListTasksRequest *in, unsigned *set,
			struct err *err)
{
	*set = 0;
	for (size_t i = 0; i < in->n_states; i++) {
		enum task_state state;

		if (!task_state_parse(in->states[i], &state))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "\"%.40s\" is no state of a task: "
				       "waiting, ready, delayed, running, "
				       "done, failed, cancelled",
				       in->states[i]);
		*set |= 1u << state;
	}
	return 0;
}

static void on_list(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__ListTasksRequest *in =
		(const Gfl__V1__ListTasksRequest *)msg;
	Gfl__V1__ListTasksResponse out = GFL__V1__LIST_TASKS_RESPONSE__INIT;
	struct queue_rows rows = {0};
	struct master *m = arg;
	int max = master_rows(in->max), rc;
	unsigned states;
	struct err err;

	rc = parse_states(in, &states, &err);
	if (!rc && in->n_ids)
		rc = list_ids(m, in, &rows, &err);
	else if (!rc)
		rc = queue_list(m->reader, in->after, states, max, &rows, &err);
	if (rc) {
		call_fail(call, &err);
	} else {
		out.n_tasks = rows.n;
		out.tasks = rows.at;
		if (!in->n_ids && (rows.more || rows.n == (size_t)max))
			out.after = rows.at[out.n_tasks - 1]->id;
		call_reply(call, &out.base);
	}
	queue_rows_release(&rows);
}

/* ---- cancel ---- */

static void add_verdict(Gfl__V1__CancelTasksResponse *out, size_t *cap,
			int64_t id, const char *state)
{
	Gfl__V1__CancelVerdict *v = mem_zero(1, sizeof(*v));

	gfl__v1__cancel_verdict__init(v);
	v->id = id;
	v->state = mem_str(state);
	out->tasks = mem_grow(out->tasks, cap, out->n_tasks + 1,
			      sizeof(*out->tasks));
	out->tasks[out->n_tasks++] = v;
}

static char *state_of(struct master *m, int64_t id)
{
	const struct task *t = farm_find(&m->farm, id);
	struct queue_rows rows = {0};
	struct err none;
	char *state;

	if (t)
		return mem_str(task_state_name(t->state));
	if (queue_get(m->reader, id, &rows, &none))
		state = mem_str("unknown");
	else
		state = mem_str(rows.at[0]->state);
	queue_rows_release(&rows);
	return state;
}

static void cancel_all(struct master *m, Gfl__V1__CancelTasksResponse *out)
{
	struct task *t, *next;
	size_t cap = 0;

	HASH_ITER (hh, m->farm.tasks, t, next) {
		if (task_ended(t->state))
			continue;
		farm_cancel(&m->farm, t->id, "it was cancelled", master_now());
		add_verdict(out, &cap, t->id, "cancelled");
	}
}

static void cancel_some(struct master *m, const Gfl__V1__CancelTasksRequest *in,
			Gfl__V1__CancelTasksResponse *out)
{
	size_t cap = 0;

	for (size_t i = 0; i < in->n_ids; i++) {
		char *state;

		farm_cancel(&m->farm, in->ids[i], "it was cancelled",
			    master_now());
		state = state_of(m, in->ids[i]);
		add_verdict(out, &cap, in->ids[i], state);
		free(state);
	}
}

static void on_cancel(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__CancelTasksRequest *in =
		(const Gfl__V1__CancelTasksRequest *)msg;
	Gfl__V1__CancelTasksResponse *out = mem_zero(1, sizeof(*out));
	struct master *m = arg;
	struct err err;

	gfl__v1__cancel_tasks_response__init(out);
	if (in->n_ids > TASK_CANCEL_MAX) {
		err_set(&err, ERR_RESOURCE_EXHAUSTED,
			"%zu ids in one request, at most %d", in->n_ids,
			TASK_CANCEL_MAX);
		call_fail(call, &err);
		free(out);
		return;
	}
	if (in->all)
		cancel_all(m, out);
	else
		cancel_some(m, in, out);
	log_info("cancelled", "tasks=%zu all=%d", out->n_tasks, in->all);
	master_answer(m, call, &out->base);
	master_step(m);
}

/* ---- how it is ---- */

static void count_crew(const struct master *m, Gfl__V1__MasterStatus *out)
{
	for (const struct crew *c = m->farm.crew; c; c = c->hh.next) {
		out->workers += !c->dead && !c->left;
		out->dead += c->dead;
	}
}

static void on_status(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	Gfl__V1__MasterStatus out = GFL__V1__MASTER_STATUS__INIT;
	struct master *m = arg;
	const size_t *n = m->farm.count;
	const struct task *next = farm_next(&m->farm);
	struct err err;

	(void)msg;
	out.waiting = (int64_t)(n[TASK_WAITING] + n[TASK_DELAYED]);
	out.ready = (int64_t)n[TASK_READY];
	out.running = (int64_t)n[TASK_RUNNING];
	out.done = m->farm.ended_as[TASK_DONE];
	out.failed = m->farm.ended_as[TASK_FAILED];
	out.cancelled = m->farm.ended_as[TASK_CANCELLED];
	out.ended = m->farm.ended;
	out.now_ms = clock_wall_ms();
	count_crew(m, &out);
	if (next && queue_submitted(m->reader, next->id, &out.next_ms, &err))
		call_fail(call, &err);
	else
		call_reply(call, &out.base);
}

void master_serve_tasks(struct master *m)
{
	server_handle(m->server, RPC_TASK_SUBMIT, on_submit, m);
	server_handle(m->server, RPC_TASK_GET_STATUS, on_status, m);
	server_handle(m->server, RPC_TASK_LIST, on_list, m);
	server_handle(m->server, RPC_TASK_CANCEL, on_cancel, m);
}
