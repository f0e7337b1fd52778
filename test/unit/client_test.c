#include "test.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/timer.h"
#include "peer.h"
#include "proto/gateway.pb-c.h"
#include "proto/node.pb-c.h"
#include "proto/trainer.pb-c.h"
#include "wire/client.h"
#include "wire/frames.h"

/* What every test has: a loop, a client, a peer, and what came back. */
struct bed {
	struct loop *loop;
	struct client *c;
	struct peer peer;
	struct err err; /* of the last call */
	char status[64];
	int done, want, each; /* calls done, to be done; messages seen */
	struct rpc *rpc, *other;
	uint64_t bytes;
	int64_t us;
};

static void bed_open(struct bed *b, peer_fn *on_request)
{
	memset(b, 0, sizeof(*b));
	CHECK(!loop_open(&b->loop, NULL));
	CHECK(!client_open(&b->c, b->loop, NULL));
	peer_open(&b->peer, b->loop, on_request);
	b->peer.arg = b;
}

static void bed_close(struct bed *b)
{
	client_close(b->c);
	peer_close(&b->peer);
	loop_close(b->loop);
}

static void on_done(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	const HeartbeatResponse *answer = (const HeartbeatResponse *)out;
	struct bed *b = arg;

	b->err = err ? *err : (struct err){0};
	if (out && out->descriptor == &heartbeat_response__descriptor)
		snprintf(b->status, sizeof(b->status), "%s", answer->status);
	client_timing(b->c, &b->bytes, &b->us);
	b->rpc = NULL;
	if (++b->done == b->want)
		loop_stop(b->loop);
}

static void on_each(const ProtobufCMessage *out, void *arg)
{
	struct bed *b = arg;

	CHECK_INT(((const NodeEvent *)out)->registry_version, b->each);
	b->each++;
}

static void beat(struct bed *b, const struct rpc_opts *opts)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;

	in.node_id = 7;
	b->rpc = client_call(b->c, b->peer.url, RPC_GATEWAY_HEARTBEAT, &in.base,
			     opts, on_done, b);
}

static const struct rpc_opts soon = {.timeout_ms = 5000};

static void run(struct bed *b, int calls)
{
	b->want = b->done + calls;
	loop_run(b->loop);
	CHECK_INT(b->done, b->want);
}

static void watch(struct bed *b, const struct rpc_opts *opts)
{
	WatchNodesRequest in = WATCH_NODES_REQUEST__INIT;

	b->rpc = client_stream(b->c, b->peer.url, RPC_GATEWAY_WATCH_NODES,
			       &in.base, opts, on_each, on_done, b);
}

static void put_beat(struct buf *body)
{
	HeartbeatResponse msg = HEARTBEAT_RESPONSE__INIT;

	msg.status = (char *)"received";
	peer_frame(body, &msg.base);
}

static void put_event(struct buf *body, int version)
{
	NodeEvent msg = NODE_EVENT__INIT;

	msg.registry_version = version;
	msg.kind = (char *)"joined";
	peer_frame(body, &msg.base);
}

static void answer_well(struct peer_conn *c, int n)
{
	struct buf body = BUF_INIT(0);

	(void)n;
	put_beat(&body);
	peer_trailers(&body, "grpc-status: 0\r\n");
	peer_answer(c, &body);
	buf_release(&body);
}

TEST(a_call_is_answered_and_the_connection_kept)
{
	struct bed b;

	bed_open(&b, answer_well);
	for (int i = 0; i < 5; i++) {
		beat(&b, &soon);
		run(&b, 1);
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
	answer_well(c, n);
}

TEST(the_request_has_its_headers_and_one_frame)
{
	struct rpc_opts opts = soon;
	struct bed b;

	bed_open(&b, check_request);
	beat(&b, &opts);
	run(&b, 1);
	opts.forwarded = true;
	beat(&b, &opts);
	run(&b, 1);
	bed_close(&b);
}

static void answer_none(struct peer_conn *c, int n)
{
	(void)c, (void)n;
}

TEST(many_calls_run_at_once)
{
	struct bed b;

	bed_open(&b, answer_well);
	for (int i = 0; i < 200; i++)
		beat(&b, &soon);
	run(&b, 200);
	CHECK_STR(b.err.msg, "");
	bed_close(&b);
}

TEST(who_is_not_there_is_unavailable)
{
	struct bed b;

	bed_open(&b, answer_none);
	uv_close((uv_handle_t *)&b.peer.listener, NULL);
	beat(&b, &soon);
	run(&b, 1);
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
					  "https://127.0.0.1:1",
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
		CHECK_INT(client_now(bad[i], RPC_GATEWAY_HEARTBEAT, &in.base,
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
	beat(&b, &opts);
	run(&b, 1);
	CHECK_INT(b.err.code, ERR_DEADLINE_EXCEEDED);
	CHECK_HAS(b.err.msg, "no answer from http://127.0.0.1:");
	CHECK_HAS(b.err.msg, "within 0.1 s");
	bed_close(&b);
}

/* Each way to answer badly, and what is made of it. */
static const struct {
	const char *answer; /* sent before the connection is closed */
	size_t len;
	int code;
	const char *why;
} odd[] = {
#define ODD(text, code, why)                            \
	{                                               \
		text, sizeof(text) - 1, ERR_##code, why \
	}
#define OK200 "HTTP/1.1 200 OK\r\ncontent-type: application/grpc-web+proto\r\n"
	ODD("", UNAVAILABLE, "lost the connection to http://127.0.0.1:"),
	ODD("HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nno page\r\n",
	    UNKNOWN, "is not a gfl server: HTTP 404 no page"),
	ODD("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", UNAVAILABLE,
	    "refuses the call: HTTP 503"),
	ODD("HTTP/1.1 403 No\r\ncontent-length: 4\r\n\r\nHost",
	    PERMISSION_DENIED, "refuses the call: HTTP 403 Host"),
	ODD("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n"
	    "content-length: 4\r\n\r\n<ht>",
	    UNKNOWN, "is not a gfl server: it answers with text/html"),
	ODD("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", UNKNOWN,
	    "no content type"),
	ODD("SSH-2.0-OpenSSH_9.2\r\n", UNAVAILABLE, "HTTP/0.9"),
	ODD(OK200 "content-length: 0\r\n\r\n", UNAVAILABLE,
	    "ended its answer too early"),
	ODD(OK200 "content-length: 5\r\n\r\n\0\0\0\0\0", UNAVAILABLE,
	    "ended its answer too early"),
	ODD(OK200 "content-length: 50\r\n\r\n\0\0\0\0\0", UNAVAILABLE,
	    "lost the connection"),
	ODD(OK200 "content-length: 20\r\n\r\n\x80\0\0\0\x0fgrpc-status: 0\n",
	    INTERNAL, "without a message"),
	ODD(OK200 "content-length: 25\r\n\r\n\0\0\0\0\0\0\0\0\0\0"
		  "\x80\0\0\0\x0fgrpc-status: 0\n",
	    INTERNAL, "more than one message"),
	ODD(OK200 "content-length: 7\r\n\r\n\0\0\0\0\2\xff\xff", INTERNAL,
	    "a bad HeartbeatResponse"),
	ODD(OK200 "content-length: 5\r\n\r\n\1\0\0\0\0", UNIMPLEMENTED,
	    "compressed"),
	ODD(OK200 "content-length: 5\r\n\r\n\x42\0\0\0\0", INTERNAL, "0x42"),
	ODD(OK200 "content-length: 5\r\n\r\n\0\xff\0\0\0", RESOURCE_EXHAUSTED,
	    "more than 67108864"),
	ODD(OK200 "content-length: 5\r\n\r\n\x80\0\xff\0\0", RESOURCE_EXHAUSTED,
	    "more than 16384"),
	ODD(OK200 "grpc-status: 5\r\ngrpc-message: no %22it%22\r\n"
		  "content-length: 0\r\n\r\n",
	    NOT_FOUND, "no \"it\""),
#undef ODD
};

static void answer_odd(struct peer_conn *c, int n)
{
	peer_send(c, odd[n].answer, odd[n].len);
	peer_hang_up(c);
}

TEST(odd_answers_become_errors)
{
	struct bed b;

	bed_open(&b, answer_odd);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		beat(&b, &soon);
		run(&b, 1);
		if (b.err.code != (enum err_code)odd[i].code)
			test_fail(__FILE__, __LINE__, "%zu: %s: %s", i,
				  err_name(b.err.code), b.err.msg);
		CHECK_HAS(b.err.msg, odd[i].why);
	}
	bed_close(&b);
}

static void answer_error(struct peer_conn *c, int n)
{
	struct buf body = BUF_INIT(0);

	(void)n;
	peer_trailers(&body, "GRPC-Status:9\r\nx: y\r\n"
			     "grpc-message: not %E2%82%AC%0Anow 5%\r\n");
	peer_answer(c, &body);
	buf_release(&body);
}

TEST(a_status_arrives_decoded_and_is_one_line)
{
	struct bed b;

	bed_open(&b, answer_error);
	beat(&b, &soon);
	run(&b, 1);
	CHECK_INT(b.err.code, ERR_FAILED_PRECONDITION);
	CHECK_STR(b.err.msg, "not \xe2\x82\xac?now 5%");
	bed_close(&b);
}

/* The head, then a chunk per byte. */
static void answer_in_pieces(struct peer_conn *c, int n)
{
	struct buf body = BUF_INIT(0);

	(void)n;
	peer_begin(c);
	for (int i = 0; i < 3; i++)
		put_event(&body, i);
	peer_trailers(&body, "grpc-status: 0\r\n");
	for (size_t i = 0; i < body.len; i++)
		peer_chunk(c, body.p + i, 1);
	peer_text(c, "0\r\n\r\n");
	buf_release(&body);
}

TEST(a_stream_arrives_whole_however_it_is_cut)
{
	struct bed b;

	bed_open(&b, answer_in_pieces);
	watch(&b, &soon);
	run(&b, 1);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.each, 3);
	b.each = 0;
	watch(&b, &soon);
	run(&b, 1);
	CHECK_INT(b.peer.accepted, 1);
	bed_close(&b);
}

static void answer_and_die(struct peer_conn *c, int n)
{
	struct buf body = BUF_INIT(0);

	(void)n;
	peer_begin(c);
	put_event(&body, 0);
	peer_chunk(c, body.p, body.len);
	buf_release(&body);
	peer_hang_up(c);
}

TEST(a_stream_whose_peer_dies_ends_unavailable)
{
	struct rpc_opts opts = {.timeout_ms = 0, .retry = true};
	struct bed b;

	bed_open(&b, answer_and_die);
	watch(&b, &opts);
	run(&b, 1);
	CHECK_INT(b.each, 1);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	bed_close(&b);
}

static void fail_twice(struct peer_conn *c, int n)
{
	if (n < 2)
		peer_hang_up(c);
	else
		answer_well(c, n);
}

TEST(what_may_be_repeated_is_tried_again)
{
	struct rpc_opts opts = {.timeout_ms = 5000, .retry = true};
	struct bed b;

	bed_open(&b, fail_twice);
	beat(&b, &opts);
	run(&b, 1);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.peer.requests, 3);
	bed_close(&b);
}

static void fail_always(struct peer_conn *c, int n)
{
	(void)n;
	peer_hang_up(c);
}

TEST(trying_again_ends_before_the_deadline)
{
	struct rpc_opts opts = {.timeout_ms = 300, .retry = true};
	int64_t began_ms = clock_ms();
	struct bed b;

	bed_open(&b, fail_always);
	beat(&b, &opts);
	run(&b, 1);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK(b.peer.requests >= 2);
	CHECK(clock_ms() - began_ms <= 300);
	bed_close(&b);
}

TEST(what_may_not_be_repeated_is_not)
{
	Gfl__V1__TransferRequest in = GFL__V1__TRANSFER_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = 5000, .retry = true};
	struct bed b;

	bed_open(&b, fail_always);
	b.rpc = client_call(b.c, b.peer.url, RPC_NODE_TRANSFER, &in.base, &opts,
			    on_done, &b);
	run(&b, 1);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK_INT(b.peer.requests, 1);
	bed_close(&b);
}

static void cancel_it(struct peer_conn *c, int n)
{
	struct bed *b = c->peer->arg;

	(void)n;
	client_cancel(b->rpc);
	b->rpc = NULL;
	beat(b, &soon);
	c->peer->on_request = answer_well;
}

TEST(a_cancelled_call_is_silent_and_its_connection_closed)
{
	struct bed b;

	bed_open(&b, cancel_it);
	beat(&b, &soon);
	run(&b, 1);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.peer.accepted, 2);
	CHECK_INT(b.peer.closed, 1);
	bed_close(&b);
}

static void each_cancels(const ProtobufCMessage *out, void *arg)
{
	struct bed *b = arg;

	(void)out;
	b->each++;
	client_cancel(b->rpc);
	client_cancel(b->other);
	beat(b, &soon);
}

static void answer_three_or_well(struct peer_conn *c, int n)
{
	if (n == 1)
		answer_in_pieces(c, n);
	else if (n == 2)
		answer_well(c, n);
}

TEST(a_callback_may_cancel_itself_and_others_and_call_anew)
{
	WatchNodesRequest in = WATCH_NODES_REQUEST__INIT;
	struct bed b;

	bed_open(&b, answer_three_or_well);
	beat(&b, &soon);
	b.other = b.rpc;
	b.rpc = client_stream(b.c, b.peer.url, RPC_GATEWAY_WATCH_NODES,
			      &in.base, &soon, each_cancels, on_done, &b);
	run(&b, 1);
	CHECK_INT(b.each, 1);
	CHECK_STR(b.status, "received");
	bed_close(&b);
}

static void done_cancels(const struct err *err, const ProtobufCMessage *out,
			 void *arg)
{
	struct bed *b = arg;

	client_cancel(b->rpc);
	on_done(err, out, arg);
}

TEST(done_may_cancel_what_is_done)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;
	struct bed b;

	bed_open(&b, answer_well);
	b.rpc = client_call(b.c, b.peer.url, RPC_GATEWAY_HEARTBEAT, &in.base,
			    &soon, done_cancels, &b);
	run(&b, 1);
	b.rpc = client_call(b.c, "nowhere", RPC_GATEWAY_HEARTBEAT, &in.base,
			    &soon, done_cancels, &b);
	run(&b, 1);
	CHECK_INT(b.err.code, ERR_INVALID_ARGUMENT);
	bed_close(&b);
}

static void on_shut(uv_shutdown_t *req, int status)
{
	(void)status;
	free(req);
}

static void answer_and_leave(struct peer_conn *c, int n)
{
	answer_well(c, n);
	if (n == 0)
		uv_shutdown(mem_zero(1, sizeof(uv_shutdown_t)),
			    (uv_stream_t *)&c->tcp, on_shut);
}

TEST(a_kept_connection_that_has_died_is_no_error)
{
	struct bed b;

	bed_open(&b, answer_and_leave);
	for (int i = 0; i < 3; i++) {
		beat(&b, &soon);
		run(&b, 1);
		CHECK_STR(b.err.msg, "");
	}
	CHECK_INT(b.peer.accepted, 2);
	bed_close(&b);
}

TEST(a_host_may_be_a_name)
{
	struct bed b;
	char url[64];

	bed_open(&b, answer_well);
	snprintf(url, sizeof(url), "http://localhost%s/",
		 strrchr(b.peer.url, ':'));
	strcpy(b.peer.url, url);
	beat(&b, &soon);
	run(&b, 1);
	CHECK_STR(b.err.msg, "");
	bed_close(&b);
}

TEST(an_unknown_host_is_unavailable)
{
	struct bed b;

	bed_open(&b, answer_well);
	strcpy(b.peer.url, "http://no.such.host.invalid:80");
	beat(&b, &soon);
	run(&b, 1);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK_STR(b.err.msg, "cannot reach http://no.such.host.invalid:80: "
			     "unknown host");
	bed_close(&b);
}

static void stop_loop(struct peer_conn *c, int n)
{
	if (n == 9)
		loop_stop(c->peer->loop);
}

TEST(closing_ends_what_is_under_way)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;
	struct bed b;

	bed_open(&b, stop_loop);
	for (int i = 0; i < 10; i++)
		beat(&b, &soon);
	loop_run(b.loop);
	client_call(b.c, "nowhere", RPC_GATEWAY_HEARTBEAT, &in.base, &soon,
		    on_done, &b);
	bed_close(&b);
	CHECK_INT(b.done, 0);
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
	client_call(b.c, b.peer.url, RPC_TRAINER_EXCHANGE, &in.base, &soon,
		    on_done, &b);
	run(&b, 1);
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
	answer_well(c, n);
}

TEST(a_call_leaves_from_the_address_asked_for)
{
	struct rpc_opts opts = {.timeout_ms = 5000, .bind = "127.0.0.9"};
	struct bed b;

	bed_open(&b, check_from);
	beat(&b, &opts);
	run(&b, 1);
	CHECK_STR(b.err.msg, "");
	opts.bind = "192.0.2.1";
	beat(&b, &opts);
	run(&b, 1);
	CHECK_HAS(b.err.msg, "cannot call from address 192.0.2.1");
	bed_close(&b);
}

TEST(frames_come_out_the_same_however_they_are_cut)
{
	struct buf whole = BUF_INIT(0);

	put_beat(&whole);
	put_beat(&whole);
	peer_trailers(&whole, "grpc-status: 0\r\n");
	for (size_t cut = 0; cut <= whole.len; cut++) {
		struct frames f = {0};
		enum frames_step step = FRAMES_MORE;
		struct err err;
		const uint8_t *p;
		int messages = 0;
		size_t len;

		frames_add(&f, whole.p, cut);
		while ((step = frames_next(&f, &p, &len, &err)) ==
		       FRAMES_MESSAGE)
			messages++;
		if (step == FRAMES_MORE)
			frames_add(&f, whole.p + cut, whole.len - cut);
		while (step != FRAMES_END &&
		       (step = frames_next(&f, &p, &len, &err)) ==
			       FRAMES_MESSAGE)
			messages++;
		CHECK_INT(step, FRAMES_END);
		CHECK_INT(err.code, 0);
		CHECK_INT(messages, 2);
		frames_release(&f);
	}
	buf_release(&whole);
}
