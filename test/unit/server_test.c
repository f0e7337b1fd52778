#include "test.h"

#include <sys/socket.h>
#include <unistd.h>

#include "proto/gateway.pb-c.h"
#include "world.h"

/* A gRPC-web body: one frame around these bytes. */
static void post_web(const struct world *w, int fd, const char *message,
		     size_t len)
{
	char *head = mem_fmt("POST " HEARTBEAT " HTTP/1.1\r\n"
			     "Host: localhost:%d\r\n"
			     "Content-Type: application/grpc-web+proto\r\n"
			     "Content-Length: %zu\r\n\r\n",
			     server_port(w->server), len + 5);
	const char frame[5] = {0, 0, 0, 0, (char)len};

	say(fd, head);
	say_bytes(fd, frame, 5);
	say_bytes(fd, message, len);
	free(head);
}

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

TEST(server_speaks_grpc_web)
{
	struct buf b = BUF_INIT(0);
	struct world w;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &w);
	fd = dial(&w);
	post_web(&w, fd, "\x08\x01", 2);
	while (hear_more(&w, fd, &b) && !memmem(b.p, b.len, "status: 0", 9))
		;
	CHECK_HAS(b.p, "content-type: application/grpc-web+proto\r\n");
	CHECK(memmem(b.p, b.len, "\0\0\0\0\x0c\x0a\x08received\x10\x02", 17));
	CHECK(memmem(b.p, b.len, "\x80\0\0\0\x10grpc-status: 0\r\n", 21));
	buf_reset(&b);
	post_web(&w, fd, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
	while (hear_more(&w, fd, &b) && !memmem(b.p, b.len, "%25\"", 4))
		;
	CHECK_HAS(b.p, "HTTP/1.1 200 OK\r\n");
	CHECK(memmem(b.p, b.len, "grpc-status: 5\r\ngrpc-message: no node -1",
		     40));
	buf_release(&b);
	close(fd);
	world_close(&w);
}

TEST(server_reads_a_request_byte_by_byte)
{
	struct world w;
	char *text, *got;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &w);
	fd = dial(&w);
	text = mem_fmt("POST " HEARTBEAT " HTTP/1.1\r\nHost: localhost:%d\r\n"
		       "Content-Type: " JSON "\r\n"
		       "Transfer-Encoding: chunked\r\n\r\n"
		       "5\r\n{\"nod\r\n7\r\neId\":3}\r\n0\r\n\r\n",
		       server_port(w.server));
	for (const char *p = text; *p; p++) {
		say_bytes(fd, p, 1);
		world_turn(&w);
	}
	got = hear(&w, fd);
	CHECK_HAS(got, "\"registryVersion\":4");
	CHECK_INT(w.body, 12);
	CHECK(w.body_us > 0);
	free(got);
	free(text);
	close(fd);
	world_close(&w);
}

/* One request on a connection of its own; the answer begins so. */
static void check_head(struct world *w, const char *request,
		       const char *headers, const char *begin)
{
	char *text = mem_fmt("%s HTTP/1.1\r\n%s\r\n", request, headers);
	int fd = dial(w);
	char *got;

	say(fd, text);
	shutdown(fd, SHUT_WR);
	got = hear_all(w, fd);
	CHECK(got && !strncmp(got, begin, strlen(begin)));
	free(got);
	free(text);
	close(fd);
}

TEST(server_knows_its_names)
{
	const char *names[] = {"127.0.0.1", "localhost", "LocalHost", "[::1]"};
	struct server_opts opts = {.advertise = "http://gfl.example:99/"};
	struct world w;
	char *host;

	world_open(&w, opts);
	CHECK_STR(server_url(w.server), "http://gfl.example:99");
	for (int i = 0; i < 4; i++) {
		host = mem_fmt("Host: %s:%d\r\n", names[i],
			       server_port(w.server));
		check_head(&w, "GET /healthz", host, "HTTP/1.1 200 ");
		free(host);
	}
	check_head(&w, "GET /healthz", "Host: gfl.example:99\r\n",
		   "HTTP/1.1 200 ");
	check_head(&w, "GET /healthz", "Host: gfl.example\r\n",
		   "HTTP/1.1 403 ");
	check_head(&w, "GET /healthz", "Host: localhost\r\n", "HTTP/1.1 403 ");
	check_head(&w, "GET /healthz", "Host: evil.example:80\r\n",
		   "HTTP/1.1 403 ");
	check_head(&w, "GET /healthz", "Host:\r\n", "HTTP/1.1 403 ");
	world_close(&w);
}

TEST(server_on_localhost_is_on_127_0_0_1)
{
	struct world w;
	int fd;

	world_open(&w, (struct server_opts){.listen = "localhost:0"});
	CHECK_HAS(server_url(w.server), "://127.0.0.1:");
	fd = dial(&w);
	get(&w, fd, "/healthz");
	hear_part(&w, fd, "ok");
	close(fd);
	world_close(&w);
}

TEST(server_on_all_addresses_takes_addresses_for_names)
{
	struct server_opts opts = {.listen = "0.0.0.0:0", .insecure = true};
	struct world w;
	char *host;

	world_open(&w, opts);
	host = mem_fmt("Host: 10.1.2.3:%d\r\n", server_port(w.server));
	check_head(&w, "GET /healthz", host, "HTTP/1.1 200 ");
	free(host);
	host = mem_fmt("Host: evil.example:%d\r\n", server_port(w.server));
	check_head(&w, "GET /healthz", host, "HTTP/1.1 403 ");
	free(host);
	check_head(&w, "GET /healthz", "Host: 10.1.2.3:1\r\n", "HTTP/1.1 403 ");
	world_close(&w);
}

TEST(server_refuses_web_pages_and_wrong_verbs)
{
	static const struct {
		const char *request, *more, *begin;
	} rows[] = {
		{"GET /healthz", "Origin: http://localhost\r\n",
		 "HTTP/1.1 403 "},
		{"OPTIONS " HEARTBEAT, "Origin: null\r\n", "HTTP/1.1 403 "},
		{"OPTIONS " HEARTBEAT, "", "HTTP/1.1 204 "},
		{"OPTIONS *", "", "HTTP/1.1 204 "},
		{"HEAD /healthz", "", "HTTP/1.1 200 "},
		{"HEAD /nothing", "", "HTTP/1.1 404 "},
		{"GET /nothing", "", "HTTP/1.1 404 "},
		{"GET " HEARTBEAT, "", "HTTP/1.1 405 "},
		{"PUT " HEARTBEAT, "", "HTTP/1.1 405 "},
		{"POST /healthz", "", "HTTP/1.1 405 "},
		{"POST " HEARTBEAT, "", "HTTP/1.1 415 "},
		{"POST " HEARTBEAT, "Content-Type: text/plain\r\n",
		 "HTTP/1.1 415 "},
		{"POST " HEARTBEAT,
		 "Content-Type: application/connect+json\r\n", "HTTP/1.1 415 "},
		{"POST " HEARTBEAT,
		 "Content-Type: " JSON "\r\nConnect-Protocol-Version: 2\r\n",
		 "HTTP/1.1 400 "},
		{"POST " HEARTBEAT,
		 "Content-Type: " JSON "\r\nContent-Encoding: br\r\n",
		 "HTTP/1.1 501 "},
		{"POST " HEARTBEAT,
		 "Content-Type: " JSON "\r\nConnect-Timeout-Ms: x\r\n",
		 "HTTP/1.1 400 "},
	};
	struct world w;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *headers = mem_fmt("Host: localhost:%d\r\n%s",
					server_port(w.server), rows[i].more);

		check_head(&w, rows[i].request, headers, rows[i].begin);
		free(headers);
	}
	CHECK_INT(w.calls, 0);
	world_close(&w);
}

TEST(server_answers_head_without_a_body)
{
	struct world w;
	char *text, *got;
	int fd;

	world_open(&w, (struct server_opts){0});
	fd = dial(&w);
	text = mem_fmt("HEAD /healthz HTTP/1.1\r\nHost: localhost:%d\r\n"
		       "Connection: close\r\n\r\n",
		       server_port(w.server));
	say(fd, text);
	got = hear_all(&w, fd);
	CHECK_HAS(got, "content-length: 3\r\n");
	CHECK_STR(strstr(got, "\r\n\r\n"), "\r\n\r\n");
	free(got);
	free(text);
	close(fd);
	world_close(&w);
}

TEST(server_keeps_a_refused_connection_when_the_body_is_small)
{
	struct world w;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &w);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, "text/plain", "some body", "");
	hear_part(&w, fd, "HTTP/1.1 415 ");
	post(&w, fd, HEARTBEAT, JSON, "{}", "");
	hear_part(&w, fd, "received");
	close(fd);
	world_close(&w);
}

static void echo(struct call *call, const char *query, const char *body,
		 size_t len, void *arg)
{
	char *text = mem_fmt("%s %s %s", (const char *)arg, query, body);

	CHECK_INT(len, strlen(body));
	call_http(call, 200, JSON, text, strlen(text));
	free(text);
}

TEST(server_serves_plain_paths_by_verb)
{
	struct world w;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_http(w.server, "GET", "/leader", echo, (void *)"get");
	server_http(w.server, "POST", "/leader", echo, (void *)"post");
	fd = dial(&w);
	get(&w, fd, "/leader?node_id=3");
	hear_part(&w, fd, "\r\n\r\nget node_id=3 ");
	post(&w, fd, "/leader", JSON, "{\"a\":1}", "");
	hear_part(&w, fd, "\r\n\r\npost  {\"a\":1}");
	post(&w, fd, "/leader", "application/x-www-form-urlencoded", "a=1", "");
	hear_part(&w, fd, "HTTP/1.1 415 ");
	close(fd);
	world_close(&w);
}

static void who(struct call *call, const ProtobufCMessage *in, void *arg)
{
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;

	(void)in, (void)arg;
	out.status = call_forwarded(call) ? "a node" : "a client";
	call_reply(call, &out.base);
}

TEST(server_knows_who_calls)
{
	struct world w;
	char *got;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_HEARTBEAT, who, &w);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{}", "");
	got = hear(&w, fd);
	CHECK_HAS(got, "\"a client\"");
	free(got);
	post(&w, fd, HEARTBEAT, JSON, "{}", RPC_FORWARDED ": 1\r\n");
	hear_part(&w, fd, "\"a node\"");
	close(fd);
	world_close(&w);
}

static int open_at(const char *at, bool insecure, struct err *err)
{
	struct server_opts opts = {.listen = at, .insecure = insecure};
	struct server *s;
	struct loop *loop;
	int rc;

	CHECK(!loop_open(&loop, err));
	rc = server_open(&s, loop, &opts, err);
	if (!rc)
		server_close(s, 0);
	loop_close(loop);
	return rc;
}

TEST(server_refuses_addresses_with_a_reason)
{
	struct world w;
	struct err err;
	char *taken;

	world_open(&w, (struct server_opts){0});
	taken = mem_fmt("127.0.0.1:%d", server_port(w.server));
	CHECK_INT(open_at(taken, false, &err), ERR_RESOURCE_EXHAUSTED);
	CHECK_HAS(err.msg, taken);
	CHECK_HAS(err.msg, "Address already in use");
	free(taken);
	CHECK_INT(open_at("0.0.0.0:0", false, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.hint, "--insecure");
	CHECK_INT(open_at(":0", false, &err), ERR_INVALID_ARGUMENT);
	CHECK_INT(open_at("127.0.0.1", false, &err), ERR_INVALID_ARGUMENT);
	CHECK_INT(open_at("127.0.0.1:x", false, &err), ERR_INVALID_ARGUMENT);
	CHECK_INT(open_at("no-such-host.invalid:1", false, &err),
		  ERR_INVALID_ARGUMENT);
	CHECK_INT(open_at("0.0.0.0:0", true, &err), 0);
	CHECK_INT(open_at("localhost:0", false, &err), 0);
	world_close(&w);
}
