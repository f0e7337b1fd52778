/* The bounds of the server, and where a test reaches each:
 *
 *	head 16 KiB, 100 headers	http1_test, h2_test
 *	JSON 4 MiB, depth 32, 65,536
 *	tokens, long numbers, names
 *	twice				json_test, strict_test, here
 *	message 64 MiB			here, strict_test, h2_test
 *	all bodies together		here
 *	10 s to receive a request	here, strict_test, h2_test, h2_bad_test
 *	60 s idle			here, intake_test
 *	30 s held			held_test
 *	a slow reader, all of them	here, h2_test
 *	connections, of one address,
 *	descriptors			here, source_test, 22-limits.bats
 *	HTTP/2: streams, heads, resets,
 *	floods, windows			h2_test, h2_bad_test
 *	smuggling			http1_test, strict_test, h2_bad_test */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/gateway.pb-c.h"
#include "world.h"

static void open_plain(struct world *w, struct server_opts opts)
{
	world_open(w, opts);
	server_handle(w->server, RPC_GATEWAY_HEARTBEAT, heartbeat, w);
}

/* Send raw bytes, expect one answer that begins so, then the end. */
static void check_cut(struct world *w, const char *text, const char *begin)
{
	int fd = dial(w);
	char *got;

	say(fd, text);
	got = hear_all(w, fd);
	CHECK_HAS(got, begin);
	CHECK_HAS(got, "connection: close\r\n");
	free(got);
	close(fd);
}

TEST(server_says_what_is_wrong_with_bytes_and_closes)
{
	struct world w;

	open_plain(&w, (struct server_opts){0});
	check_cut(&w, "GET / HTTP/1.1\n", "HTTP/1.1 400 Bad Request\r\n");
	check_cut(&w, "GET / HTTP/3.0\r\n", "HTTP/1.1 505 ");
	check_cut(&w,
		  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
		  "Content-Length: 1\r\n\r\n",
		  "HTTP/1.1 400 Bad Request\r\n");
	world_close(&w);
}

TEST(server_drops_a_call_whose_body_breaks)
{
	struct world w;
	char *text;

	open_plain(&w, (struct server_opts){0});
	text = mem_fmt("POST " HEARTBEAT " HTTP/1.1\r\nHost: localhost:%d\r\n"
		       "Content-Type: " JSON "\r\n"
		       "Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n",
		       server_port(w.server));
	check_cut(&w, text, "HTTP/1.1 400 Bad Request\r\n");
	CHECK_INT(w.calls, 0);
	free(text);
	world_close(&w);
}

/* A body that is announced but does not come. */
static void check_announced(struct world *w, const char *type, long long len,
			    const char *more, const char *begin,
			    const char *part)
{
	char *text = mem_fmt("POST " HEARTBEAT " HTTP/1.1\r\n"
			     "Host: localhost:%d\r\nContent-Type: %s\r\n"
			     "Content-Length: %lld\r\n%s\r\n",
			     server_port(w->server), type, len, more);
	int fd = dial(w);
	char *got;

	say(fd, text);
	got = hear_all(w, fd);
	CHECK_HAS(got, begin);
	CHECK_HAS(got, part);
	free(got);
	free(text);
	close(fd);
}

TEST(server_names_the_bound_that_a_body_is_above)
{
	struct world w;

	open_plain(&w, (struct server_opts){.max_message = 1 << 20});
	check_announced(&w, JSON, (4 << 20) + 1, "",
			"HTTP/1.1 429 Too Many Requests\r\n", "max-json");
	check_announced(&w, "application/proto", (1 << 20) + 1, "",
			"HTTP/1.1 429 Too Many Requests\r\n", "max-message");
	check_announced(&w, JSON, 999999999999, "Expect: 100-continue\r\n",
			"HTTP/1.1 429 Too Many Requests\r\n", "max-json");
	CHECK_INT(w.calls, 0);
	world_close(&w);
}

TEST(server_bounds_a_body_of_unknown_length)
{
	char chunk[1024 + 8] = "400\r\n";
	struct world w;
	char *text, *got;
	int fd;

	open_plain(&w, (struct server_opts){.max_message = 65536});
	fd = dial(&w);
	text = mem_fmt("POST " HEARTBEAT " HTTP/1.1\r\nHost: localhost:%d\r\n"
		       "Content-Type: application/proto\r\n"
		       "Transfer-Encoding: chunked\r\n\r\n",
		       server_port(w.server));
	say(fd, text);
	memcpy(chunk + 5 + 1024, "\r\n", 2);
	for (int i = 0; i < 65; i++) {
		say_bytes(fd, chunk, 5 + 1024 + 2);
		world_turn(&w);
	}
	got = hear_all(&w, fd);
	CHECK_HAS(got, "max-message (65536 bytes)");
	free(got);
	free(text);
	close(fd);
	world_close(&w);
}

TEST(server_says_continue_only_when_it_wants_the_body)
{
	struct buf b = BUF_INIT(0);
	struct world w;
	char *text;
	int fd;

	open_plain(&w, (struct server_opts){0});
	fd = dial(&w);
	text = mem_fmt("POST " HEARTBEAT " HTTP/1.1\r\nHost: localhost:%d\r\n"
		       "Content-Type: " JSON "\r\nContent-Length: 2\r\n"
		       "Expect: 100-continue\r\n\r\n",
		       server_port(w.server));
	say(fd, text);
	CHECK(hear_more(&w, fd, &b));
	CHECK_STR(b.p, "HTTP/1.1 100 Continue\r\n\r\n");
	say(fd, "{}");
	hear_part(&w, fd, "received");
	check_announced(&w, "text/plain", 2, "Expect: 100-continue\r\n",
			"HTTP/1.1 415 Unsupported Media Type\r\n", "");
	check_announced(&w, JSON, 2, "Expect: something\r\n",
			"HTTP/1.1 417 Expectation Failed\r\n", "");
	free(text);
	buf_release(&b);
	close(fd);
	world_close(&w);
}

TEST(server_cuts_off_a_slow_sender)
{
	struct world w;

	open_plain(&w, (struct server_opts){.receive_ms = 30});
	check_cut(&w, "GET / HTT", "HTTP/1.1 408 Request Timeout\r\n");
	check_announced(&w, JSON, 10, "", "HTTP/1.1 408 Request Timeout\r\n",
			"too long");
	world_close(&w);
}

TEST(server_closes_what_is_idle)
{
	struct world w;
	char *got;
	int fd;

	open_plain(&w, (struct server_opts){.idle_ms = 400});
	fd = dial(&w);
	get(&w, fd, "/healthz");
	got = hear_all(&w, fd);
	CHECK_HAS(got, "\r\n\r\nok\n");
	CHECK(!strstr(got, "408"));
	free(got);
	close(fd);
	world_close(&w);
}

/* Idle is who says nothing, not whom we did not listen to. */
TEST(server_that_was_stopped_reads_before_it_closes_what_is_idle)
{
	struct world w;
	int fd;

	open_plain(&w, (struct server_opts){.idle_ms = 200});
	fd = dial(&w);
	get(&w, fd, "/healthz");
	hear_part(&w, fd, "ok");
	get(&w, fd, "/healthz");
	poll(NULL, 0, 300); /* the loop does not turn */
	hear_part(&w, fd, "ok");
	close(fd);
	world_close(&w);
}

static void answer_much(struct call *call, const ProtobufCMessage *in,
			void *arg)
{
	GetLeaderResponse out = GET_LEADER_RESPONSE__INIT;
	size_t len = 20 << 20;

	(void)in, (void)arg;
	out.message = mem_zero(len + 1, 1);
	memset(out.message, 'm', len);
	call_reply(call, &out.base);
	free(out.message);
}

TEST(server_sends_a_large_answer_whole)
{
	struct world w;
	char *got;
	int fd;

	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_GET_LEADER, answer_much, &w);
	fd = dial(&w);
	post(&w, fd, "/GatewayService/GetLeader", JSON, "{}", "");
	got = hear(&w, fd);
	CHECK(strlen(got) > 20 << 20);
	CHECK_STR(got + strlen(got) - 4, "mm\"}");
	free(got);
	get(&w, fd, "/healthz");
	hear_part(&w, fd, "ok");
	close(fd);
	world_close(&w);
}

TEST(server_cuts_off_a_reader_that_stalls)
{
	struct world w;
	char *got;
	int fd, other;

	world_open(&w, (struct server_opts){.idle_ms = 40});
	server_handle(w.server, RPC_GATEWAY_GET_LEADER, answer_much, &w);
	fd = dial(&w);
	post(&w, fd, "/GatewayService/GetLeader", JSON, "{}", "");
	for (bool cut = false; !cut;) {
		other = dial(&w);
		get(&w, other, "/metrics");
		got = hear(&w, other);
		cut = strstr(got, "gfl_server_connections_cut_total 1\n");
		free(got);
		close(other);
	}
	got = hear_all(&w, fd);
	CHECK(strlen(got) < 20 << 20);
	free(got);
	close(fd);
	world_close(&w);
}

/* More than 65 MiB in all: who has read nothing for longest pays. */
TEST(server_bounds_all_answers_that_nobody_reads)
{
	enum { N = 5 };
	struct world w;
	int fds[N], other;
	char *got;

	world_open(&w, (struct server_opts){.max_message = 1 << 16});
	server_handle(w.server, RPC_GATEWAY_GET_LEADER, answer_much, &w);
	other = dial(&w);
	for (int i = 0; i < N; i++) {
		fds[i] = dial(&w);
		post(&w, fds[i], "/GatewayService/GetLeader", JSON, "{}", "");
		get(&w, other, "/healthz");
		hear_part(&w, other, "ok");
	}
	for (bool cut = false; !cut;) {
		get(&w, other, "/metrics");
		got = hear(&w, other);
		cut = strstr(got, "gfl_server_connections_cut_total ") &&
		      !strstr(got, "gfl_server_connections_cut_total 0\n");
		free(got);
	}
	got = hear_all(&w, fds[0]);
	CHECK(strlen(got) < 20 << 20);
	free(got);
	got = hear(&w, fds[N - 1]);
	CHECK(strlen(got) > 20 << 20);
	free(got);
	for (int i = 0; i < N; i++)
		close(fds[i]);
	close(other);
	world_close(&w);
}

static void register_node(struct call *call, const ProtobufCMessage *in,
			  void *arg)
{
	const RegisterNodeRequest *req = (const RegisterNodeRequest *)in;
	RegisterNodeResponse out = REGISTER_NODE_RESPONSE__INIT;

	(void)arg;
	out.node_id = (int32_t)strlen(req->ip_address);
	call_reply(call, &out.base);
}

TEST(server_receives_a_large_body)
{
	enum { LEN = 8 << 20 };
	const char head[5] = {0x12, (char)0x80, (char)0x80, (char)0x80, 0x04};
	char *body = mem_zero(LEN, 1);
	struct world w;
	char *text;
	int fd;

	memset(body, 'b', LEN);
	world_open(&w, (struct server_opts){0});
	server_handle(w.server, RPC_GATEWAY_REGISTER_NODE, register_node, &w);
	fd = dial(&w);
	text = mem_fmt("POST /GatewayService/RegisterNode HTTP/1.1\r\n"
		       "Host: localhost:%d\r\nContent-Type: application/proto"
		       "\r\nContent-Length: %d\r\n\r\n",
		       server_port(w.server), LEN + 5);
	say(fd, text);
	say_bytes(fd, head, 5);
	for (size_t at = 0; at < LEN;) {
		ssize_t n = send(fd, body + at, LEN - at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		at += n > 0 ? (size_t)n : 0;
		world_turn(&w);
	}
	/* node_id = 2, 8 Mi as a varint */
	hear_part(&w, fd, "\r\n\r\n\x10\x80\x80\x80\x04");
	free(text);
	free(body);
	close(fd);
	world_close(&w);
}

TEST(server_lets_newcomers_wait_at_its_bound)
{
	struct world w;
	int a, b, c;

	open_plain(&w, (struct server_opts){.max_connections = 2});
	a = dial(&w);
	b = dial(&w);
	c = dial(&w);
	get(&w, c, "/healthz");
	get(&w, a, "/metrics");
	hear_part(&w, a, "gfl_server_connections 2\n");
	get(&w, a, "/metrics");
	hear_part(&w, a, "gfl_server_accept_pauses_total 1\n");
	close(b);
	hear_part(&w, c, "ok");
	close(a);
	close(c);
	world_close(&w);
}

TEST(server_recovers_when_descriptors_run_out)
{
	struct rlimit limit = {60, 60};
	int spare[64], n = 0, fd;
	struct world w;

	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	open_plain(&w, (struct server_opts){.max_connections = 100});
	fd = dial(&w);
	while ((spare[n] = dup(fd)) >= 0)
		n++;
	CHECK_INT(errno, EMFILE);
	get(&w, fd, "/healthz");
	for (int i = 0; i < 20; i++)
		world_turn(&w);
	for (int i = 0; i < n; i++)
		close(spare[i]);
	hear_part(&w, fd, "ok");
	close(fd);
	world_close(&w);
}

/* Let the server take all of these bytes. */
static void pour(struct world *w, int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return;
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
		world_turn(w);
	}
}

TEST(server_bounds_all_bodies_together)
{
	enum { LEN = 4 << 20, N = 17 };
	char *body = mem_zero(LEN, 1), *head, *got;
	struct world w;
	int fds[N];

	open_plain(&w, (struct server_opts){.max_message = 65536});
	head = mem_fmt("POST " HEARTBEAT " HTTP/1.1\r\nHost: localhost:%d\r\n"
		       "Content-Type: " JSON "\r\nContent-Length: %d\r\n\r\n",
		       server_port(w.server), LEN);
	for (int i = 0; i < N; i++) {
		fds[i] = dial(&w);
		say(fds[i], head);
		pour(&w, fds[i], body, LEN - 1);
	}
	got = hear_all(&w, fds[N - 1]);
	CHECK_HAS(got, "HTTP/1.1 429 ");
	CHECK_HAS(got, "max-message 16 times");
	CHECK_HAS(got, "\r\nretry-after: 1\r\n");
	free(got);
	close(fds[0]);
	close(fds[N - 1]);
	fds[0] = dial(&w);
	post(&w, fds[0], HEARTBEAT, JSON, "{}", "");
	hear_part(&w, fds[0], "received");
	for (int i = 0; i < N - 1; i++)
		close(fds[i]);
	free(head);
	free(body);
	world_close(&w);
}
