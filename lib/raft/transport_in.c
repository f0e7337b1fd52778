/* transport_in.c - the streams of other members, at their end. */
#include "raft/transport_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "raft/codec.h"

static int take(struct transport *t, const Gfl__V1__RaftStepRequest *req,
		const Gfl__V1__RaftMessage *in, struct err *err)
{
	struct raft_msg msg;
	int rc = raft_decode(&msg, in, err);

	if (rc)
		return rc;
	if (msg.from != req->from)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "node %lld sent a message of node %lld",
			     (long long)req->from, (long long)msg.from);
	else
		rc = t->cfg.on_msg(&msg, t->cfg.arg, err);
	free((void *)msg.entries);
	return rc;
}

static int check(struct transport *t, const Gfl__V1__RaftStepRequest *req,
		 struct err *err)
{
	if (strcmp(req->cluster_id, t->cluster_id))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "node %lld is of cluster %s, not of %.64s",
			       (long long)t->cfg.node_id, t->cluster_id,
			       req->cluster_id);
	if (req->from < 1 || req->from == t->cfg.node_id)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "node id %lld is not that of a peer",
			       (long long)req->from);
	return 0;
}

static int take_all(struct transport *t, const Gfl__V1__RaftStepRequest *req,
		    struct err *err)
{
	int rc = check(t, req, err);

	if (!rc)
		transport_heard(t, req->from, req->from_url);
	for (size_t i = 0; !rc && i < req->n_messages; i++)
		rc = take(t, req, req->messages[i], err);
	return rc;
}

/* A peer's stream: it is answered once, when its first messages are taken. */
struct incoming {
	struct transport *t;
	bool answered;
};

static void on_gone(struct call *call, void *arg)
{
	(void)call;
	free(arg);
}

static void on_message(struct call *call, const ProtobufCMessage *msg,
		       void *arg)
{
	Gfl__V1__RaftStepResponse none = GFL__V1__RAFT_STEP_RESPONSE__INIT;
	struct incoming *in = arg;
	struct err err;

	if (!msg) {
		call_end(call);
		free(in);
	} else if (take_all(in->t, (const Gfl__V1__RaftStepRequest *)msg,
			    &err)) {
		call_fail(call, &err);
		free(in);
	} else if (!in->answered) {
		in->answered = true;
		call_send(call, &none.base);
	}
}

static void on_step(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	struct incoming *in = mem_zero(1, sizeof(*in));

	(void)msg;
	in->t = arg;
	call_on_cancel(call, on_gone, in);
	call_on_message(call, on_message, in);
}

void transport_serve(struct transport *t)
{
	server_handle(t->cfg.server, RPC_RAFT_STEP, on_step, t);
}
