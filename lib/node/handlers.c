/* NodeService: what changes the cluster, as far as it is neither a trainer's
 * nor a message. */
#include <inttypes.h>
#include <string.h>

#include "node/node_impl.h"
#include "node/roles.h"
#include "node/state_impl.h"
#include "wire/rpc.h"
#include "wire/transfer.h"

/* ---- membership ---- */

/* Before there is a leader to note it, a member that has moved is to be reached
 * there: the vote that makes one may be its own. */
static void note_move(struct node *n, const Gfl__V1__JoinRequest *in)
{
	const Gfl__V1__Member *now = in->member, *was = NULL;

	if (now && !n->leader && !strcmp(in->cluster_id, n->meta.cluster_id))
		was = state_member(n->state, now->id);
	if (was && !strcmp(was->instance_id, now->instance_id) &&
	    !transfer_check_url(now->url, NULL))
		node_hint(n, now->id, now->url);
}

static void on_join(struct call *call, const ProtobufCMessage *in, void *arg)
{
	note_move(arg, (const Gfl__V1__JoinRequest *)in);
	ask_begin(ask_new(arg, call, RPC_NODE_JOIN, in, steward_join));
}

static void on_leave(struct call *call, const ProtobufCMessage *in, void *arg)
{
	ask_begin(ask_new(arg, call, RPC_NODE_LEAVE, in, steward_leave));
}

static int lead_transfer(struct ask *a, struct err *err)
{
	const Gfl__V1__TransferRequest *in =
		(const Gfl__V1__TransferRequest *)a->in;
	Gfl__V1__TransferResponse out = GFL__V1__TRANSFER_RESPONSE__INIT;
	int rc;

	if (in->term && in->term != a->n->term)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "this node leads in term %" PRId64
			       ", not in %" PRId64,
			       a->n->term, in->term);
	rc = driver_transfer(a->n->driver, in->to, err);
	if (rc)
		return rc == ERR_UNAVAILABLE ? ERR_FAILED_PRECONDITION : rc;
	out.leader_id = in->to;
	out.term = a->n->term;
	ask_answer(a, &out.base);
	return 0;
}

static void on_transfer(struct call *call, const ProtobufCMessage *in,
			void *arg)
{
	ask_begin(ask_new(arg, call, RPC_NODE_TRANSFER, in, lead_transfer));
}

/* ---- proposals ---- */

static void reply_proposed(struct ask *a, const struct driver_result *result)
{
	Gfl__V1__ProposeResponse out = GFL__V1__PROPOSE_RESPONSE__INIT;

	out.index = result->index;
	out.term = result->term;
	ask_answer(a, &out.base);
}

/* What was written by hand may hold a mistake, where the leader's own would only
 * have come too late. */
static int links_known(const struct node *n, const Gfl__V1__Entry *e,
		       struct err *err)
{
	int rc = 0;

	if (e->kind_case == GFL__V1__ENTRY__KIND_BANDWIDTH)
		return state_links_known(n->state, e->bandwidth, err);
	if (e->kind_case != GFL__V1__ENTRY__KIND_BATCH)
		return 0;
	for (size_t i = 0; !rc && i < e->batch->n_entries; i++)
		rc = links_known(n, e->batch->entries[i], err);
	return rc;
}

static int lead_propose(struct ask *a, struct err *err)
{
	const Gfl__V1__ProposeRequest *in =
		(const Gfl__V1__ProposeRequest *)a->in;

	if (roles_asked(in->entry))
		return voters_ask(a, in->entry, reply_proposed, err);
	if (links_known(a->n, in->entry, err))
		return (int)err->code;
	return ask_propose(a, in->entry, reply_proposed, err);
}

/* Of a client that numbers its requests, so that none is done twice. */
int handlers_bad_session(uint64_t client, uint64_t seq, struct err *err)
{
	if (!client == !seq && client <= INT64_MAX && seq <= INT64_MAX)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "client and seq go together, below 2^63");
}

/* The session of the client, if it has one; it goes along when forwarded. */
void handlers_adopt(struct ask *a, uint64_t *client, uint64_t *seq)
{
	if (*client) {
		a->client = (int64_t)*client;
		a->seq = (int64_t)*seq;
	}
	*client = (uint64_t)a->client;
	*seq = (uint64_t)a->seq;
}

static void on_propose(struct call *call, const ProtobufCMessage *msg,
		       void *arg)
{
	const Gfl__V1__ProposeRequest *in =
		(const Gfl__V1__ProposeRequest *)msg;
	Gfl__V1__ProposeRequest *own;
	struct ask *a;
	struct err err;

	if (!in->entry)
		err_set(&err, ERR_INVALID_ARGUMENT, "no entry");
	else if (!handlers_bad_session(in->client, in->seq, &err) &&
		 !state_proposable(in->entry, &err)) {
		a = ask_new(arg, call, RPC_NODE_PROPOSE, msg, lead_propose);
		own = (Gfl__V1__ProposeRequest *)a->in;
		handlers_adopt(a, &own->client, &own->seq);
		ask_begin(a);
		return;
	}
	call_fail(call, &err);
}

static const struct {
	enum rpc_name name;
	server_fn *fn;
} handlers[] = {
	{RPC_NODE_JOIN, on_join},
	{RPC_NODE_LEAVE, on_leave},
	{RPC_NODE_TRANSFER, on_transfer},
	{RPC_NODE_PROPOSE, on_propose},
};

void handlers_serve(struct node *n)
{
	for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++)
		server_handle(n->server, handlers[i].name, handlers[i].fn, n);
	handlers_serve_status(n);
	handlers_serve_runs(n);
}
