/* Workers that ask for tasks, and wait for them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "task/master_impl.h"
#include "task/task_json.h"

enum {
	HOLD_MAX_MS = 25000,
	ASKS_MAX = 10000,
	ANSWER_BYTES = 1 << 20, /* of tasks in an answer, or one */
};

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

/* Those that an answer has no room for. One of ours has them when it asks
 * again; of another one nobody would know that it has not got them. */
static void keep_rest(struct master *m, const struct crew *c)
{
	struct task *t, *next;

	for (t = TAILQ_FIRST(&c->tasks); t && !c->gfl; t = next) {
		next = TAILQ_NEXT(t, of_crew);
		if (t->deliver)
			farm_unsent(&m->farm,
				    (struct farm_given){t->id, t->given}, true,
				    master_now());
	}
}

static void add_task(Morphml__Distributed__TaskResponse *out, struct reply *r,
		     struct task *t, size_t *cap)
{
	out->tasks = mem_grow(out->tasks, cap, out->n_tasks + 1,
			      sizeof(*out->tasks));
	out->tasks[out->n_tasks++] = task_json_request(t);
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
		if (!t->deliver || bytes >= ANSWER_BYTES)
			continue;
		add_task(out, r, t, &cap);
		bytes += morphml__distributed__evaluate_request__get_packed_size(
			out->tasks[out->n_tasks - 1]);
	}
	keep_rest(m, c);
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

/* That a connection is there says nothing of who has it. */
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
	struct asking *a;
	struct crew *c;

	if (!master_lets_speak(m, call, in->worker_id))
		return;
	c = farm_hear(&m->farm, in->worker_id, in->instance, now);
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

void master_serve_giving(struct master *m)
{
	server_handle(m->server, RPC_MASTER_REQUEST_TASK, on_request, m);
}
