/* Linearizable reads (Diss. 6.4): whichever node is asked, the leader makes
 * sure that it leads, and names the entry that whoever answers must have
 * applied. */
#include "node/node_impl.h"
#include "wire/rpc.h"

static void reply_index(struct ask *a, const struct driver_result *result)
{
	Gfl__V1__ReadIndexResponse out = GFL__V1__READ_INDEX_RESPONSE__INIT;

	(void)result;
	out.index = a->n->state->applied;
	ask_answer(a, &out.base);
}

static int lead_read(struct ask *a, struct err *err)
{
	return ask_read(a, reply_index, err);
}

void read_begin(struct node *n, struct call *call, const ProtobufCMessage *in,
		ask_serve_fn *fn)
{
	Gfl__V1__ReadIndexRequest none = GFL__V1__READ_INDEX_REQUEST__INIT;
	struct ask *a =
		ask_new(n, call, RPC_NODE_READ_INDEX, &none.base, lead_read);

	a->serve = fn;
	a->wanted = rpc_copy(in);
	ask_begin(a);
}

static void on_read_index(struct call *call, const ProtobufCMessage *in,
			  void *arg)
{
	ask_begin(ask_new(arg, call, RPC_NODE_READ_INDEX, in, lead_read));
}

void read_serve(struct node *n)
{
	server_handle(n->server, RPC_NODE_READ_INDEX, on_read_index, n);
}
