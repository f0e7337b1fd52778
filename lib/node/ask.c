/* Requests that only the leader can serve, wherever they come in: one hop to
 * it, and patience while there is none. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "node/node_impl.h"
#include "wire/rpc.h"

enum {
	DEADLINE_MS = 29000,
	RETRY_MS = 20,
	MARGIN_MS = 50,
	FORWARD_MS = 10000,
	ALONE_MS = 1000, /* an election takes less */
};

static void try(struct ask *a);

static void ask_free(struct ask *a)
{
	client_cancel(a->rpc);
	timer_stop(&a->retry);
	LIST_REMOVE(a, entry);
	rpc_free(a->held);
	rpc_free(a->wanted);
	rpc_free(a->in);
	free(a);
}

/* A proposal under way comes back to the ask; then it is freed. */
static void gone(struct call *call, void *arg)
{
	struct ask *a = arg;

	(void)call;
	a->call = NULL;
	if (!a->proposing)
		ask_free(a);
}

void ask_answer(struct ask *a, const ProtobufCMessage *out)
{
	if (a->call && a->serve)
		a->serve(a->n, a->call, a->wanted);
	else if (a->call)
		call_reply(a->call, out);
	ask_free(a);
}

void ask_fail(struct ask *a, const struct err *err)
{
	if (a->call)
		call_fail(a->call, err);
	ask_free(a);
}

struct ask *ask_new(struct node *n, struct call *call, enum rpc_name name,
		    const ProtobufCMessage *in, ask_lead_fn *lead)
{
	struct ask *a = mem_zero(1, sizeof(*a));
	uint64_t client;

	rand_os(&client, sizeof(client));
	a->n = n;
	a->call = call;
	a->name = name;
	a->in = rpc_copy(in);
	a->lead = lead;
	a->forwarded = call_forwarded(call);
	a->client = (int64_t)(client >> 1) | 1;
	a->seq = 1;
	a->deadline_ms = call_deadline_ms(call);
	if (a->deadline_ms > clock_ms() + DEADLINE_MS)
		a->deadline_ms = clock_ms() + DEADLINE_MS;
	LIST_INSERT_HEAD(&n->asks, a, entry);
	call_on_cancel(call, gone, a);
	return a;
}

static void on_retry(void *arg)
{
	try(arg);
}

static int64_t left_ms(const struct ask *a)
{
	return a->deadline_ms - clock_ms();
}

static bool reads(const struct ask *a)
{
	return a->serve || a->name == RPC_NODE_READ_INDEX;
}

static void give_up(struct ask *a)
{
	const char *waits = membership_waits(a->n);
	struct err err;

	if (a->alone && !a->n->leader) {
		a->alone(a, NULL);
		return;
	}
	if (a->perhaps && !reads(a))
		err_set(&err, ERR_DEADLINE_EXCEEDED,
			"the leader was lost while it had this: it may be "
			"done yet");
	else if (waits)
		err_set(&err, ERR_UNAVAILABLE,
			"not a member yet: waiting for %s", waits);
	else /* whoever joins may ask again, and again */
		err_set(&err,
			a->name == RPC_NODE_JOIN ? ERR_UNAVAILABLE
						 : ERR_FAILED_PRECONDITION,
			"the cluster has no leader");
	ask_fail(a, &err);
}

static void wait(struct ask *a)
{
	if (left_ms(a) <= MARGIN_MS ||
	    (a->alone && !a->n->leader && clock_ms() >= a->alone_ms))
		give_up(a);
	else
		timer_set(&a->retry, a->n->loop, RETRY_MS, on_retry, a);
}

/* The leader says come back, or was none: so do others who wait. */
static bool passing(enum err_code code)
{
	return code == ERR_UNAVAILABLE;
}

static void lead(struct ask *a)
{
	struct err err;
	int rc = a->lead(a, &err);

	if (!rc)
		return;
	if (passing(rc) && a->call)
		wait(a);
	else
		ask_fail(a, &err);
}

/* The entry that an answer speaks of, or 0. */
static int64_t entry_of(enum rpc_name name, const ProtobufCMessage *out)
{
	switch (name) {
	case RPC_NODE_PROPOSE:
		return ((const Gfl__V1__ProposeResponse *)out)->index;
	case RPC_NODE_ATTACH_TRAINER:
		return ((const Gfl__V1__AttachTrainerResponse *)out)->index;
	case RPC_NODE_DETACH_TRAINER:
		return ((const Gfl__V1__DetachTrainerResponse *)out)->index;
	case RPC_NODE_START_RUN:
		return ((const Gfl__V1__StartRunResponse *)out)->id;
	case RPC_NODE_STOP_RUN:
		return ((const Gfl__V1__StopRunResponse *)out)->index;
	case RPC_NODE_READ_INDEX:
		return ((const Gfl__V1__ReadIndexResponse *)out)->index;
	default:
		return 0;
	}
}

/* The answer comes late enough; but who reads must not be told what was. */
static void hold_no_longer(void *arg)
{
	struct ask *a = arg;
	struct err err;

	if (!a->serve) {
		ask_answer(a, a->held);
		return;
	}
	err_set(&err, ERR_DEADLINE_EXCEEDED,
		"node %" PRId64 " has applied entry %" PRId64
		", and not yet %" PRId64,
		a->n->meta.node_id, a->n->state->applied, a->until);
	ask_fail(a, &err);
}

/* Whoever is answered here shall find it done here, too, unless we are so far
 * behind the leader that the answer would come too late. */
static void hold(struct ask *a, const ProtobufCMessage *out)
{
	int64_t ms = left_ms(a) - MARGIN_MS;

	a->until = entry_of(a->name, out);
	if (a->until <= a->n->state->applied) {
		ask_answer(a, out);
		return;
	}
	a->held = rpc_copy(out);
	timer_set(&a->retry, a->n->loop, ms > 0 ? ms : 0, hold_no_longer, a);
}

void ask_applied(struct node *n)
{
	struct ask *a, *next;

	for (a = LIST_FIRST(&n->asks); a; a = next) {
		next = LIST_NEXT(a, entry);
		if (a->held && a->until <= n->state->applied)
			ask_answer(a, a->held);
	}
}

static void forwarded(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	struct ask *a = arg;

	a->rpc = NULL;
	if (!err)
		hold(a, out);
	else if (passing(err->code) && rpc_methods[a->name].again)
		wait(a);
	else
		ask_fail(a, err);
}

static void forward(struct ask *a, const char *url)
{
	int64_t ms = left_ms(a);
	struct rpc_opts opts = {
		.timeout_ms = ms < 1            ? 1
			      : ms < FORWARD_MS ? ms
						: FORWARD_MS,
		.forwarded = true,
	};

	a->to = a->n->leader;
	a->rpc = client_call(a->n->client, url, a->name, a->in, &opts,
			     forwarded, a);
}

static void try(struct ask *a)
{
	struct node *n = a->n;
	const char *url = NULL;
	struct err err;

	if (n->driver && driver_leads(n->driver)) {
		lead(a);
		return;
	}
	/* Nor does a node that has lost its database since it led. */
	if (a->forwarded && (!n->driver || n->leader != n->meta.node_id)) {
		err_set(&err, ERR_UNAVAILABLE, "node %" PRId64 " does not lead",
			n->meta.node_id);
		ask_fail(a, &err);
		return;
	}
	if (n->leader && n->leader != n->meta.node_id)
		url = node_url_of(n, n->leader);
	if (url)
		forward(a, url);
	else
		wait(a);
}

void ask_begin(struct ask *a)
{
	try(a);
}

void ask_begin_or(struct ask *a, ask_reply_fn *reply)
{
	a->alone = reply;
	a->alone_ms = clock_ms() + ALONE_MS;
	try(a);
}

/* Whom the old leader, stopped or cut off, would let wait asks the new one. */
static void turn_away(struct ask *a)
{
	if (!a->rpc || a->to == a->n->leader || !rpc_methods[a->name].again)
		return;
	client_cancel(a->rpc);
	a->rpc = NULL;
	a->perhaps = true;
}

void ask_poke(struct node *n)
{
	struct ask *a, *next;

	for (a = LIST_FIRST(&n->asks); a; a = next) {
		next = LIST_NEXT(a, entry);
		turn_away(a);
		if (!a->rpc && !a->proposing && !a->held)
			timer_set(&a->retry, n->loop, 0, on_retry, a);
	}
}

void ask_proposed(const struct err *err, const struct driver_result *result,
		  void *arg)
{
	struct ask *a = arg;

	a->proposing = false;
	a->perhaps |= err != NULL;
	if (!a->call)
		ask_free(a);
	else if (err && passing(err->code))
		wait(a);
	else if (err)
		ask_fail(a, err);
	else if (result->refused.code)
		ask_fail(a, &result->refused);
	else
		a->reply(a, result);
}

void ask_close(struct node *n)
{
	struct err err;
	struct ask *a;

	err_set(&err, ERR_UNAVAILABLE, "node %" PRId64 " stops",
		n->meta.node_id);
	while ((a = LIST_FIRST(&n->asks)))
		ask_fail(a, &err);
}
