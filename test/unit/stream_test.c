#include "test.h"

#include <sys/socket.h>
#include <unistd.h>

#include "proto/gateway.pb-c.h"
#include "world.h"

#define WATCH "/GatewayService/WatchNodes"
#define CONNECT_JSON "application/connect+json"

/* A stream of left messages, each with text of this size. */
struct source {
	struct world w;
	struct call *call;
	int left, sent, drains, cancels;
	size_t size, most_queued;
	char *text;
};

static void source_open(struct source *s, server_fn *fn, int n, size_t size)
{
	*s = (struct source){.left = n, .size = size};
	world_open(&s->w, (struct server_opts){0});
	server_handle(s->w.server, RPC_GATEWAY_WATCH_NODES, fn, s);
	s->text = mem_zero(size + 1, 1);
	memset(s->text, 'x', size);
}

static void source_close(struct source *s)
{
	world_close(&s->w);
	free(s->text);
}

static int send_one(struct source *s, struct call *call)
{
	NodeEvent out = NODE_EVENT__INIT;

	out.kind = s->text;
	out.registry_version = ++s->sent;
	return call_send(call, &out.base);
}

/* Sends all in one go. */
static void send_all(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct source *s = arg;

	(void)in;
	for (; s->left; s->left--)
		if (send_one(s, call))
			break;
	call_end(call);
}

/* Sends while little is queued, and goes on when that is taken. */
static void send_some(struct call *call, void *arg)
{
	struct source *s = arg;

	s->drains++;
	for (; s->left && call_queued(call) < 256 << 10; s->left--)
		CHECK(!send_one(s, call));
	if (call_queued(call) > s->most_queued)
		s->most_queued = call_queued(call);
	if (!s->left)
		call_end(call);
}

static void on_cancel(struct call *call, void *arg)
{
	struct source *s = arg;

	CHECK(call == s->call);
	s->call = NULL;
	s->cancels++;
}

static void send_paced(struct call *call, const ProtobufCMessage *in, void *arg)
{
	(void)in;
	call_on_drain(call, send_some, arg);
	send_some(call, arg);
}

/* Sends nothing of itself. */
static void keep(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct source *s = arg;

	(void)in;
	s->call = call;
	call_on_cancel(call, on_cancel, s);
}

static void watch(const struct source *s, int fd, const char *type,
		  const char *more)
{
	char *head = mem_fmt("POST " WATCH " HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
			     "Content-Type: %s\r\nContent-Length: 7\r\n%s\r\n",
			     server_port(s->w.server), type, more);

	say(fd, head);
	say_bytes(fd, "\0\0\0\0\2{}", 7);
	free(head);
}

/* Read until the answer ends in these bytes. */
static void hear_until(struct source *s, int fd, struct buf *b, const char *end,
		       size_t len)
{
	while (b->len < len || memcmp(b->p + b->len - len, end, len))
		CHECK(hear_more(&s->w, fd, b));
}

TEST(stream_arrives_in_order_and_the_connection_is_kept)
{
	static const char want[] =
		"transfer-encoding: chunked\r\n\r\n00000025\r\n"
		"\0\0\0\0\x20{\"kind\":\"x\",\"registryVersion\":1}\r\n"
		"00000025\r\n"
		"\0\0\0\0\x20{\"kind\":\"x\",\"registryVersion\":2}\r\n"
		"00000007\r\n\2\0\0\0\2{}\r\n0\r\n\r\n";
	struct buf b = BUF_INIT(0);
	struct source s;
	int fd;

	source_open(&s, send_all, 2, 1);
	fd = dial(&s.w);
	watch(&s, fd, CONNECT_JSON, "");
	hear_until(&s, fd, &b, "\r\n0\r\n\r\n", 7);
	CHECK_HAS(b.p, "HTTP/1.1 200 OK\r\n");
	CHECK_HAS(b.p, "content-type: application/connect+json\r\n");
	CHECK(memmem(b.p, b.len, want, sizeof(want) - 1));
	buf_release(&b);
	get(&s.w, fd, "/healthz");
	hear_part(&s.w, fd, "ok");
	close(fd);
	source_close(&s);
}

TEST(stream_begins_before_its_first_message)
{
	struct buf b = BUF_INIT(0);
	struct source s;
	int fd;

	source_open(&s, keep, 0, 1);
	fd = dial(&s.w);
	watch(&s, fd, CONNECT_JSON, "");
	hear_until(&s, fd, &b, "chunked\r\n\r\n", 11);
	CHECK(!send_one(&s, s.call));
	hear_until(&s, fd, &b, "1}\r\n", 4);
	close(fd);
	UNTIL(&s.w, s.cancels);
	buf_release(&b);
	source_close(&s);
	CHECK_INT(s.cancels, 1);
}

TEST(stream_ends_at_its_deadline)
{
	struct buf b = BUF_INIT(0);
	struct source s;
	int fd;

	source_open(&s, keep, 0, 1);
	fd = dial(&s.w);
	watch(&s, fd, "application/grpc-web+json", "grpc-timeout: 20m\r\n");
	hear_until(&s, fd, &b, "\r\n0\r\n\r\n", 7);
	CHECK(memmem(b.p, b.len, "grpc-status: 4\r\n", 16));
	CHECK_INT(s.cancels, 1);
	buf_release(&b);
	close(fd);
	source_close(&s);
}

TEST(stream_to_http_1_0_ends_with_the_connection)
{
	struct source s;
	char *head;
	char *got;
	int fd;

	source_open(&s, send_all, 1, 1);
	fd = dial(&s.w);
	head = mem_fmt("POST " WATCH " HTTP/1.0\r\nHost: 127.0.0.1:%d\r\n"
		       "Content-Type: application/grpc-web+json\r\n"
		       "Connection: keep-alive\r\nContent-Length: 7\r\n\r\n",
		       server_port(s.w.server));
	say(fd, head);
	say_bytes(fd, "\0\0\0\0\2{}", 7);
	got = hear_all(&s.w, fd);
	CHECK_HAS(got, "connection: close\r\n");
	CHECK(!strstr(got, "transfer-encoding"));
	free(got);
	free(head);
	close(fd);
	source_close(&s);
}

/* A client that reads nothing for now. */
static int dial_slow(struct source *s)
{
	int fd = dial(&s->w), small = 65536;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	watch(s, fd, CONNECT_JSON, "");
	return fd;
}

TEST(stream_to_a_slow_reader_is_held_back)
{
	struct buf b = BUF_INIT(0);
	struct source s;
	int fd;

	source_open(&s, send_paced, 500, 32 << 10);
	fd = dial_slow(&s);
	UNTIL(&s.w, s.sent);
	CHECK(s.sent < 500);
	hear_until(&s, fd, &b, "\r\n0\r\n\r\n", 7);
	CHECK_INT(s.sent, 500);
	CHECK(b.len > 500 * (32 << 10));
	CHECK(s.most_queued < 300 << 10);
	CHECK(s.drains > 1);
	buf_release(&b);
	close(fd);
	source_close(&s);
}

TEST(stream_that_queues_too_many_bytes_fails)
{
	struct buf b = BUF_INIT(0);
	struct source s;
	int fd;

	source_open(&s, send_all, 400, 1 << 20);
	fd = dial_slow(&s);
	hear_until(&s, fd, &b, "\r\n0\r\n\r\n", 7);
	CHECK(s.left > 300);
	CHECK(memmem(b.p, b.len, "{\"code\":\"resource_exhausted\",", 29));
	CHECK(memmem(b.p, b.len, "16777216 bytes behind", 21));
	CHECK(b.len < 32 << 20);
	buf_release(&b);
	close(fd);
	source_close(&s);
}
