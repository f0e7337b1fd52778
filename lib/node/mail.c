/* Messages from whoever sends: into the inbox, into the outbox for others, or
 * passed on at once. Answered once they are durable. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "node/inbox_impl.h"
#include "node/mail_impl.h"
#include "wire/rpc.h"

enum { FORWARD_MS = 10000 };

static void mail_free(struct mail *m)
{
	client_cancel(m->rpc);
	for (size_t i = 0; i < m->nitems; i++) {
		free(m->items[i].why);
		free(m->items[i].reply);
	}
	free(m->items);
	rpc_free(&m->in->base);
	free(m);
}

static void sender_gone(struct call *call, void *arg)
{
	struct mail *m = arg;

	(void)call;
	m->call = NULL;
	if (m->rpc)
		mail_free(m);
}

/* Takes in. */
static struct mail *mail_new(struct node *n, struct call *call,
			     Gfl__V1__SendMessagesRequest *in,
			     mail_done_fn *done)
{
	struct mail *m = mem_zero(1, sizeof(*m));

	m->n = n;
	m->call = call;
	m->done = done;
	m->in = in;
	m->nitems = in->n_messages;
	m->items = mem_zero(m->nitems + 1, sizeof(*m->items));
	if (call)
		call_on_cancel(call, sender_gone, m);
	return m;
}

/* ---- stored ---- */

static void give_back(struct node *n, const struct mail_item *item)
{
	if (item->box == MAIL_INBOX)
		inbox_return(n, 1, (int64_t)item->m->payload.len);
	else if (item->box == MAIL_OUTBOX)
		outbox_return(n, item->m->payload.len);
}

static bool settle(struct node *n, struct mail_item *item,
		   const struct err *err)
{
	if (err || !item->fresh)
		give_back(n, item);
	else if (item->box == MAIL_OUTBOX)
		outbox_arrived(n, item);
	else if (item->box == MAIL_INBOX)
		return true;
	if (err && item->box != MAIL_REFUSED)
		mail_refuse(item, err->code, err->msg);
	return false;
}

static void stored(const struct err *err, void *arg)
{
	struct mail *mail = arg;
	struct node *n = mail->n;
	bool news = false;

	for (size_t i = 0; i < mail->nitems; i++)
		news = settle(n, &mail->items[i], err) || news;
	mail->done(mail);
	if (news && !n->ended)
		inbox_wake(n);
	mail_free(mail);
}

static void store(struct mail *mail)
{
	struct err err;

	if (!mail_choose(mail))
		stored(NULL, mail);
	else if (writer_post(mail->n->writer, box_store, stored, mail, &err))
		stored(&err, mail);
}

/* ---- one message ---- */

static void answer_one(struct mail *mail)
{
	const struct mail_item *item = mail->items;
	Gfl__V1__SendMessageResponse out = GFL__V1__SEND_MESSAGE_RESPONSE__INIT;
	struct err err;

	if (!mail->call)
		return;
	if (item->box == MAIL_REFUSED) {
		err_set(&err, item->code, "%s", item->why);
		call_fail(mail->call, &err);
		return;
	}
	out.cursor = item->place;
	if (item->reply)
		out.reply = item->reply;
	call_reply(mail->call, &out.base);
}

static void passed(const struct err *err, const ProtobufCMessage *out,
		   void *arg)
{
	struct mail *mail = arg;

	mail->rpc = NULL;
	if (err)
		call_fail(mail->call, err);
	else
		call_reply(mail->call, out);
	mail_free(mail);
}

/* Once: whether to try again is for the sender to decide. */
static void pass(struct mail *mail, const char *url)
{
	Gfl__V1__SendMessageRequest in = GFL__V1__SEND_MESSAGE_REQUEST__INIT;
	struct node *n = mail->n;
	struct rpc_opts opts = {
		.timeout_ms = FORWARD_MS,
		.forwarded = true,
	};
	int64_t left_ms = call_deadline_ms(mail->call) - clock_ms();

	if (left_ms < opts.timeout_ms)
		opts.timeout_ms = left_ms > 1 ? left_ms : 1;
	mail_complete(mail, mail->items, mail->in->messages[0]);
	in.message = mail->in->messages[0];
	mail->rpc = client_call(n->client, url, RPC_NODE_SEND_MESSAGE, &in.base,
				&opts, passed, mail);
}

static Gfl__V1__SendMessagesRequest *batch_of(const Gfl__V1__MessageItem *m)
{
	Gfl__V1__SendMessagesRequest *in = mem_zero(1, sizeof(*in));

	gfl__v1__send_messages_request__init(in);
	in->messages = mem_zero(1, sizeof(*in->messages));
	in->messages[0] = (Gfl__V1__MessageItem *)rpc_copy(&m->base);
	in->n_messages = 1;
	return in;
}

static int member(const struct node *n, struct err *err)
{
	if (n->driver)
		return 0;
	return err_set(err, ERR_UNAVAILABLE, "not a member yet: waiting for %s",
		       membership_waits(n));
}

void mail_take(struct node *n, struct call *call, const Gfl__V1__MessageItem *m,
	       mail_done_fn *done)
{
	struct err err;

	if (member(n, &err))
		call_fail(call, &err);
	else
		store(mail_new(n, call, batch_of(m), done));
}

static void on_send(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__MessageItem *m =
		((const Gfl__V1__SendMessageRequest *)msg)->message;
	struct node *n = arg;
	const char *url = NULL;
	struct mail *mail;
	struct err err;

	if (member(n, &err) ||
	    (!m && err_set(&err, ERR_INVALID_ARGUMENT, "no message"))) {
		call_fail(call, &err);
		return;
	}
	mail = mail_new(n, call, batch_of(m), answer_one);
	if (m->to && m->to != n->meta.node_id && !call_forwarded(call) &&
	    state_member(n->state, m->to) && !mail_check(m, &err))
		url = node_url_of(n, m->to);
	if (url)
		pass(mail, url);
	else
		store(mail);
}

/* ---- many ---- */

static void answer_all(struct mail *mail)
{
	Gfl__V1__SendMessagesResponse out =
		GFL__V1__SEND_MESSAGES_RESPONSE__INIT;
	Gfl__V1__MessageOutcome *each, **at;

	if (!mail->call)
		return;
	each = mem_zero(mail->nitems + 1, sizeof(*each));
	at = mem_zero(mail->nitems + 1, sizeof(*at));
	for (size_t i = 0; i < mail->nitems; i++) {
		const struct mail_item *item = &mail->items[i];

		gfl__v1__message_outcome__init(&each[i]);
		at[i] = &each[i];
		each[i].code = (int32_t)item->code;
		if (item->why)
			each[i].error = item->why;
		if (item->reply)
			each[i].reply = item->reply;
		if (item->box == MAIL_INBOX)
			each[i].cursor = item->place;
		else if (item->box == MAIL_OUTBOX)
			each[i].queued = item->place;
	}
	out.outcomes = at;
	out.n_outcomes = mail->nitems;
	call_reply(mail->call, &out.base);
	free(at);
	free(each);
}

static int check_all(const struct node *n,
		     const Gfl__V1__SendMessagesRequest *in, struct err *err)
{
	if (member(n, err))
		return (int)err->code;
	if (*in->cluster_id && strcmp(in->cluster_id, n->meta.cluster_id))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "this is cluster %s, not %s", n->meta.cluster_id,
			       in->cluster_id);
	if (in->n_messages > MAIL_BATCH_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%zu messages at once, at most %d",
			       in->n_messages, MAIL_BATCH_MAX);
	if (in->origin > INT64_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "origin goes up to 2^63 - 1");
	return 0;
}

static void on_send_all(struct call *call, const ProtobufCMessage *msg,
			void *arg)
{
	const Gfl__V1__SendMessagesRequest *in =
		(const Gfl__V1__SendMessagesRequest *)msg;
	struct err err;

	if (check_all(arg, in, &err)) {
		call_fail(call, &err);
		return;
	}
	store(mail_new(arg, call, (Gfl__V1__SendMessagesRequest *)rpc_copy(msg),
		       answer_all));
}

/* ---- our own ---- */

static void tell_sent(struct mail *mail)
{
	const struct mail_item *item = mail->items;
	struct err err;

	if (!mail->sent)
		return;
	if (item->box == MAIL_REFUSED)
		err_set(&err, item->code, "%s", item->why);
	mail->sent(item->box == MAIL_REFUSED ? &err : NULL, mail->arg);
}

void mail_send(struct node *n, const Gfl__V1__MessageItem *m,
	       mail_sent_fn *done, void *arg)
{
	struct mail *mail = mail_new(n, NULL, batch_of(m), tell_sent);

	mail->in->messages[0]->from = n->meta.node_id;
	mail->in->queue = true;
	mail->sent = done;
	mail->arg = arg;
	store(mail);
}

void mail_serve(struct node *n)
{
	server_handle(n->server, RPC_NODE_SEND_MESSAGE, on_send, n);
	server_handle(n->server, RPC_NODE_SEND_MESSAGES, on_send_all, n);
	comm_serve(n);
	inbox_serve_readers(n);
	taken_serve(n);
}
