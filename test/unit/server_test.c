#include "test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "proto/gateway.pb-c.h"
#include "wire/server.h"

/* A server in this process, and what its handlers saw. Clients are plain
 * sockets of the same thread; the loop turns while they wait. */
struct world {
	struct loop *loop;
	struct server *server;
	struct call *kept; /* by the holding handler */
	int calls, cancels, drains;
	uint64_t body;
	int64_t body_us;
	int left; /* messages that a stream is still to send */
	size_t most_queued;
};

static void world_open(struct world *w, struct server_opts opts)
{
	struct err err;

	*w = (struct world){0};
	opts.listen = opts.listen ? opts.listen : "127.0.0.1:0";
	CHECK(!loop_open(&w->loop, &err));
	CHECK(!server_open(&w->server, w->loop, &opts, &err));
}

static void world_close(struct world *w)
{
	server_close(w->server, 100);
	loop_close(w->loop);
}

static void turn(struct world *w)
{
	uv_run(loop_uv(w->loop), UV_RUN_NOWAIT);
}

static int dial(const struct world *w)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)server_port(w->server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	CHECK(!connect(fd, (struct sockaddr *)&to, sizeof(to)));
	return fd;
}

static void say(int fd, const char *text)
{
	CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Let the loop turn until the socket has something, which is appended to b.
 * False at the end of the connection. */
static bool hear_more(struct world *w, int fd, struct buf *b)
{
	static char part[65536];
	ssize_t n;

	while ((n = recv(fd, part, sizeof(part), MSG_DONTWAIT)) < 0) {
		struct pollfd p = {fd, POLLIN, 0};

		if (errno == ECONNRESET)
			return false;
		CHECK(errno == EAGAIN);
		turn(w);
		poll(&p, 1, 1);
	}
	buf_put(b, part, (size_t)n);
	return n > 0;
}

/* All that comes until the answer is complete; free() it. */
static char *hear(struct world *w, int fd)
{
	struct buf b = BUF_INIT(0);
	const char *body, *length;

	for (;;) {
		body = b.p ? strstr(b.p, "\r\n\r\n") : NULL;
		length = body ? strstr(b.p, "content-length: ") : NULL;
		if (length && b.len >= (size_t)(body + 4 - b.p) +
					       (size_t)atol(length + 16))
			return buf_take(&b);
		if (!hear_more(w, fd, &b))
			return buf_take(&b);
	}
}

static char *hear_all(struct world *w, int fd)
{
	struct buf b = BUF_INIT(0);

	while (hear_more(w, fd, &b))
		;
	return buf_take(&b);
}

/* POST path with this content type and body. */
static void post(const struct world *w, int fd, const char *path,
		 const char *type, const char *body, const char *more)
{
	char *text = mem_fmt("POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
			     "Content-Type: %s\r\nContent-Length: %zu\r\n"
			     "%s\r\n%s",
			     path, server_port(w->server), type, strlen(body),
			     more, body);

	say(fd, text);
	free(text);
}

static void get(const struct world *w, int fd, const char *path)
{
	char *text = mem_fmt("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n",
			     path, server_port(w->server));

	say(fd, text);
	free(text);
}

static void heartbeat(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const HeartbeatRequest *req = (const HeartbeatRequest *)in;
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;
	struct world *w = arg;
	struct err err;

	w->calls++;
	call_timing(call, &w->body, &w->body_us);
	if (req->node_id < 0) {
		err_set(&err, ERR_NOT_FOUND, "no node %d, \"%s\"", req->node_id,
			"100 %");
		call_fail(call, &err);
		return;
	}
	out.status = (char *)"received";
	out.registry_version = req->node_id + 1;
	call_reply(call, &out.base);
}

#define JSON "application/json"
#define HEARTBEAT "/GatewayService/Heartbeat"

TEST(server_answers_json)
{
	struct world w;
	char *got;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &w);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{\"nodeId\":6}", "");
	got = hear(&w, fd);
	CHECK_HAS(got, "HTTP/1.1 200 OK\r\n");
	CHECK_HAS(got, "content-type: application/json\r\n");
	CHECK_HAS(got, "\r\n\r\n{\"status\":\"received\"");
	CHECK_HAS(got, "\"registryVersion\":7");
	free(got);
	close(fd);
	world_close(&w);
}

TEST(server_says_errors_in_plain_json)
{
	struct world w;
	char *got;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &w);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{\"nodeId\":-1}", "");
	got = hear(&w, fd);
	CHECK_HAS(got, "HTTP/1.1 404 Not Found\r\n");
	CHECK_HAS(got, "\r\n\r\n{\"code\":\"not_found\",\"message\":"
		       "\"no node -1, \\u0022100 %\\u0022\"}");
	free(got);
	post(&w, fd, "/GatewayService/Nothing", JSON, "{}", "");
	got = hear(&w, fd);
	CHECK_HAS(got, "HTTP/1.1 501 Not Implemented\r\n");
	CHECK_HAS(got, "\"code\":\"unimplemented\"");
	free(got);
	close(fd);
	world_close(&w);
}

TEST(server_answers_probes)
{
	struct world w;
	char *got;
	int fd;

	world_open(&w, (struct server_opts){0});
	fd = dial(&w);
	get(&w, fd, "/healthz");
	got = hear(&w, fd);
	CHECK_HAS(got, "HTTP/1.1 200 OK\r\n");
	free(got);
	get(&w, fd, "/readyz");
	got = hear(&w, fd);
	CHECK_HAS(got, "HTTP/1.1 503 Service Unavailable\r\n");
	free(got);
	server_ready(w.server, true);
	get(&w, fd, "/readyz");
	got = hear(&w, fd);
	CHECK_HAS(got, "HTTP/1.1 200 OK\r\n");
	free(got);
	get(&w, fd, "/metrics");
	got = hear(&w, fd);
	CHECK_HAS(got, "gfl_server_connections 1\n");
	CHECK_HAS(got, "{path=\"/readyz\",code=\"unavailable\"} 1\n");
	free(got);
	close(fd);
	world_close(&w);
}

TEST(server_closes_when_asked_to)
{
	struct world w;
	char *got;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &w);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{}", "Connection: close\r\n");
	got = hear_all(&w, fd);
	CHECK_HAS(got, "connection: close\r\n");
	CHECK_HAS(got, "received");
	free(got);
	close(fd);
	world_close(&w);
}
