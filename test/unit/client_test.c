#include "test.h"

#include "base/mem.h"
#include "bed.h"
#include "proto/gateway.pb-c.h"
#include "proto/trainer.pb-c.h"

TEST(a_call_is_answered_and_the_connection_kept)
{
	struct bed b;

	bed_open(&b, bed_answer_well);
	for (int i = 0; i < 5; i++) {
		bed_beat(&b, &bed_soon);
		bed_run(&b, 1);
		CHECK_STR(b.err.msg, "");
		CHECK_STR(b.status, "received");
		CHECK_INT(b.bytes, 5 + 10 + 5 + 16);
	}
	CHECK_INT(b.peer.accepted, 1);
	bed_close(&b);
}

static void check_request(struct peer_conn *c, int n)
{
	const char *in = c->in.p, *body = strstr(in, "\r\n\r\n") + 4;

	CHECK(!strncmp(in, "POST /GatewayService/Heartbeat HTTP/1.1\r\n", 41));
	CHECK_HAS(in, "\r\ncontent-type: application/grpc-web+proto\r\n");
	CHECK_HAS(in, "\r\ngrpc-timeout: ");
	CHECK_INT(strstr(in, "gfl-forwarded: 1\r\n") != NULL, n == 1);
	CHECK(!strcasestr(in, "expect"));
	CHECK(!memcmp(body, "\0\0\0\0\2\x08\x07", 7));
	bed_answer_well(c, n);
}

TEST(the_request_has_its_headers_and_one_frame)
{
	struct rpc_opts opts = bed_soon;
	struct bed b;

	bed_open(&b, check_request);
	bed_beat(&b, &opts);
	bed_run(&b, 1);
	opts.forwarded = true;
	bed_beat(&b, &opts);
	bed_run(&b, 1);
	bed_close(&b);
}

static void answer_none(struct peer_conn *c, int n)
{
	(void)c, (void)n;
}

TEST(many_calls_run_at_once)
{
	struct bed b;

	bed_open(&b, bed_answer_well);
	for (int i = 0; i < 200; i++)
		bed_beat(&b, &bed_soon);
	bed_run(&b, 200);
	CHECK_STR(b.err.msg, "");
	bed_close(&b);
}

TEST(who_is_not_there_is_unavailable)
{
	struct bed b;

	bed_open(&b, answer_none);
	uv_close((uv_handle_t *)&b.peer.listener, NULL);
	bed_beat(&b, &bed_soon);
	bed_run(&b, 1);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK_HAS(b.err.msg, "cannot reach http://127.0.0.1:");
	CHECK_HAS(b.err.msg, ": Connection refused");
	client_close(b.c);
	loop_close(b.loop);
}

TEST(a_url_of_another_form_is_refused)
{
	static const char *const bad[] = {"",
					  "127.0.0.1:1",
					  "ftp://127.0.0.1:1",
					  "http://",
					  "http:///",
					  "http://:80",
					  "http://h:0",
					  "http://h:65536",
					  "http://h:",
					  "http://h:1x",
					  "http://u@h:1",
					  "http://h/path",
					  "http://h?q",
					  "http://h:1//",
					  "http://h :1",
					  "http://[::1",
					  "http://[]:1",
					  "http://h:1\r\nx",
					  "http://h:99999999999999"};
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;
	struct err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_INT(client_now(NULL, bad[i], RPC_GATEWAY_HEARTBEAT, &in.base,
				     1000, NULL, &err),
			  ERR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, "is not of the form http://HOST:PORT");
	}
}

TEST(a_deadline_that_passes_names_the_peer)
{
	struct rpc_opts opts = {.timeout_ms = 100};
	struct bed b;

	bed_open(&b, answer_none);
	bed_beat(&b, &opts);
	bed_run(&b, 1);
	CHECK_INT(b.err.code, ERR_DEADLINE_EXCEEDED);
	CHECK_HAS(b.err.msg, "no answer from http://127.0.0.1:");
	CHECK_HAS(b.err.msg, "within 0.1 s");
	bed_close(&b);
}

static void on_shut(uv_shutdown_t *req, int status)
{
	(void)status;
	free(req);
}

static void answer_and_leave(struct peer_conn *c, int n)
{
	bed_answer_well(c, n);
	if (n == 0)
		uv_shutdown(mem_zero(1, sizeof(uv_shutdown_t)),
			    (uv_stream_t *)&c->tcp, on_shut);
}

TEST(a_kept_connection_that_has_died_is_no_error)
{
	struct bed b;

	bed_open(&b, answer_and_leave);
	for (int i = 0; i < 3; i++) {
		bed_beat(&b, &bed_soon);
		bed_run(&b, 1);
		CHECK_STR(b.err.msg, "");
	}
	CHECK_INT(b.peer.accepted, 2);
	bed_close(&b);
}

TEST(a_host_may_be_a_name)
{
	struct bed b;
	char url[64];

	bed_open(&b, bed_answer_well);
	snprintf(url, sizeof(url), "http://localhost%s/",
		 strrchr(b.peer.url, ':'));
	strcpy(b.peer.url, url);
	bed_beat(&b, &bed_soon);
	bed_run(&b, 1);
	CHECK_STR(b.err.msg, "");
	bed_close(&b);
}

TEST(an_unknown_host_is_unavailable)
{
	struct bed b;

	bed_open(&b, bed_answer_well);
	strcpy(b.peer.url, "http://no.such.host.invalid:80");
	bed_beat(&b, &bed_soon);
	bed_run(&b, 1);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK_STR(b.err.msg, "cannot reach http://no.such.host.invalid:80: "
			     "unknown host");
	bed_close(&b);
}

static void answer_exchange(struct peer_conn *c, int n)
{
	Gfl__V1__ExchangeResponse msg = GFL__V1__EXCHANGE_RESPONSE__INIT;
	struct buf body = BUF_INIT(0);

	(void)n;
	msg.values.len = 10 << 20;
	msg.values.data = mem_zero(msg.values.len, 1);
	memset(msg.values.data, 'v', msg.values.len);
	peer_frame(&body, &msg.base);
	peer_trailers(&body, "grpc-status: 0\r\n");
	peer_answer(c, &body);
	free(msg.values.data);
	buf_release(&body);
}

TEST(ten_megabytes_travel_both_ways)
{
	Gfl__V1__ExchangeRequest in = GFL__V1__EXCHANGE_REQUEST__INIT;
	struct bed b;

	bed_open(&b, answer_exchange);
	in.values.len = 10 << 20;
	in.values.data = mem_zero(in.values.len, 1);
	client_call(b.c, b.peer.url, RPC_TRAINER_EXCHANGE, &in.base, &bed_soon,
		    bed_done, &b);
	bed_run(&b, 1);
	CHECK_STR(b.err.msg, "");
	CHECK(b.bytes > 10 << 20);
	CHECK(b.us > 0);
	free(in.values.data);
	bed_close(&b);
}

static void check_from(struct peer_conn *c, int n)
{
	struct sockaddr_in from;
	int len = sizeof(from);
	char text[32];

	uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&from, &len);
	uv_ip4_name(&from, text, sizeof(text));
	CHECK_STR(text, "127.0.0.9");
	bed_answer_well(c, n);
}

TEST(a_call_leaves_from_the_address_asked_for)
{
	struct rpc_opts opts = {.timeout_ms = 5000};
	struct bed b;

	bed_open(&b, check_from);
	client_bind(b.c, "127.0.0.9");
	bed_beat(&b, &opts);
	bed_run(&b, 1);
	CHECK_STR(b.err.msg, "");
	client_bind(b.c, "192.0.2.1");
	bed_beat(&b, &opts);
	bed_run(&b, 1);
	CHECK_HAS(b.err.msg, "cannot call from address 192.0.2.1");
	bed_close(&b);
}

/* All at once, when the last of them is there. */
static void answer_together(struct peer_conn *c, int n)
{
	struct peer_conn *each;

	if (n == 299)
		LIST_FOREACH (each, &c->peer->conns, all)
			bed_answer_well(each, n);
}

TEST(kept_connections_are_bounded)
{
	struct bed b;

	bed_open(&b, answer_together);
	for (int i = 0; i < 300; i++)
		bed_beat(&b, &bed_soon);
	bed_run(&b, 300);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.peer.accepted, 300);
	while (b.peer.closed < 300 - 256)
		uv_run(loop_uv(b.loop), UV_RUN_ONCE);
	CHECK_INT(b.peer.closed, 300 - 256);
	bed_close(&b);
}
