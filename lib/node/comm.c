/* The calls of the seed's comm manager: a message from a client that knows
 * nothing of ids and cursors goes into our inbox. */
#include "node/mail_impl.h"
#include "proto/comm.pb-c.h"

static void answer(struct mail *mail)
{
	const struct mail_item *item = mail->items;
	CommResponse out = COMM_RESPONSE__INIT;
	struct err err;

	if (!mail->call)
		return;
	if (item->box == MAIL_REFUSED) {
		err_set(&err, item->code, "%s", item->why);
		call_fail(mail->call, &err);
		return;
	}
	out.client_id = (int32_t)mail->n->meta.node_id;
	call_reply(mail->call, &out.base);
}

static void on_message(struct call *call, const ProtobufCMessage *msg,
		       void *arg)
{
	const CommRequest *in = (const CommRequest *)msg;
	Gfl__V1__MessageItem m = GFL__V1__MESSAGE_ITEM__INIT;
	struct node *n = arg;
	struct err err;

	if (in->client_id < 0) {
		err_set(&err, ERR_INVALID_ARGUMENT, "client id %d is below 0",
			in->client_id);
		call_fail(call, &err);
		return;
	}
	m.from = in->client_id;
	m.to = n->meta.node_id;
	m.type = 1; /* regular */
	m.payload = in->message;
	mail_take(n, call, &m, answer);
}

void comm_serve(struct node *n)
{
	server_handle(n->server, RPC_COMM_SEND_MESSAGE, on_message, n);
	server_handle(n->server, RPC_COMM_RECEIVE_MESSAGE, on_message, n);
}
