#include "intake_bed.h"

#include <stdlib.h>

#include "proto/gateway.pb-c.h"
#include "test.h"

const struct rpc_method intake_bed_sum = {
	.path = SUM,
	.in = &heartbeat_request__descriptor,
	.out = &heartbeat_response__descriptor,
	.kind = RPC_CLIENT_STREAM,
};

static const struct rpc_method echo_method = {
	.path = BACK,
	.in = &heartbeat_request__descriptor,
	.out = &heartbeat_response__descriptor,
	.kind = RPC_BIDI,
};

static void on_cancel(struct call *call, void *arg)
{
	struct intake_bed *b = arg;

	CHECK(call == b->call);
	b->call = NULL;
	b->cancels++;
}

static void count(struct intake_bed *b, const ProtobufCMessage *msg)
{
	if (!msg) {
		b->ends++;
		return;
	}
	b->sum += ((const HeartbeatRequest *)msg)->node_id;
	if (++b->messages == b->pause_at)
		call_pause(b->call);
}

static void answer(struct intake_bed *b)
{
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;

	out.status = (char *)"sum";
	out.registry_version = b->sum;
	call_reply(b->call, &out.base);
	b->call = NULL;
}

static void add(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	struct intake_bed *b = arg;

	CHECK(call == b->call);
	count(b, msg);
	if (!msg)
		answer(b);
}

static void sum(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct intake_bed *b = arg;

	CHECK(!in);
	b->call = call;
	call_on_message(call, add, b);
	call_on_cancel(call, on_cancel, b);
}

static void send_back(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;
	struct intake_bed *b = arg;

	count(b, msg);
	if (!msg) {
		call_end(call);
		b->call = NULL;
		return;
	}
	out.registry_version = ((const HeartbeatRequest *)msg)->node_id;
	CHECK(!call_send(call, &out.base));
}

static void echo(struct call *call, const ProtobufCMessage *in, void *arg)
{
	sum(call, in, arg);
	call_on_message(call, send_back, arg);
}

void intake_bed_open(struct intake_bed *b, struct server_opts opts)
{
	memset(b, 0, sizeof(*b));
	world_open(&b->w, opts);
	server_handle_method(b->w.server, &intake_bed_sum, sum, b);
	server_handle_method(b->w.server, &echo_method, echo, b);
	caller_open(&b->c, &b->w, 1 << 20, false);
}

void intake_bed_close(struct intake_bed *b)
{
	caller_close(&b->c);
	world_close(&b->w);
}

struct buf intake_bed_frames(int n)
{
	struct buf b = BUF_INIT(0);

	for (int i = 1; i <= n; i++) {
		char frame[7] = {0, 0, 0, 0, 2, 8, (char)i};

		buf_put(&b, frame, sizeof(frame));
	}
	return b;
}

void intake_bed_post(struct intake_bed *t, int fd, const char *path,
		     const char *type, const struct buf *body, size_t piece)
{
	char *head = mem_fmt("POST %s HTTP/1.1\r\nHost: localhost:%d\r\n"
			     "Content-Type: %s\r\n"
			     "Transfer-Encoding: chunked\r\n\r\n",
			     path, server_port(t->w.server), type);

	say(fd, head);
	for (size_t at = 0; at < body->len; at += piece) {
		size_t n = body->len - at < piece ? body->len - at : piece;
		char *size = mem_fmt("%zx\r\n", n);

		say(fd, size);
		say_bytes(fd, body->p + at, n);
		say(fd, "\r\n");
		free(size);
		world_turn(&t->w);
	}
	free(head);
}

void intake_bed_hear(struct intake_bed *t, int fd, struct buf *got,
		     const char *what)
{
	while (!got->len || !memmem(got->p, got->len, what, strlen(what)))
		CHECK(hear_more(&t->w, fd, got));
}

/* Something else before, whose body had a limit. */
