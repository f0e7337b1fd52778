#include "caller.h"
#include "test.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/gateway.pb-c.h"

#define WATCH "/GatewayService/WatchNodes"

enum { WINDOW = 1 << 20 };

struct bench {
	struct world w;
	struct caller c;
	struct call *kept[CALLER_MAX];
	int n_kept, sent;
};

static void bench_open(struct bench *b, struct server_opts opts)
{
	memset(b, 0, sizeof(*b));
	world_open(&b->w, opts);
	server_handle(b->w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &b->w);
	caller_open(&b->c, &b->w, WINDOW, false);
}

static void bench_close(struct bench *b)
{
	caller_close(&b->c);
	world_close(&b->w);
}

static int32_t version_in(const struct reply *r)
{
	HeartbeatResponse *out;
	int32_t version;

	CHECK(r->body.len >= 5);
	out = heartbeat_response__unpack(NULL, r->body.len - 5,
					 (uint8_t *)r->body.p + 5);
	CHECK(out);
	version = out->registry_version;
	heartbeat_response__free_unpacked(out, NULL);
	return version;
}

TEST(native_grpc_is_answered_with_trailers)
{
	struct bench b;
	struct reply *r;

	bench_open(&b, (struct server_opts){0});
	r = caller_wait(&b.c, caller_beat(&b.c, 41, NULL));
	CHECK_INT(r->status, 200);
	CHECK_STR(r->type, GRPC);
	CHECK_STR(r->grpc_status, "0");
	CHECK(!r->headless);
	CHECK_INT(r->code, 0);
	CHECK_INT(version_in(r), 42);
	CHECK_INT(b.w.body, 7);
	bench_close(&b);
}

static void fail_abroad(struct call *call, const ProtobufCMessage *in,
			void *arg)
{
	struct err err;

	(void)in, (void)arg;
	err_set(&err, ERR_DATA_LOSS, "100 %% größer");
	call_fail(call, &err);
}

TEST(an_error_is_percent_encoded_in_trailers_alone)
{
	struct bench b;
	struct reply *r;

	bench_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, fail_abroad, &b);
	r = caller_wait(&b.c, caller_beat(&b.c, 1, NULL));
	CHECK_INT(r->status, 200);
	CHECK_STR(r->grpc_status, "15");
	CHECK_STR(r->message, "100 %25 gr%C3%B6%C3%9Fer");
	CHECK(r->headless);
	CHECK_INT(r->body.len, 0);
	r = caller_wait(&b.c, caller_post(&b.c, "/No/Such", GRPC, "\0\0\0\0\0",
					  5, NULL));
	CHECK_STR(r->grpc_status, "12");
	CHECK_STR(r->message, "no method /No/Such");
	r = caller_wait(&b.c,
			caller_post(&b.c, HEARTBEAT, GRPC, "abc", 3, NULL));
	CHECK_STR(r->grpc_status, "3");
	bench_close(&b);
}

TEST(every_dialect_is_served_on_http2)
{
	static const char *const hello[] = {"connect-protocol-version", "1",
					    NULL};
	struct bench b;
	struct reply *r;

	bench_open(&b, (struct server_opts){0});
	r = caller_wait(&b.c, caller_get(&b.c, "GET", "/healthz", NULL));
	CHECK_INT(r->status, 200);
	CHECK_STR(r->body.p, "ok\n");
	r = caller_wait(&b.c, caller_get(&b.c, "HEAD", "/healthz", NULL));
	CHECK_INT(r->status, 200);
	CHECK_INT(r->body.len, 0);
	r = caller_wait(&b.c, caller_get(&b.c, "GET", "/nothing", NULL));
	CHECK_INT(r->status, 404);
	r = caller_wait(&b.c, caller_get(&b.c, "OPTIONS", "/healthz", NULL));
	CHECK_INT(r->status, 204);
	r = caller_wait(&b.c, caller_post(&b.c, HEARTBEAT, JSON,
					  "{\"nodeId\":1}", 12, hello));
	CHECK_HAS(r->body.p, "\"registryVersion\":2");
	r = caller_wait(&b.c, caller_post(&b.c, HEARTBEAT, JSON,
					  "{\"nodeId\":-1}", 13, NULL));
	CHECK_INT(r->status, 404);
	CHECK_HAS(r->body.p, "\"not_found\"");
	r = caller_wait(&b.c, caller_post(&b.c, HEARTBEAT,
					  "application/grpc-web+proto",
					  "\0\0\0\0\2\x08\x04", 7, NULL));
	CHECK(r->body.len > 15);
	CHECK_STR(r->body.p + r->body.len - 16, "grpc-status: 0\r\n");
	r = caller_wait(&b.c,
			caller_post(&b.c, HEARTBEAT, "application/grpc+json",
				    "\0\0\0\0\x0c{\"nodeId\":1}", 17, NULL));
	CHECK_HAS(r->body.p + 5, "\"registryVersion\":2");
	r = caller_wait(&b.c,
			caller_post(&b.c, HEARTBEAT, "text/css", "", 0, NULL));
	CHECK_INT(r->status, 415);
	bench_close(&b);
}

static void send_events(struct call *call, const ProtobufCMessage *in,
			void *arg)
{
	NodeEvent msg = NODE_EVENT__INIT;

	(void)in, (void)arg;
	msg.kind = (char *)"joined";
	for (int i = 0; i < 3; i++) {
		msg.registry_version = i;
		CHECK(!call_send(call, &msg.base));
	}
	call_end(call);
}

static int messages(const struct buf *b)
{
	int n = 0;

	for (size_t at = 0; at + 5 <= b->len; n++) {
		const unsigned char *p = (unsigned char *)b->p + at;

		at += 5 + ((size_t)p[1] << 24 | (size_t)p[2] << 16 |
			   (size_t)p[3] << 8 | p[4]);
	}
	return n;
}

TEST(a_stream_ends_with_its_status)
{
	struct bench b;
	struct reply *r;

	bench_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_WATCH_NODES, send_events, &b);
	r = caller_wait(&b.c,
			caller_post(&b.c, WATCH, GRPC, "\0\0\0\0\0", 5, NULL));
	CHECK_INT(messages(&r->body), 3);
	CHECK_STR(r->grpc_status, "0");
	CHECK(!r->headless);
	bench_close(&b);
}

static void on_gone(struct call *call, void *arg)
{
	struct bench *b = arg;

	(void)call;
	b->w.cancels++;
}

static void keep_all(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct bench *b = arg;

	(void)in;
	b->kept[b->n_kept++] = call;
	call_on_cancel(call, on_gone, b);
}

static void answer(struct call *call, int version)
{
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;

	out.status = (char *)"late";
	out.registry_version = version;
	call_reply(call, &out.base);
}

TEST(a_reset_cancels_its_call_and_no_other)
{
	struct bench b;
	int32_t one, two;
	struct reply *r;

	bench_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, keep_all, &b);
	one = caller_beat(&b.c, 1, NULL);
	two = caller_beat(&b.c, 2, NULL);
	CALLER_UNTIL(&b.c, b.n_kept == 2);
	CHECK(!nghttp2_submit_rst_stream(b.c.session, 0, one, NGHTTP2_CANCEL));
	CALLER_UNTIL(&b.c, b.w.cancels);
	answer(b.kept[1], 5);
	r = caller_wait(&b.c, two);
	CHECK_INT(version_in(r), 5);
	CHECK_INT(b.w.cancels, 1);
	bench_close(&b);
}

TEST(a_lost_connection_cancels_all_its_calls)
{
	struct bench b;

	bench_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, keep_all, &b);
	for (int i = 0; i < 20; i++)
		caller_beat(&b.c, i, NULL);
	CALLER_UNTIL(&b.c, b.n_kept == 20);
	shutdown(b.c.fd, SHUT_RDWR);
	UNTIL(&b.w, b.w.cancels == 20);
	bench_close(&b);
}

TEST(many_calls_are_answered_in_any_order)
{
	struct bench b;
	int32_t ids[500];

	bench_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, keep_all, &b);
	for (int i = 0; i < 500; i++)
		ids[i] = caller_beat(&b.c, i, NULL);
	CALLER_UNTIL(&b.c, b.n_kept == 500);
	for (int i = 499; i >= 0; i--)
		answer(b.kept[i], i + 1);
	for (int i = 0; i < 500; i++)
		CHECK_INT(version_in(caller_wait(&b.c, ids[i])), i + 1);
	CHECK_INT(b.w.cancels, 0);
	bench_close(&b);
}

TEST(a_call_ends_at_its_deadline)
{
	static const char *const soon[] = {"grpc-timeout", "20m", NULL};
	static const char *const bad[] = {"grpc-timeout", "20x", NULL};
	struct bench b;
	struct reply *r;

	bench_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, keep_all, &b);
	r = caller_wait(&b.c, caller_beat(&b.c, 1, soon));
	CHECK_STR(r->grpc_status, "4");
	CHECK_INT(b.w.cancels, 1);
	r = caller_wait(&b.c, caller_beat(&b.c, 1, bad));
	CHECK_STR(r->grpc_status, "3");
	bench_close(&b);
}

enum { PIECE = 100000, PIECES = 50 };

/* As much as the reader has taken, piece by piece. */
static void pour(struct call *call, void *arg)
{
	static char kind[PIECE + 1];
	NodeEvent msg = NODE_EVENT__INIT;
	struct bench *b = arg;

	memset(kind, 'k', PIECE);
	msg.kind = kind;
	if (b->sent == PIECES) {
		call_end(call);
		return;
	}
	CHECK(!call_send(call, &msg.base));
	b->sent++;
}

static void begin_to_pour(struct call *call, const ProtobufCMessage *in,
			  void *arg)
{
	struct bench *b = arg;

	(void)in;
	call_on_drain(call, pour, b);
	call_on_cancel(call, on_gone, b);
	pour(call, b);
}

TEST(a_slow_reader_is_held_back_and_loses_nothing)
{
	struct bench b;
	struct reply *r;
	int32_t id, other;

	bench_open(&b, (struct server_opts){0});
	caller_close(&b.c);
	caller_open(&b.c, &b.w, 2 * PIECE, true);
	server_handle(b.w.server, RPC_GATEWAY_WATCH_NODES, begin_to_pour, &b);
	id = caller_post(&b.c, WATCH, GRPC, "\0\0\0\0\0", 5, NULL);
	r = caller_reply(&b.c, id);
	CALLER_UNTIL(&b.c, r->body.len == 2 * PIECE);
	other = caller_beat(&b.c, 1, NULL);
	CHECK_STR(caller_wait(&b.c, other)->grpc_status, "0");
	CHECK_INT(b.sent, 2);
	CHECK_INT(r->body.len, 2 * PIECE);
	caller_open_window(&b.c, id, PIECES * (PIECE + 100));
	caller_wait(&b.c, id);
	CHECK_STR(r->grpc_status, "0");
	CHECK_INT(messages(&r->body), PIECES);
	bench_close(&b);
}

/* As a gateway of many nodes begins its watch. */
static void send_many(struct call *call, const ProtobufCMessage *in, void *arg)
{
	NodeEvent msg = NODE_EVENT__INIT;

	(void)in, (void)arg;
	for (int i = 0; i < 100000; i++)
		CHECK(!call_send(call, &msg.base));
	call_end(call);
}

TEST(many_small_messages_may_be_sent_at_once)
{
	struct bench b;
	struct reply *r;

	bench_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_WATCH_NODES, send_many, &b);
	r = caller_wait(&b.c,
			caller_post(&b.c, WATCH, GRPC, "\0\0\0\0\0", 5, NULL));
	CHECK_STR(r->grpc_status, "0");
	CHECK_INT(messages(&r->body), 100000);
	bench_close(&b);
}

static void flood(struct call *call, const ProtobufCMessage *in, void *arg)
{
	static char kind[(1 << 20) + 1];
	NodeEvent msg = NODE_EVENT__INIT;
	struct bench *b = arg;

	(void)in;
	memset(kind, 'k', 1 << 20);
	msg.kind = kind;
	call_on_cancel(call, on_gone, b);
	while (!call_send(call, &msg.base))
		b->sent++;
}

TEST(a_stream_that_runs_ahead_of_its_reader_fails)
{
	struct bench b;
	struct reply *r;

	bench_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_WATCH_NODES, flood, &b);
	r = caller_wait(&b.c,
			caller_post(&b.c, WATCH, GRPC, "\0\0\0\0\0", 5, NULL));
	CHECK_INT(b.sent, 16);
	CHECK_INT(b.w.cancels, 1);
	CHECK_STR(r->grpc_status, "8");
	CHECK_INT(messages(&r->body), 16);
	bench_close(&b);
}

TEST(a_reader_that_stalls_is_reset)
{
	struct bench b;
	struct reply *r;
	int32_t id;

	bench_open(&b, (struct server_opts){.idle_ms = 50});
	caller_close(&b.c);
	caller_open(&b.c, &b.w, 100, true);
	server_handle(b.w.server, RPC_GATEWAY_WATCH_NODES, begin_to_pour, &b);
	id = caller_post(&b.c, WATCH, GRPC, "\0\0\0\0\0", 5, NULL);
	r = caller_wait(&b.c, id);
	CHECK_INT(r->code, NGHTTP2_CANCEL);
	CHECK_INT(b.w.cancels, 1);
	CALLER_UNTIL(&b.c, b.c.gone);
	CHECK(b.c.goaway);
	bench_close(&b);
}

TEST(more_streams_than_the_bound_are_refused)
{
	int refused = 0, kept;
	struct bench b;

	bench_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, keep_all, &b);
	for (int i = 0; i < 1010; i++)
		caller_beat(&b.c, i, NULL);
	CALLER_UNTIL(&b.c, b.n_kept == 1000 && b.c.closed == 10);
	for (int i = 0; i < 1010; i++)
		refused += b.c.replies[i].code == NGHTTP2_REFUSED_STREAM;
	CHECK_INT(refused, 10);
	kept = b.n_kept;
	for (int i = 0; i < kept; i++)
		answer(b.kept[i], i);
	CALLER_UNTIL(&b.c, b.c.closed == 1010);
	bench_close(&b);
}

TEST(heads_are_bounded_as_those_of_http1)
{
	const char *more[2 * 101 + 1] = {0};
	char *long_value = mem_zero(1, 20001);
	const char *one[] = {"x-long", long_value, NULL};
	struct bench b;
	struct reply *r;

	memset(long_value, 'x', 20000);
	for (int i = 0; i < 101; i++) {
		more[2 * i] = "x-many";
		more[2 * i + 1] = "y";
	}
	bench_open(&b, (struct server_opts){0});
	r = caller_wait(&b.c, caller_get(&b.c, "GET", "/healthz", more));
	CHECK_INT(r->status, 431);
	r = caller_wait(&b.c, caller_get(&b.c, "GET", "/healthz", one));
	CHECK_INT(r->status, 431);
	r = caller_wait(&b.c, caller_get(&b.c, "GET", "/healthz", more + 4));
	CHECK_INT(r->status, 200);
	r = caller_wait(&b.c, caller_get(&b.c, "GET", "http://a/", NULL));
	CHECK(r->status == 400 || r->code);
	bench_close(&b);
	free(long_value);
}

TEST(a_message_above_the_bound_is_refused_on_http2)
{
	struct bench b;
	struct reply *r;
	char *big = mem_zero(1, 5000);

	bench_open(&b, (struct server_opts){.max_message = 1000});
	r = caller_wait(&b.c,
			caller_post(&b.c, HEARTBEAT, GRPC, big, 5000, NULL));
	CHECK_STR(r->grpc_status, "8");
	CHECK_HAS(r->message, "max-message");
	r = caller_wait(&b.c, caller_beat(&b.c, 1, NULL));
	CHECK_STR(r->grpc_status, "0");
	free(big);
	bench_close(&b);
}

TEST(a_large_request_arrives_whole)
{
	enum { LEN = 3 << 20 };
	char *big = mem_zero(1, LEN + 20);
	struct bench b;
	struct reply *r;

	bench_open(&b, (struct server_opts){0});
	memset(big, ' ', LEN);
	memcpy(big + LEN, "{\"nodeId\":6}", 12);
	r = caller_wait(
		&b.c, caller_post(&b.c, HEARTBEAT, JSON, big, LEN + 12, NULL));
	CHECK_INT(r->status, 200);
	CHECK_INT(b.w.body, LEN + 12);
	CHECK(b.w.body_us > 0);
	free(big);
	bench_close(&b);
}

TEST(web_pages_and_other_names_are_refused_on_http2)
{
	static const char *const page[] = {"origin", "http://evil", NULL};
	static const char *const name[] = {":authority", "evil:80", NULL};
	struct bench b;

	bench_open(&b, (struct server_opts){0});
	CHECK_INT(caller_wait(&b.c, caller_beat(&b.c, 1, page))->status, 403);
	CHECK_INT(caller_wait(&b.c, caller_beat(&b.c, 1, name))->status, 403);
	CHECK_INT(b.w.calls, 0);
	bench_close(&b);
}

TEST(a_request_that_does_not_arrive_is_cut)
{
	struct bench b;
	struct reply *r;

	bench_open(&b, (struct server_opts){.receive_ms = 30});
	r = caller_wait(
		&b.c, caller_post(&b.c, HEARTBEAT, GRPC, NULL, SIZE_MAX, NULL));
	CHECK_INT(r->status, 408);
	CHECK_INT(r->code, 0);
	CHECK(!b.c.gone);
	r = caller_wait(&b.c, caller_beat(&b.c, 1, NULL));
	CHECK_STR(r->grpc_status, "0");
	bench_close(&b);
}

TEST(what_only_begins_as_http2_is_closed)
{
	struct bench b;
	char *got;
	int fd;

	bench_open(&b, (struct server_opts){0});
	fd = dial(&b.w);
	say(fd, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n and so on");
	free(hear_all(&b.w, fd));
	close(fd);
	fd = dial(&b.w);
	say(fd, "PRI * HTTP/1.1\r\n\r\n");
	got = hear_all(&b.w, fd);
	CHECK_HAS(got, "HTTP/1.1 400 ");
	free(got);
	close(fd);
	bench_close(&b);
}

TEST(first_bytes_may_come_one_by_one)
{
	static const char first[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				    "\0\0\0\4\0\0\0\0\0";
	struct bench b;
	struct buf got = BUF_INIT(0);
	int fd;

	bench_open(&b, (struct server_opts){0});
	fd = dial(&b.w);
	for (size_t i = 0; i < sizeof(first) - 1; i++) {
		say_bytes(fd, first + i, 1);
		world_turn(&b.w);
	}
	while (got.len < 9)
		CHECK(hear_more(&b.w, fd, &got));
	CHECK_INT(got.p[3], NGHTTP2_SETTINGS);
	close(fd);
	fd = dial(&b.w);
	say(fd, "P");
	world_turn(&b.w);
	say(fd, "OS");
	world_turn(&b.w);
	say(fd, "T / HTTP/1.1\r\nHost: evil\r\nContent-Length: 0\r\n\r\n");
	hear_part(&b.w, fd, "HTTP/1.1 403 ");
	close(fd);
	buf_release(&got);
	bench_close(&b);
}

TEST(first_bytes_that_do_not_go_on_are_cut)
{
	struct bench b;
	char *got;
	int fd;

	bench_open(&b, (struct server_opts){.receive_ms = 300});
	fd = dial(&b.w);
	say(fd, "PRI * H");
	got = hear_all(&b.w, fd);
	CHECK_HAS(got, "HTTP/1.1 408 ");
	free(got);
	close(fd);
	bench_close(&b);
}

/* What a client sends for a few calls, before it has heard anything. */
static void record(struct bench *b, struct buf *out)
{
	const uint8_t *p;
	ssize_t n;

	for (int i = 0; i < 4; i++)
		caller_beat(&b->c, i, NULL);
	caller_get(&b->c, "GET", "/healthz", NULL);
	nghttp2_submit_ping(b->c.session, 0, NULL);
	caller_post(&b->c, WATCH, GRPC, "\0\0\0\0\0", 5, NULL);
	while ((n = nghttp2_session_mem_send(b->c.session, &p)) > 0)
		buf_put(out, p, (size_t)n);
}

TEST(bytes_that_were_bent_do_no_harm)
{
	enum { MAGIC = 24, ROUNDS = 300 };
	struct buf sent = BUF_INIT(0), got = BUF_INIT(0);
	struct bench b;

	bench_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_WATCH_NODES, send_events, &b);
	record(&b, &sent);
	srandom(7);
	for (int i = 0; i < ROUNDS; i++) {
		char *bent = mem_dup(sent.p, sent.len);
		int fd = dial(&b.w);

		for (int k = 0; k <= i % 3; k++)
			bent[MAGIC + random() % (long)(sent.len - MAGIC)] ^=
				(char)(1 << random() % 8);
		say_bytes(fd, bent, sent.len);
		shutdown(fd, SHUT_WR);
		while (hear_more(&b.w, fd, &got))
			;
		buf_reset(&got);
		close(fd);
		free(bent);
	}
	caller_close(&b.c);
	caller_open(&b.c, &b.w, WINDOW, false);
	CHECK_STR(caller_wait(&b.c, caller_beat(&b.c, 1, NULL))->grpc_status,
		  "0");
	buf_release(&sent);
	buf_release(&got);
	bench_close(&b);
}

TEST(a_flood_of_pings_or_resets_ends_the_connection)
{
	struct bench b;

	bench_open(&b, (struct server_opts){0});
	for (int i = 0; i < 1500; i++)
		nghttp2_submit_ping(b.c.session, 0, NULL);
	CALLER_UNTIL(&b.c, b.c.gone);
	CHECK_INT(b.c.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
	caller_close(&b.c);
	caller_open(&b.c, &b.w, WINDOW, false);
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, keep_all, &b);
	for (int i = 0; i < 1300 && !b.c.gone; i++) {
		int32_t id = caller_beat(&b.c, 1, NULL);

		b.n_kept = 0;
		CALLER_UNTIL(&b.c, b.n_kept || b.c.gone);
		nghttp2_submit_rst_stream(b.c.session, 0, id, NGHTTP2_CANCEL);
	}
	CALLER_UNTIL(&b.c, b.c.gone);
	CHECK(b.c.goaway);
	CHECK(b.w.cancels >= 1000);
	bench_close(&b);
}

TEST(closing_says_goaway_and_answers_what_is_held)
{
	struct bench b;
	struct reply *r;
	int32_t id;

	bench_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, keep_all, &b);
	id = caller_beat(&b.c, 1, NULL);
	CALLER_UNTIL(&b.c, b.n_kept);
	server_close(b.w.server, 1000);
	CHECK_INT(b.w.cancels, 1);
	CALLER_UNTIL(&b.c, b.c.gone);
	r = caller_reply(&b.c, id);
	CHECK(r->closed);
	CHECK_STR(r->grpc_status, "14");
	CHECK(b.c.goaway);
	CHECK_INT(b.c.goaway_code, NGHTTP2_NO_ERROR);
	caller_close(&b.c);
	world_close_rest(&b.w);
}
