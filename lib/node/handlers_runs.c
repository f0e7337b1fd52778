/* NodeService: runs are started, stopped and shown. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "node/node_impl.h"
#include "node/spec.h"
#include "node/state_impl.h"
#include "wire/rpc.h"

/* How a trainer is: what it said last may be older than its end, or than the
 * run's, which at the target accuracy comes before the last round. */
static const char *state_now(const struct node *n, const Gfl__V1__Run *run,
			     const Gfl__V1__TrainerReport *r)
{
	const Gfl__V1__Trainer *t = state_trainer(n->state, r->trainer_id);
	bool said =
		!strcmp(r->state, "finished") || !strcmp(r->state, "failed");

	if (run->ended_ms && said)
		return r->state;
	if (!t || t->liveness != GFL__V1__LIVENESS__LIVE)
		return "down";
	if (!run->ended_ms)
		return r->state;
	return !strcmp(run->state, "finished") && run->spec->target_accuracy > 0
		       ? "finished"
		       : "stopped";
}

/* Who takes part and has not said anything yet is in no round: that of all is
 * not what the first ones say. */
static void note_silent(const struct node *n, Gfl__V1__Run *run)
{
	Gfl__V1__TrainerReport r = GFL__V1__TRAINER_REPORT__INIT;
	size_t i, said = 0; /* both lists ascend */

	r.state = (char *)"joining";
	for (i = 0; i < n->state->ntrainers; i++) {
		const Gfl__V1__Trainer *t = n->state->trainers[i];

		while (said < run->n_reports &&
		       run->reports[said]->trainer_id < t->id)
			said++;
		if (t->liveness || t->no_runs ||
		    (said < run->n_reports &&
		     run->reports[said]->trainer_id == t->id))
			continue;
		r.trainer_id = t->id;
		state_run_note(run, &r);
	}
}

/* The run with what the leader knows beyond the log. */
static Gfl__V1__Run *run_now(const struct node *n, const Gfl__V1__Run *run)
{
	Gfl__V1__Run *copy = (Gfl__V1__Run *)rpc_copy(&run->base);

	conductor_merge(n, copy);
	if (!strcmp(copy->state, "running"))
		note_silent(n, copy);
	for (size_t i = 0; i < copy->n_reports; i++) {
		Gfl__V1__TrainerReport *r = copy->reports[i];
		const char *now = state_now(n, copy, r);

		if (now != r->state)
			state_text(&r->state, now);
	}
	return copy;
}

int64_t handlers_least_round(const struct node *n, const Gfl__V1__Run *run)
{
	Gfl__V1__Run *now = run_now(n, run);
	int64_t least = INT64_MAX;

	for (size_t i = 0; i < now->n_reports; i++)
		if (strcmp(now->reports[i]->state, "down") != 0 &&
		    now->reports[i]->round < least)
			least = now->reports[i]->round;
	rpc_free(&now->base);
	return least == INT64_MAX ? 0 : least;
}

/* ---- runs ---- */

static void reply_started(struct ask *a, const struct driver_result *result)
{
	Gfl__V1__StartRunResponse out = GFL__V1__START_RUN_RESPONSE__INIT;

	out.id = result->id;
	ask_answer(a, &out.base);
}

static int propose_run(struct ask *a, Gfl__V1__RunChange *c,
		       ask_reply_fn *reply, struct err *err)
{
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	c->at_ms = clock_wall_ms();
	e.kind_case = GFL__V1__ENTRY__KIND_RUN;
	e.run = c;
	return ask_propose(a, &e, reply, err);
}

static int lead_start(struct ask *a, struct err *err)
{
	const Gfl__V1__StartRunRequest *in =
		(const Gfl__V1__StartRunRequest *)a->in;
	Gfl__V1__RunChange c = GFL__V1__RUN_CHANGE__INIT;

	c.action = GFL__V1__RUN_CHANGE__ACTION__START;
	c.spec = in->spec;
	return propose_run(a, &c, reply_started, err);
}

static void on_start(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	Gfl__V1__StartRunRequest *in;
	struct ask *a = ask_new(arg, call, RPC_NODE_START_RUN, msg, lead_start);
	struct err err;

	in = (Gfl__V1__StartRunRequest *)a->in;
	if (!in->spec)
		err_set(&err, ERR_INVALID_ARGUMENT, "a run without settings");
	else if (!handlers_bad_session(in->client, in->seq, &err) &&
		 !spec_complete(in->spec, &err)) {
		handlers_adopt(a, &in->client, &in->seq);
		ask_begin(a);
		return;
	}
	ask_fail(a, &err);
}

static void reply_stopped(struct ask *a, const struct driver_result *result)
{
	Gfl__V1__StopRunResponse out = GFL__V1__STOP_RUN_RESPONSE__INIT;

	out.index = result->index;
	ask_answer(a, &out.base);
}

static int lead_stop(struct ask *a, struct err *err)
{
	const Gfl__V1__StopRunRequest *in =
		(const Gfl__V1__StopRunRequest *)a->in;
	Gfl__V1__RunChange c = GFL__V1__RUN_CHANGE__INIT;

	c.action = GFL__V1__RUN_CHANGE__ACTION__STOP;
	c.id = in->id;
	c.reason = in->reason;
	return propose_run(a, &c, reply_stopped, err);
}

static void on_stop(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	Gfl__V1__StopRunRequest *in;
	struct ask *a = ask_new(arg, call, RPC_NODE_STOP_RUN, msg, lead_stop);
	struct err err;

	in = (Gfl__V1__StopRunRequest *)a->in;
	if (strlen(in->reason) > STATE_TEXT_MAX) {
		err_set(&err, ERR_INVALID_ARGUMENT, "a reason past %d bytes",
			STATE_TEXT_MAX);
	} else if (!handlers_bad_session(in->client, in->seq, &err)) {
		handlers_adopt(a, &in->client, &in->seq);
		ask_begin(a);
		return;
	}
	ask_fail(a, &err);
}

static void reply_list(struct ask *a, const struct driver_result *result)
{
	const struct state *s = a->n->state;
	Gfl__V1__ListRunsResponse *out = mem_zero(1, sizeof(*out));

	(void)result;
	gfl__v1__list_runs_response__init(out);
	out->runs = mem_zero(s->nruns + 1, sizeof(*out->runs));
	out->n_runs = s->nruns;
	for (size_t i = 0; i < s->nruns; i++)
		out->runs[i] = run_now(a->n, s->runs[i]);
	ask_answer(a, &out->base);
	rpc_free(&out->base);
}

static int lead_list(struct ask *a, struct err *err)
{
	return ask_read(a, reply_list, err);
}

static void reply_show(struct ask *a, const struct driver_result *result)
{
	const struct state *s = a->n->state;
	int64_t id = ((const Gfl__V1__ShowRunRequest *)a->in)->id;
	const Gfl__V1__Run *run = id         ? state_run(s, id)
				  : s->nruns ? s->runs[s->nruns - 1]
					     : NULL;
	Gfl__V1__Run *out;
	struct err err;

	(void)result;
	if (!run) {
		if (id)
			err_set(&err, ERR_NOT_FOUND,
				"run %" PRId64 " is not known", id);
		else
			err_set(&err, ERR_NOT_FOUND, "no run yet");
		ask_fail(a, &err);
		return;
	}
	out = run_now(a->n, run);
	ask_answer(a, &out->base);
	rpc_free(&out->base);
}

static int lead_show(struct ask *a, struct err *err)
{
	return ask_read(a, reply_show, err);
}

/* The leader has the newest reports; without one, what we know must do. */
static void read_runs(struct node *n, struct ask *a, ask_reply_fn *reply)
{
	if (n->driver)
		ask_begin_or(a, reply);
	else
		ask_begin(a);
}

static void on_list(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct ask *a = ask_new(arg, call, RPC_NODE_LIST_RUNS, in, lead_list);

	if (((const Gfl__V1__ListRunsRequest *)in)->linearizable)
		ask_begin(a);
	else
		read_runs(arg, a, reply_list);
}

static void on_show(struct call *call, const ProtobufCMessage *in, void *arg)
{
	read_runs(arg, ask_new(arg, call, RPC_NODE_SHOW_RUN, in, lead_show),
		  reply_show);
}

void handlers_serve_runs(struct node *n)
{
	server_handle(n->server, RPC_NODE_START_RUN, on_start, n);
	server_handle(n->server, RPC_NODE_STOP_RUN, on_stop, n);
	server_handle(n->server, RPC_NODE_LIST_RUNS, on_list, n);
	server_handle(n->server, RPC_NODE_SHOW_RUN, on_show, n);
}
