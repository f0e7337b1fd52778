#define TEST_SECONDS 30
#include "test.h"

#include "base/loop.h"
#include "node/node.h"
#include "proto/node.pb-c.h"
#include "wire/client.h"

/* A node, a client, and what the node's functions were told. */
struct fix {
	struct loop *loop;
	struct client *client;
	struct node *node;
	bool ready;
	int calls, failures; /* of on_message; how many of them shall fail */
	char told[256];
	ProtobufCMessage *answer;
	struct err err;
	bool done;
};

#define UNTIL(f, cond)  \
	while (!(cond)) \
	uv_run(loop_uv((f)->loop), UV_RUN_ONCE)

static void on_ready(void *arg)
{
	((struct fix *)arg)->ready = true;
}

static void on_end(const struct err *err, void *arg)
{
	(void)err;
	(void)arg;
}

static int on_message(const struct node_message *m, struct buf *reply,
		      void *arg, struct err *err)
{
	struct fix *f = arg;

	if (++f->calls <= f->failures)
		return err_set(err, ERR_ABORTED, "not now");
	snprintf(f->told, sizeof(f->told), "%s from %d to %d: %.*s", m->id,
		 (int)m->from, (int)m->to, (int)m->len,
		 (const char *)m->payload);
	buf_puts(reply, "thanks");
	return 0;
}

static void on_leader(const struct node_event *e, void *arg)
{
	struct fix *f = arg;

	CHECK_INT(e->kind, NODE_LEADER);
	CHECK_STR(e->url, node_url(f->node));
	snprintf(f->told, sizeof(f->told), "leader %d", (int)e->id);
}

static void open_fix(struct fix *f, int failures, int tries)
{
	static const struct node_handler handlers[] = {
		{.type = 7, .fn = on_message}};
	static const struct node_hook hooks[] = {
		{.kind = NODE_LEADER, .fn = on_leader}};
	struct node_config cfg = {
		.db_path = "n1.db",
		.server = {.listen = "127.0.0.1:0"},
		.node_id = 1,
		.bootstrap = true,
		.election_min_ms = 150,
		.election_max_ms = 300,
		.heartbeat_ms = 50,
		.fail_after_ms = 5000,
		.remove_after_ms = 600000,
		.max_voters = 5,
		.handlers = handlers,
		.nhandlers = 1,
		.hooks = hooks,
		.nhooks = 1,
		.handler_tries = tries,
		.on_ready = on_ready,
		.on_end = on_end,
		.arg = f,
	};
	struct err err;

	memset(f, 0, sizeof(*f));
	f->failures = failures;
	CHECK_INT(loop_open(&f->loop, &err), 0);
	CHECK_INT(client_open(&f->client, f->loop, NULL, &err), 0);
	cfg.loop = f->loop;
	CHECK_INT(node_open(&f->node, &cfg, &err), 0);
	UNTIL(f, f->ready && f->told[0]);
	CHECK_STR(f->told, "leader 1");
}

static void close_fix(struct fix *f)
{
	node_close(f->node);
	client_close(f->client);
	loop_close(f->loop);
}

static void answered(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	struct fix *f = arg;

	f->done = true;
	f->err = err ? *err : (struct err){0};
	f->answer = out ? rpc_copy(out) : NULL;
}

/* The answer; rpc_free() it. */
static void *ask(struct fix *f, enum rpc_name name, const void *in)
{
	const struct rpc_opts opts = {.timeout_ms = 20000};

	f->done = false;
	client_call(f->client, node_url(f->node), name, in, &opts, answered, f);
	UNTIL(f, f->done);
	if (!f->answer)
		test_fail(__FILE__, __LINE__, "%s", f->err.msg);
	return f->answer;
}

static void send_message(struct fix *f, const char *id, const char *payload)
{
	Gfl__V1__SendMessageRequest in = GFL__V1__SEND_MESSAGE_REQUEST__INIT;
	Gfl__V1__MessageItem m = GFL__V1__MESSAGE_ITEM__INIT;

	m.id = (char *)id;
	m.from = 1;
	m.type = 7;
	m.payload.data = (uint8_t *)payload;
	m.payload.len = strlen(payload);
	in.message = &m;
	rpc_free(ask(f, RPC_NODE_SEND_MESSAGE, &in));
}

static void receive(struct fix *f, const char *id, const char *payload)
{
	Gfl__V1__ReceiveMessagesRequest in =
		GFL__V1__RECEIVE_MESSAGES_REQUEST__INIT;
	Gfl__V1__ReceiveMessagesResponse *out;

	in.wait_ms = 10000;
	out = ask(f, RPC_NODE_RECEIVE_MESSAGES, &in);
	CHECK_INT(out->n_messages, 1);
	CHECK_STR(out->messages[0]->id, id);
	CHECK_INT(out->messages[0]->payload.len, strlen(payload));
	CHECK(!memcmp(out->messages[0]->payload.data, payload,
		      strlen(payload)));
	rpc_free(&out->base);
}

TEST(a_function_handles_a_message_and_its_reply_is_sent)
{
	struct fix f;

	open_fix(&f, 0, 5);
	send_message(&f, "m1", "hello");
	receive(&f, "re-m1", "thanks");
	CHECK_STR(f.told, "m1 from 1 to 1: hello");
	CHECK_INT(f.calls, 1);
	close_fix(&f);
}

TEST(a_function_that_fails_is_called_again)
{
	struct fix f;

	open_fix(&f, 1, 5);
	send_message(&f, "m1", "hello");
	receive(&f, "re-m1", "thanks");
	CHECK_INT(f.calls, 2);
	close_fix(&f);
}

TEST(what_no_try_has_handled_is_for_readers)
{
	struct fix f;

	open_fix(&f, 1, 1);
	send_message(&f, "m1", "hello");
	receive(&f, "m1", "hello");
	CHECK_INT(f.calls, 1);
	close_fix(&f);
}
