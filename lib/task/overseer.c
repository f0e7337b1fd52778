#include "task/overseer.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/timer.h"
#include "wire/client.h"
#include "wire/rpc.h"

enum { EVERY_MS = 1000, PATIENCE_MS = 3000 };

/* A look is three questions, one after the other: its status, its workers, and
 * what has ended, for as long as there is more of that. */
struct overseer {
	struct loop *loop;
	struct client *client;
	const struct reach *reach;
	overseer_fn *fn;
	void *arg;
	struct rpc *asking;
	struct timer every;
	struct overseer_view now, last;
	Gfl__V1__MasterStatus *next; /* of the look under way */
	int64_t after;               /* what ended up to here is told; -1: not
					known yet */
};

static void drop(struct overseer_view *v)
{
	rpc_free(v->status ? (ProtobufCMessage *)&v->status->base : NULL);
	rpc_free(v->crew ? (ProtobufCMessage *)&v->crew->base : NULL);
	*v = (struct overseer_view){0};
}

static void tell(struct overseer *o, struct overseer_event e)
{
	e.status = o->now.status;
	o->fn(&e, o->arg);
}

static void call(struct overseer *o, enum rpc_name name,
		 const ProtobufCMessage *in,
		 void (*answered)(const struct err *err,
				  const ProtobufCMessage *out, void *arg))
{
	const struct rpc_opts opts = {.timeout_ms = PATIENCE_MS};

	o->asking = client_call(o->client, reach_url(o->reach), name, in, &opts,
				answered, o);
}

/* True: this look is over, the master is gone. */
static bool is_lost(struct overseer *o, const struct err *err)
{
	o->asking = NULL;
	if (!err)
		return false;
	rpc_free(o->next ? &o->next->base : NULL);
	o->next = NULL;
	if (!o->now.status)
		return true;
	drop(&o->last);
	o->last = o->now;
	o->now = (struct overseer_view){0};
	tell(o, (struct overseer_event){
			.what = "watch", .event = "lost", .text = err->msg});
	return true;
}

static void on_results(const struct err *err, const ProtobufCMessage *msg,
		       void *arg);

static void ask_results(struct overseer *o)
{
	Gfl__V1__WaitResultsRequest in = GFL__V1__WAIT_RESULTS_REQUEST__INIT;

	in.after = o->after;
	call(o, RPC_TASK_WAIT_RESULTS, &in.base, on_results);
}

static void on_results(const struct err *err, const ProtobufCMessage *msg,
		       void *arg)
{
	const Gfl__V1__WaitResultsResponse *out =
		(const Gfl__V1__WaitResultsResponse *)msg;
	struct overseer *o = arg;

	if (is_lost(o, err))
		return;
	for (size_t i = 0; i < out->n_tasks; i++)
		tell(o, (struct overseer_event){.what = "task",
						.event = out->tasks[i]->state,
						.task = out->tasks[i]});
	o->after = out->after;
	if (out->n_tasks)
		ask_results(o);
}

/* A master that came back may be another one, whose places are lower. */
static void take(struct overseer *o, const ProtobufCMessage *crew)
{
	const bool lost = !o->now.status;

	if (!lost) {
		drop(&o->last);
		o->last = o->now;
	}
	o->now.status = o->next;
	o->now.crew = (const Gfl__V1__ListWorkersResponse *)rpc_copy(crew);
	o->next = NULL;
	if (o->after < 0 || o->after > o->now.status->ended)
		o->after = o->now.status->ended;
	if (lost)
		tell(o, (struct overseer_event){.what = "watch",
						.event = "connected",
						.text = reach_url(o->reach)});
}

static void on_crew(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct overseer *o = arg;

	if (is_lost(o, err))
		return;
	take(o, out);
	overseer_compare(&o->last, &o->now, o->fn, o->arg);
	ask_results(o);
}

static void on_status(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	Gfl__V1__ListWorkersRequest in = GFL__V1__LIST_WORKERS_REQUEST__INIT;
	struct overseer *o = arg;

	if (is_lost(o, err))
		return;
	o->next = (Gfl__V1__MasterStatus *)rpc_copy(out);
	call(o, RPC_TASK_LIST_WORKERS, &in.base, on_crew);
}

static void look(void *arg)
{
	Gfl__V1__MasterStatusRequest in = GFL__V1__MASTER_STATUS_REQUEST__INIT;
	struct overseer *o = arg;

	if (!o->asking)
		call(o, RPC_TASK_GET_STATUS, &in.base, on_status);
}

/* Now, so that who mistypes a URL is told. */
static int find(const struct reach *r, struct err *err)
{
	Gfl__V1__MasterStatusRequest in = GFL__V1__MASTER_STATUS_REQUEST__INIT;
	ProtobufCMessage *out;
	int rc = reach_call(r, RPC_TASK_GET_STATUS, &in.base, &out, err);

	if (!rc)
		rpc_free(out);
	return rc;
}

int overseer_open(struct overseer **out, struct loop *loop,
		  const struct reach *r, overseer_fn *fn, void *arg,
		  struct err *err)
{
	struct overseer *o;

	if (find(r, err))
		return (int)err->code;
	o = mem_zero(1, sizeof(*o));
	*o = (struct overseer){
		.loop = loop, .reach = r, .fn = fn, .arg = arg, .after = -1};
	if (client_open_files(&o->client, loop, &r->tls, err)) {
		overseer_close(o);
		return (int)err->code;
	}
	look(o);
	timer_every(&o->every, loop, EVERY_MS, look, o);
	*out = o;
	return 0;
}

void overseer_close(struct overseer *o)
{
	if (!o)
		return;
	timer_stop(&o->every);
	client_cancel(o->asking);
	client_close(o->client);
	rpc_free(o->next ? &o->next->base : NULL);
	drop(&o->now);
	drop(&o->last);
	free(o);
}

struct overseer_view overseer_view(const struct overseer *o)
{
	return o->now;
}
