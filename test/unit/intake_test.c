#include "caller.h"
#include "test.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/gateway.pb-c.h"
#include "wire/gzip.h"

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

/* Something else before, whose body had a limit. */
static void ask_health(struct bed *t, int fd, struct buf *got)
{
	char *get = mem_fmt("GET /healthz HTTP/1.1\r\nHost: localhost:%d\r\n"
			    "\r\n",
			    server_port(t->w.server));

	say(fd, get);
	hear_until(t, fd, got, "ok");
	buf_reset(got);
	free(get);
}

TEST(streams_work_over_http1_and_keep_the_connection)
{
	struct buf b = frames(100), got = BUF_INIT(0);
	struct bed t;
	int fd;

	open_bed(&t, (struct server_opts){0});
	server_handle(t.w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &t.w);
	fd = dial(&t.w);
	ask_health(&t, fd, &got);
	for (int round = 1; round <= 3; round++) {
		post(&t.w, fd, HEARTBEAT, JSON, "{}", "");
		hear_part(&t.w, fd, "received");
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
	for (int i = 0; i < 100; i++)
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

TEST(a_stream_on_which_nothing_comes_is_ended)
{
	struct bed t;
	struct reply *r;
	int32_t id;

	open_bed(&t, (struct server_opts){.idle_ms = 30});
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	r = caller_wait(&t.c, id);
	CHECK_STR(r->grpc_status, "4");
	CHECK_HAS(r->message, "no message came");
	CHECK_INT(t.cancels, 1);
	close_bed(&t);
}

TEST(a_message_that_drips_ends_its_stream)
{
	char head[5] = {0, 0, 0, 16, 0};
	struct bed t;
	struct reply *r;
	int32_t id;

	open_bed(&t, (struct server_opts){.idle_ms = 30});
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	r = caller_reply(&t.c, id);
	caller_say(&t.c, id, head, 5);
	while (!r->closed) {
		caller_say(&t.c, id, "", 1);
		caller_turn(&t.c);
	}
	CHECK_STR(r->grpc_status, "4");
	CHECK_INT(t.messages, 0);
	close_bed(&t);
}

TEST(a_stream_ends_at_its_deadline)
{
	static const char *const soon[] = {"grpc-timeout", "30m", NULL};
	struct bed t;
	struct reply *r;

	open_bed(&t, (struct server_opts){0});
	r = caller_wait(&t.c, caller_begin(&t.c, BACK, GRPC, soon));
	CHECK_STR(r->grpc_status, "4");
	CHECK_INT(t.cancels, 1);
	close_bed(&t);
}

TEST(a_reset_stream_is_cancelled)
{
	struct buf b = frames(2);
	struct bed t;
	int32_t id;

	open_bed(&t, (struct server_opts){0});
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	caller_say(&t.c, id, b.p, b.len);
	CALLER_UNTIL(&t.c, t.messages == 2);
	nghttp2_submit_rst_stream(t.c.session, 0, id, NGHTTP2_CANCEL);
	CALLER_UNTIL(&t.c, t.cancels);
	CHECK_INT(t.ends, 0);
	buf_release(&b);
	close_bed(&t);
}

/* The stream of these bytes ends so; its handler is told. */
static void check_ends(struct bed *t, const char *bytes, size_t len,
		       const char *status, const char *why)
{
	struct reply *r;
	int cancels = t->cancels;

	r = caller_wait(&t->c, caller_post(&t->c, SUM, GRPC, bytes, len, NULL));
	CHECK_STR(r->grpc_status, status);
	CHECK_HAS(r->message, why);
	CHECK_INT(t->cancels, cancels + 1);
}

TEST(a_stream_of_what_is_no_message_is_ended)
{
	struct bed t;

	open_bed(&t, (struct server_opts){.max_message = 1000});
	check_ends(&t, "\0\0\0\0\2\x08", 6, "3", "within a message");
	check_ends(&t, "\0\0\0\0\2\x08\1\0\0", 9, "3", "within a message");
	check_ends(&t, "\0\0\0\0\2\xff\xff", 7, "3", "");
	check_ends(&t, "\2\0\0\0\2\x08\1", 7, "3", "flags 0x02");
	check_ends(&t, "\1\0\0\0\2\x08\1", 7, "13", "compressed");
	check_ends(&t, "\0\0\0\3\xe9", 5, "8", "max-message");
	CHECK_INT(t.messages, 1);
	close_bed(&t);
}

TEST(messages_are_bounded_but_not_their_sum)
{
	char frame[5 + 900] = {0, 0, 0, 900 >> 8, (char)(900 & 0xff)};
	struct bed t;
	struct reply *r;
	int32_t id;

	open_bed(&t, (struct server_opts){.max_message = 1000});
	memcpy(frame + 5, "\x1a\x81\7", 3); /* an unknown field */
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	for (int i = 0; i < 100; i++)
		caller_say(&t.c, id, frame, sizeof(frame));
	caller_finish(&t.c, id);
	r = caller_wait(&t.c, id);
	CHECK_STR(r->grpc_status, "0");
	CHECK_INT(t.messages, 100);
	close_bed(&t);
}

static void fail_now(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct err err;

	(void)in, (void)arg;
	err_set(&err, ERR_PERMISSION_DENIED, "not here");
	call_fail(call, &err);
}

TEST(a_stream_may_be_refused_at_its_head)
{
	struct buf b = frames(5);
	struct bed t;
	struct reply *r;
	char *got;
	int fd;

	open_bed(&t, (struct server_opts){0});
	server_handle_method(t.w.server, &sum_method, fail_now, &t);
	r = caller_wait(&t.c, caller_begin(&t.c, SUM, GRPC, NULL));
	CHECK_STR(r->grpc_status, "7");
	fd = dial(&t.w);
	post_chunks(&t, fd, SUM, WEB, &b, b.len);
	got = hear_all(&t.w, fd);
	CHECK_HAS(got, "connection: close\r\n");
	CHECK(strstr(got, "\r\n\r\n"));
	free(got);
	close(fd);
	buf_release(&b);
	close_bed(&t);
}

/* Send until the socket takes no more, and the server neither. */
static size_t send_all_there_is_room_for(struct bed *t, int fd, const char *p,
					 size_t len)
{
	size_t sent = 0;

	for (int idle = 0; idle < 50 && sent < len; idle++) {
		ssize_t n = send(fd, p + sent, len - sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			sent += (size_t)n;
			idle = 0;
		}
		world_turn(&t->w);
	}
	return sent;
}

TEST(a_paused_stream_is_not_read_from_its_socket)
{
	enum { LEN = 24 << 20 };
	struct buf b = BUF_INIT(0), got = BUF_INIT(0);
	struct bed t;
	size_t sent;
	int fd;

	open_bed(&t, (struct server_opts){0});
	fd = dial(&t.w);
	t.pause_at = 1;
	buf_putf(&b,
		 "POST " SUM " HTTP/1.1\r\nHost: localhost:%d\r\n"
		 "Content-Type: " WEB "\r\nContent-Length: %d\r\n\r\n",
		 server_port(t.w.server), LEN / 7 * 7);
	for (int i = 0; i < LEN / 7; i++)
		buf_put(&b, "\0\0\0\0\2\x08\1", 7);
	sent = send_all_there_is_room_for(&t, fd, b.p, b.len);
	CHECK(sent < b.len);
	CHECK_INT(t.messages, 1);
	call_resume(t.call);
	CHECK_INT(send_all_there_is_room_for(&t, fd, b.p + sent, b.len - sent),
		  b.len - sent);
	hear_until(&t, fd, &got, "grpc-status: 0\r\n");
	CHECK_INT(t.messages, LEN / 7);
	CHECK_INT(t.cancels, 0);
	close(fd);
	buf_release(&b);
	buf_release(&got);
	close_bed(&t);
}

TEST(who_does_not_read_the_echo_is_held_back)
{
	enum { N = 2000000 };
	struct buf b = BUF_INIT(0);
	struct bed t;
	int32_t id;

	open_bed(&t, (struct server_opts){0});
	caller_close(&t.c);
	caller_open(&t.c, &t.w, 1000, true);
	for (int i = 0; i < N; i++)
		buf_put(&b, "\0\0\0\0\2\x08\1", 7);
	id = caller_begin(&t.c, BACK, GRPC, NULL);
	caller_say(&t.c, id, b.p, b.len);
	for (int i = 0; i < 100; i++)
		caller_turn(&t.c);
	CHECK(t.messages < 300000);
	CHECK(caller_unsent(&t.c, id) > b.len / 2);
	CHECK_INT(t.cancels, 0);
	caller_open_window(&t.c, id, 1 << 30);
	CALLER_UNTIL(&t.c, t.messages > 400000);
	buf_release(&b);
	close_bed(&t);
}

TEST(closing_the_server_ends_streams)
{
	struct bed t;
	struct reply *r;
	int32_t id;

	open_bed(&t, (struct server_opts){0});
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	CALLER_UNTIL(&t.c, t.call);
	server_close(t.w.server, 1000);
	CHECK_INT(t.cancels, 1);
	CALLER_UNTIL(&t.c, t.c.gone);
	r = caller_reply(&t.c, id);
	CHECK_STR(r->grpc_status, "14");
	caller_close(&t.c);
	world_close_rest(&t.w);
}

TEST(text_and_gzip_come_in_streams_too)
{
	static const char *const gzip[] = {"grpc-encoding", "gzip", NULL};
	struct buf b = BUF_INIT(0), got = BUF_INIT(0);
	struct gzip *z = gzip_new();
	struct bed t;
	struct reply *r;
	int fd;

	open_bed(&t, (struct server_opts){0});
	for (int i = 0; i < 3; i++) {
		size_t at = b.len;

		buf_put(&b, "\1\0\0\0\0", 5);
		gzip_pack(z, &b, "\x08\7", 2);
		b.p[at + 4] = (char)(b.len - at - 5);
	}
	r = caller_wait(&t.c, caller_post(&t.c, SUM, GRPC, b.p, b.len, gzip));
	CHECK_STR(r->grpc_status, "0");
	CHECK_INT(t.sum, 21);
	buf_reset(&b);
	buf_puts(&b, "AAAAAAIIBg==AAAAAAI=CAY=");
	fd = dial(&t.w);
	for (size_t piece = 1; piece < 9; piece++) {
		post_chunks(&t, fd, SUM, "application/grpc-web-text", &b,
			    piece);
		say(fd, "0\r\n\r\n");
		/* "grpc-status: 0\r\n" in its frame */
		hear_until(&t, fd, &got, "gAAAABBncnBjLXN0YXR1czogMA0K");
		buf_reset(&got);
		CHECK_INT(t.sum, 21 + 12 * piece);
	}
	gzip_free(z);
	close(fd);
	buf_release(&got);
	buf_release(&b);
	close_bed(&t);
}
