/* Trainers attach to this node, and detach. */
#include <inttypes.h>
#include <string.h>

#include "node/node_impl.h"
#include "wire/rpc.h"
#include "wire/transfer.h"

enum { REPORT_EVERY = 4 }; /* reports in the time after which one is down */

static void reply_attached(struct ask *a, const struct driver_result *result)
{
	Gfl__V1__AttachTrainerResponse out =
		GFL__V1__ATTACH_TRAINER_RESPONSE__INIT;

	out.trainer_id = result->id;
	out.cluster_id = a->n->meta.cluster_id;
	out.index = result->index;
	out.heartbeat_ms = a->n->cfg.fail_after_ms / REPORT_EVERY;
	ask_answer(a, &out.base);
}

static int lead_attach(struct ask *a, struct err *err)
{
	const Gfl__V1__AttachTrainerRequest *in =
		(const Gfl__V1__AttachTrainerRequest *)a->in;
	Gfl__V1__TrainerChange c = GFL__V1__TRAINER_CHANGE__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	c.action = GFL__V1__TRAINER_CHANGE__ACTION__ATTACH;
	c.trainer = in->trainer;
	e.kind_case = GFL__V1__ENTRY__KIND_TRAINER;
	e.trainer = &c;
	return ask_propose(a, &e, reply_attached, err);
}

static int check_attach(const struct node *n,
			const Gfl__V1__AttachTrainerRequest *in,
			struct err *err)
{
	const Gfl__V1__Trainer *t = in->trainer;

	if (*in->cluster_id && *n->meta.cluster_id &&
	    strcmp(in->cluster_id, n->meta.cluster_id))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "node %" PRId64 " is of cluster %s, not of %s",
			       n->meta.node_id, n->meta.cluster_id,
			       in->cluster_id);
	if (!t || !*t->instance_id || strlen(t->instance_id) > 128)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a trainer has a URL and an instance id");
	return transfer_check_url(t->url, err);
}

static void on_attach(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	struct node *n = arg;
	struct ask *a;
	struct err err;

	if (check_attach(n, (const Gfl__V1__AttachTrainerRequest *)msg, &err)) {
		call_fail(call, &err);
		return;
	}
	reports_flush(n); /* it has failed, and attaches to stay out of runs */
	a = ask_new(n, call, RPC_NODE_ATTACH_TRAINER, msg, lead_attach);
	if (!a->forwarded)
		((Gfl__V1__AttachTrainerRequest *)a->in)->trainer->node_id =
			n->meta.node_id;
	ask_begin(a);
}

static void reply_detached(struct ask *a, const struct driver_result *result)
{
	Gfl__V1__DetachTrainerResponse out =
		GFL__V1__DETACH_TRAINER_RESPONSE__INIT;

	out.index = result->index;
	ask_answer(a, &out.base);
}

static int lead_detach(struct ask *a, struct err *err)
{
	const Gfl__V1__DetachTrainerRequest *in =
		(const Gfl__V1__DetachTrainerRequest *)a->in;
	Gfl__V1__TrainerChange c = GFL__V1__TRAINER_CHANGE__INIT;
	Gfl__V1__Trainer t = GFL__V1__TRAINER__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	t.id = in->trainer_id;
	t.instance_id = in->instance_id;
	c.action = GFL__V1__TRAINER_CHANGE__ACTION__DETACH;
	c.trainer = &t;
	c.reason = in->reason;
	e.kind_case = GFL__V1__ENTRY__KIND_TRAINER;
	e.trainer = &c;
	return ask_propose(a, &e, reply_detached, err);
}

static void on_detach(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__DetachTrainerRequest *in =
		(const Gfl__V1__DetachTrainerRequest *)msg;
	struct err err;

	if (strlen(in->reason) > STATE_TEXT_MAX) {
		err_set(&err, ERR_INVALID_ARGUMENT, "a reason past %d bytes",
			STATE_TEXT_MAX);
		call_fail(call, &err);
		return;
	}
	ask_begin(
		ask_new(arg, call, RPC_NODE_DETACH_TRAINER, msg, lead_detach));
}

void attach_serve(struct node *n)
{
	server_handle(n->server, RPC_NODE_ATTACH_TRAINER, on_attach, n);
	server_handle(n->server, RPC_NODE_DETACH_TRAINER, on_detach, n);
}
