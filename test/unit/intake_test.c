#include "caller.h"
#include "test.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/gateway.pb-c.h"

#define SUM "/test/Sum"
#define BACK "/test/Echo"
#define WEB "application/grpc-web+proto"

static const struct rpc_method sum_method = {
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

/* What the handlers saw of the last stream. */
struct bed {
	struct world w;
	struct caller c;
	struct call *call;
	int messages, sum, ends, cancels;
	int pause_at; /* this many messages, or 0 */
};

static void on_cancel(struct call *call, void *arg)
{
	struct bed *b = arg;

	CHECK(call == b->call);
	b->call = NULL;
	b->cancels++;
}

static void count(struct bed *b, const ProtobufCMessage *msg)
{
	if (!msg) {
		b->ends++;
		return;
	}
	b->sum += ((const HeartbeatRequest *)msg)->node_id;
	if (++b->messages == b->pause_at)
		call_pause(b->call);
}

static void answer(struct bed *b)
{
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;

	out.status = (char *)"sum";
	out.registry_version = b->sum;
	call_reply(b->call, &out.base);
	b->call = NULL;
}

static void add(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	struct bed *b = arg;

	CHECK(call == b->call);
	count(b, msg);
	if (!msg)
		answer(b);
}

static void sum(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct bed *b = arg;

	CHECK(!in);
	b->call = call;
	call_on_message(call, add, b);
	call_on_cancel(call, on_cancel, b);
}

static void send_back(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;
	struct bed *b = arg;

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

static void open_bed(struct bed *b, struct server_opts opts)
{
	memset(b, 0, sizeof(*b));
	world_open(&b->w, opts);
	server_handle_method(b->w.server, &sum_method, sum, b);
	server_handle_method(b->w.server, &echo_method, echo, b);
	caller_open(&b->c, &b->w, 1 << 20, false);
}

static void close_bed(struct bed *b)
{
	caller_close(&b->c);
	world_close(&b->w);
}

/* Frames of requests with these numbers, 1 to n; each below 128. */
static struct buf frames(int n)
{
	struct buf b = BUF_INIT(0);

	for (int i = 1; i <= n; i++) {
		char frame[7] = {0, 0, 0, 0, 2, 8, (char)i};

		buf_put(&b, frame, sizeof(frame));
	}
	return b;
}

static int32_t version_in(const struct buf *body)
{
	HeartbeatResponse *out;
	int32_t version;

	CHECK(body->len >= 5);
	out = heartbeat_response__unpack(NULL, (size_t)body->p[4],
					 (uint8_t *)body->p + 5);
	CHECK(out);
	version = out->registry_version;
	heartbeat_response__free_unpacked(out, NULL);
	return version;
}

TEST(a_client_stream_is_summed_up_over_http2)
{
	struct buf b = frames(100);
	struct bed t;
	struct reply *r;
	int32_t id;

	open_bed(&t, (struct server_opts){0});
	r = caller_wait(&t.c, caller_post(&t.c, SUM, GRPC, b.p, b.len, NULL));
	CHECK_STR(r->grpc_status, "0");
	CHECK_INT(version_in(&r->body), 5050);
	CHECK_INT(t.ends, 1);
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	for (size_t i = 0; i < b.len; i++) {
		caller_say(&t.c, id, b.p + i, 1);
		caller_turn(&t.c);
	}
	CALLER_UNTIL(&t.c, t.messages == 200);
	caller_finish(&t.c, id);
	r = caller_wait(&t.c, id);
	CHECK_INT(version_in(&r->body), 2 * 5050);
	CHECK_INT(t.cancels, 0);
	buf_release(&b);
	close_bed(&t);
}

TEST(a_bidirectional_stream_is_answered_message_by_message)
{
	struct buf b = frames(3);
	struct bed t;
	struct reply *r;
	int32_t id;

	open_bed(&t, (struct server_opts){0});
	id = caller_begin(&t.c, BACK, GRPC, NULL);
	r = caller_reply(&t.c, id);
	CALLER_UNTIL(&t.c, r->status == 200);
	for (size_t i = 1; i <= 3; i++) {
		caller_say(&t.c, id, b.p + 7 * (i - 1), 7);
		CALLER_UNTIL(&t.c, r->body.len == 7 * i);
	}
	CHECK(!memcmp(r->body.p, "\0\0\0\0\2\x10\1\0\0\0\0\2\x10\2", 14));
	CHECK(!r->closed);
	caller_finish(&t.c, id);
	caller_wait(&t.c, id);
	CHECK_STR(r->grpc_status, "0");
	buf_release(&b);
	close_bed(&t);
}

/* POST a body in chunks of so many bytes. */
static void post_chunks(struct bed *t, int fd, const char *path,
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

static void hear_until(struct bed *t, int fd, struct buf *got, const char *what)
{
	while (!got->len || !memmem(got->p, got->len, what, strlen(what)))
		CHECK(hear_more(&t->w, fd, got));
}

TEST(streams_work_over_http1_and_keep_the_connection)
{
	struct buf b = frames(100), got = BUF_INIT(0);
	struct bed t;
	int fd;

	open_bed(&t, (struct server_opts){0});
	fd = dial(&t.w);
	for (int round = 1; round <= 3; round++) {
		post_chunks(&t, fd, SUM, WEB, &b, (size_t)(5 * round));
		say(fd, "0\r\n\r\n");
		hear_until(&t, fd, &got, "grpc-status: 0\r\n");
		CHECK_INT(t.sum, 5050 * round);
		CHECK(!strstr(got.p, "connection: close"));
		buf_reset(&got);
	}
	post_chunks(&t, fd, BACK, "application/connect+json", &got, 1);
	say(fd, "11\r\n");
	say_bytes(fd, "\0\0\0\0\x0c{\"nodeId\":9}\r\n", 19);
	hear_until(&t, fd, &got, "{\"registryVersion\":9}");
	say(fd, "0\r\n\r\n");
	hear_until(&t, fd, &got, "{}\r\n0\r\n\r\n");
	CHECK_HAS(got.p, "content-type: application/connect+json\r\n");
	close(fd);
	buf_release(&got);
	buf_release(&b);
	close_bed(&t);
}

TEST(a_paused_stream_holds_its_sender_back)
{
	enum { LEN = 3 << 20 };
	char *big = mem_zero(1, LEN);
	char head[5] = {0, 0, LEN >> 16, 0, 0};
	struct buf b = frames(1);
	struct bed t;
	int32_t id;

	open_bed(&t, (struct server_opts){0});
	memset(big, 0, LEN);
	big[0] = 0x1a; /* an unknown field of LEN - 5 bytes */
	big[1] = (char)(0x80 | ((LEN - 5) & 0x7f));
	big[2] = (char)(0x80 | (((LEN - 5) >> 7) & 0x7f));
	big[3] = (char)(0x80 | (((LEN - 5) >> 14) & 0x7f));
	big[4] = (char)((LEN - 5) >> 21);
	t.pause_at = 1;
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	caller_say(&t.c, id, b.p, b.len);
	caller_say(&t.c, id, head, 5);
	caller_say(&t.c, id, big, LEN);
	for (int i = 0; i < 300; i++)
		caller_turn(&t.c);
	CHECK_INT(t.messages, 1);
	CHECK(caller_unsent(&t.c, id) > LEN - (2 << 20));
	call_resume(t.call);
	CALLER_UNTIL(&t.c, !caller_unsent(&t.c, id));
	caller_finish(&t.c, id);
	caller_wait(&t.c, id);
	free(big);
	buf_release(&b);
	close_bed(&t);
}
