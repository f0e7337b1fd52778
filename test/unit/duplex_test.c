/* Streams of our client against our server, in one loop. */
#include "test.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/trainer.pb-c.h"
#include "proxy.h"
#include "wire/duplex.h"
#include "world.h"

static const struct rpc_method up_method = {
	.path = "/test/Up",
	.in = &gfl__v1__probe_request__descriptor,
	.out = &gfl__v1__probe_response__descriptor,
	.kind = RPC_CLIENT_STREAM,
};

static const struct rpc_method both_method = {
	.path = "/test/Both",
	.in = &gfl__v1__probe_request__descriptor,
	.out = &gfl__v1__probe_request__descriptor,
	.kind = RPC_BIDI,
};

/* What either side saw. */
struct bed {
	struct world w;
	struct proxy proxy;
	char url[80];
	struct duplex *d;
	struct call *call;
	int64_t heard, sum, ends, cancels; /* at the server */
	int64_t got, got_sum;              /* at the client */
	int64_t drains, sent, to_send, answer_at;
	size_t payload;
	bool done;
	double bytes_per_s;
	struct err err;
};

/* ---- the server's side ---- */

static void on_cancel(struct call *call, void *arg)
{
	struct bed *b = arg;

	CHECK(call == b->call);
	b->call = NULL;
	b->cancels++;
}

static void answer_up(struct bed *b)
{
	Gfl__V1__ProbeResponse out = GFL__V1__PROBE_RESPONSE__INIT;
	struct call *call = b->call;

	out.bytes_per_s = (double)b->sum;
	b->call = NULL;
	call_reply(call, &out.base);
}

static void on_up(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	struct bed *b = arg;

	CHECK(call == b->call);
	if (msg) {
		b->heard++;
		b->sum += ((const Gfl__V1__ProbeRequest *)msg)->from;
	} else {
		b->ends++;
	}
	if (!msg || b->heard == b->answer_at)
		answer_up(b);
}

static void serve_up(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct bed *b = arg;

	(void)in;
	b->call = call;
	call_on_message(call, on_up, b);
	call_on_cancel(call, on_cancel, b);
}

static void echo(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	struct bed *b = arg;

	if (msg) {
		b->heard++;
		call_send(call, msg);
		return;
	}
	b->ends++;
	b->call = NULL;
	call_end(call);
}

static void serve_both(struct call *call, const ProtobufCMessage *in, void *arg)
{
	serve_up(call, in, arg);
	call_on_message(call, echo, arg);
}

/* ---- the client's ---- */

static void on_each(const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__ProbeRequest *m = (const Gfl__V1__ProbeRequest *)msg;
	struct bed *b = arg;

	b->got++;
	b->got_sum += m->from;
	CHECK_INT(m->payload.len, b->payload);
}

static void on_done(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct bed *b = arg;

	CHECK(!b->done);
	b->done = true;
	b->d = NULL;
	b->err = err ? *err : (struct err){0};
	if (out)
		b->bytes_per_s =
			((const Gfl__V1__ProbeResponse *)out)->bytes_per_s;
}

static bool send_one(struct bed *b, int64_t number)
{
	Gfl__V1__ProbeRequest m = GFL__V1__PROBE_REQUEST__INIT;
	static uint8_t bytes[1 << 20];

	m.from = number;
	m.payload.data = bytes;
	m.payload.len = b->payload;
	return duplex_send(b->d, &m.base);
}

/* All that is to be sent, as fast as the queue takes it. */
static void send_more(void *arg)
{
	struct bed *b = arg;

	b->drains++;
	while (b->sent < b->to_send && send_one(b, b->sent + 1))
		b->sent++;
	if (b->sent == b->to_send) {
		duplex_on_drain(b->d, NULL, NULL);
		duplex_finish(b->d);
	}
}

static void bed_open(struct bed *b)
{
	struct server_opts opts = {.listen = "127.0.0.1:0"};

	*b = (struct bed){0};
	CHECK(!loop_open(&b->w.loop, NULL));
	proxy_open(&b->proxy, b->w.loop);
	world_certs(&b->w, &opts);
	snprintf(b->url, sizeof(b->url), "http%s%s", opts.tls ? "s" : "",
		 b->proxy.url + 4);
	opts.advertise = b->url;
	CHECK(!server_open(&b->w.server, b->w.loop, &opts, NULL));
	b->proxy.to_port = server_port(b->w.server);
	server_handle_method(b->w.server, &up_method, serve_up, b);
	server_handle_method(b->w.server, &both_method, serve_both, b);
}

static void bed_close(struct bed *b)
{
	duplex_cancel(b->d);
	proxy_close(&b->proxy);
	world_close(&b->w);
}

static void call(struct bed *b, const char *url, const struct rpc_method *m,
		 int64_t timeout_ms)
{
	struct rpc_opts opts = {.timeout_ms = timeout_ms,
				.tls = b->w.client_tls};

	b->done = false;
	b->d = duplex_open(b->w.loop, url ? url : server_url(b->w.server), m,
			   &opts, m == &both_method ? on_each : NULL, on_done,
			   b);
}

static void call_up(struct bed *b)
{
	call(b, NULL, &up_method, 60000);
}

static void call_both(struct bed *b)
{
	call(b, NULL, &both_method, 60000);
}

TEST(a_client_stream_is_answered)
{
	struct bed b;

	bed_open(&b);
	call_up(&b);
	for (int i = 1; i <= 10; i++)
		CHECK(send_one(&b, i));
	duplex_finish(b.d);
	UNTIL(&b.w, b.done);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.bytes_per_s, 55);
	CHECK_INT(b.heard, 10);
	bed_close(&b);
}

TEST(a_client_stream_may_be_empty)
{
	struct bed b;

	bed_open(&b);
	call_up(&b);
	duplex_finish(b.d);
	UNTIL(&b.w, b.done);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.ends, 1);
	bed_close(&b);
}

TEST(both_sides_talk_in_turn)
{
	struct bed b;

	bed_open(&b);
	b.payload = 100;
	call_both(&b);
	for (int i = 1; i <= 50; i++) {
		CHECK(send_one(&b, i));
		UNTIL(&b.w, b.got == i);
	}
	duplex_finish(b.d);
	UNTIL(&b.w, b.done);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.got_sum, 50 * 51 / 2);
	bed_close(&b);
}

static void send_all(struct bed *b, int64_t n)
{
	b->to_send = n;
	duplex_on_drain(b->d, send_more, b);
	send_more(b);
}

TEST(a_hundred_thousand_messages_travel_both_ways)
{
	struct bed b;

	bed_open(&b);
	call_both(&b);
	send_all(&b, 100000);
	UNTIL(&b.w, b.done);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.got, 100000);
	CHECK_INT(b.got_sum, 5000050000);
	bed_close(&b);
}

TEST(the_queue_is_bounded_and_drains)
{
	struct bed b;

	bed_open(&b);
	b.payload = 1 << 20;
	call_up(&b);
	send_all(&b, 100);
	CHECK_INT(b.sent, 16);
	UNTIL(&b.w, b.done);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.heard, 100);
	CHECK(b.drains > 3);
	bed_close(&b);
}

TEST(a_slow_server_holds_its_client_back)
{
	struct bed b;

	bed_open(&b);
	b.payload = 1 << 20;
	call_up(&b);
	UNTIL(&b.w, b.call);
	call_pause(b.call);
	send_all(&b, 30);
	for (int i = 0; i < 200; i++)
		world_turn(&b.w);
	CHECK_INT(b.heard, 0);
	CHECK(duplex_queued(b.d) > 10 << 20);
	call_resume(b.call);
	UNTIL(&b.w, b.done);
	CHECK_INT(b.heard, 30);
	bed_close(&b);
}

TEST(a_slow_client_holds_its_server_back)
{
	struct bed b;

	bed_open(&b);
	b.payload = 1 << 18;
	call_both(&b);
	duplex_pause(b.d);
	send_all(&b, 60);
	for (int i = 0; i < 500; i++)
		world_turn(&b.w);
	CHECK_INT(b.got, 0);
	CHECK(b.heard < 60);
	duplex_resume(b.d);
	UNTIL(&b.w, b.done);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.got, 60);
	bed_close(&b);
}

TEST(a_server_may_answer_before_it_has_heard_all)
{
	struct bed b;

	bed_open(&b);
	b.answer_at = 3;
	call_up(&b);
	for (int i = 1; i <= 5; i++)
		CHECK(send_one(&b, i));
	UNTIL(&b.w, b.done);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.bytes_per_s, 6);
	CHECK_INT(b.ends, 0);
	bed_close(&b);
}

TEST(the_answer_to_a_large_stream_may_come_early)
{
	struct bed b;

	bed_open(&b);
	b.payload = 1 << 20;
	b.answer_at = 2;
	call_up(&b);
	for (int i = 1; i <= 12; i++)
		CHECK(send_one(&b, i));
	UNTIL(&b.w, b.done);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.bytes_per_s, 3);
	bed_close(&b);
}

TEST(an_error_of_the_handler_arrives)
{
	struct err err;
	struct bed b;

	bed_open(&b);
	call_up(&b);
	UNTIL(&b.w, b.call);
	err_set(&err, ERR_ALREADY_EXISTS, "100 %% of \xc3\xa4");
	call_fail(b.call, &err);
	b.call = NULL;
	UNTIL(&b.w, b.done);
	CHECK_INT(b.err.code, ERR_ALREADY_EXISTS);
	CHECK_STR(b.err.msg, "100 % of \xc3\xa4");
	bed_close(&b);
}

TEST(a_method_that_is_not_there_is_unimplemented)
{
	struct rpc_method none = up_method;
	struct bed b;

	bed_open(&b);
	none.path = "/test/None";
	call(&b, NULL, &none, 5000);
	UNTIL(&b.w, b.done);
	CHECK_INT(b.err.code, ERR_UNIMPLEMENTED);
	bed_close(&b);
}

TEST(a_cancelled_stream_is_silent_and_the_server_knows)
{
	struct bed b;

	bed_open(&b);
	call_both(&b);
	CHECK(send_one(&b, 1));
	UNTIL(&b.w, b.got == 1);
	duplex_cancel(b.d);
	b.d = NULL;
	UNTIL(&b.w, b.cancels == 1);
	CHECK(!b.done);
	call_both(&b); /* and one that has not even connected */
	duplex_cancel(b.d);
	b.d = NULL;
	bed_close(&b);
}

static void cancel_it(const ProtobufCMessage *msg, void *arg)
{
	struct bed *b = arg;

	(void)msg;
	b->got++;
	duplex_cancel(b->d);
	b->d = NULL;
}

TEST(a_stream_may_be_cancelled_by_its_own_message)
{
	struct rpc_opts opts = {0};
	struct bed b;

	bed_open(&b);
	opts.tls = b.w.client_tls;
	b.d = duplex_open(b.w.loop, server_url(b.w.server), &both_method, &opts,
			  cancel_it, on_done, &b);
	for (int i = 0; i < 10; i++)
		CHECK(send_one(&b, i));
	UNTIL(&b.w, b.cancels == 1);
	CHECK_INT(b.got, 1);
	CHECK(!b.done);
	bed_close(&b);
}

TEST(a_deadline_ends_a_stream_on_both_sides)
{
	struct bed b;

	bed_open(&b);
	call(&b, NULL, &both_method, 700);
	UNTIL(&b.w, b.done && b.cancels == 1);
	CHECK_INT(b.err.code, ERR_DEADLINE_EXCEEDED);
	bed_close(&b);
}

TEST(a_lost_connection_is_unavailable)
{
	struct bed b;

	bed_open(&b);
	call(&b, b.url, &both_method, 5000);
	CHECK(send_one(&b, 1));
	UNTIL(&b.w, b.got == 1);
	proxy_cut(&b.proxy);
	UNTIL(&b.w, b.done);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK_HAS(b.err.msg, "lost the connection to http");
	UNTIL(&b.w, b.cancels == 1);
	bed_close(&b);
}

TEST(a_server_that_closes_ends_its_streams)
{
	struct bed b;

	bed_open(&b);
	call_both(&b);
	UNTIL(&b.w, b.call);
	server_close(b.w.server, 1000);
	b.w.server = NULL;
	UNTIL(&b.w, b.done);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK_STR(b.err.msg, "the server is closing");
	bed_close(&b);
}

TEST(who_is_not_there_is_unavailable)
{
	struct bed b;
	char url[64];

	bed_open(&b);
	uv_close((uv_handle_t *)&b.proxy.listener, NULL);
	call(&b, b.url, &up_method, 5000);
	UNTIL(&b.w, b.done);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK_HAS(b.err.msg, "cannot reach http");
	CHECK_HAS(b.err.msg, ": Connection refused");
	call(&b, "http://no.such.host.invalid:80", &up_method, 5000);
	UNTIL(&b.w, b.done);
	CHECK_STR(b.err.msg, "cannot reach http://no.such.host.invalid:80: "
			     "unknown host");
	call(&b, "ftp://h", &up_method, 5000);
	UNTIL(&b.w, b.done);
	CHECK_INT(b.err.code, ERR_INVALID_ARGUMENT);
	snprintf(url, sizeof(url), "%s://localhost:%d/",
		 world_secure() ? "https" : "http", server_port(b.w.server));
	call(&b, url, &up_method, 5000);
	duplex_finish(b.d);
	UNTIL(&b.w, b.done);
	CHECK_STR(b.err.msg, "");
	world_close(&b.w);
}

/* ---- servers that say odd things ---- */

#define SETTINGS "\0\0\0\4\0\0\0\0\0"

static const struct {
	const char *bytes;
	size_t len;
	int code;
	const char *why;
} odd[] = {
#define ODD(text, code, why)                            \
	{                                               \
		text, sizeof(text) - 1, ERR_##code, why \
	}
	ODD(SETTINGS "\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\0", UNAVAILABLE,
	    "REFUSED_STREAM"),
	ODD(SETTINGS "\0\0\4\3\0\0\0\0\1\0\0\0\7", UNAVAILABLE,
	    "REFUSED_STREAM"),
	ODD(SETTINGS "\0\0\4\3\0\0\0\0\1\0\0\0\x08", CANCELLED, "CANCEL"),
	ODD(SETTINGS "\0\0\4\3\0\0\0\0\1\0\0\0\x0b", RESOURCE_EXHAUSTED,
	    "ENHANCE_YOUR_CALM"),
	ODD(SETTINGS "\0\0\4\3\0\0\0\0\1\0\0\0\2", INTERNAL, "INTERNAL_ERROR"),
	ODD(SETTINGS "\0\0\4\3\0\0\0\0\1\0\0\0\0", UNAVAILABLE,
	    "ended its answer too early"),
	/* :status 200, and the stream ends */
	ODD(SETTINGS "\0\0\1\1\5\0\0\0\1\x88", UNKNOWN, "no content type"),
	/* :status 404 */
	ODD(SETTINGS "\0\0\1\1\5\0\0\0\1\x8d", UNKNOWN, "HTTP 404"),
	ODD("HTTP/1.1 400 Bad Request\r\n\r\n", UNKNOWN, "speaks no HTTP/2"),
	ODD("", UNAVAILABLE, "lost the connection"),
#undef ODD
};

TEST(odd_servers_become_errors)
{
	struct bed b;
	char url[64];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), s;
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);

	bed_open(&b);
	CHECK(!bind(fd, (struct sockaddr *)&at, len) && !listen(fd, 8));
	CHECK(!getsockname(fd, (struct sockaddr *)&at, &len));
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(at.sin_port));
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		call(&b, url, &up_method, 5000);
		s = -1;
		UNTIL(&b.w, s >= 0 || (s = accept(fd, NULL, NULL)) >= 0);
		say_bytes(s, odd[i].bytes, odd[i].len);
		shutdown(s, SHUT_WR);
		UNTIL(&b.w, b.done);
		close(s);
		if ((int)b.err.code != odd[i].code)
			test_fail(__FILE__, __LINE__, "%zu: %s: %s", i,
				  err_name(b.err.code), b.err.msg);
		CHECK_HAS(b.err.msg, odd[i].why);
	}
	close(fd);
	bed_close(&b);
}

TEST(a_stream_leaves_from_the_address_asked_for)
{
	struct rpc_opts opts = {.timeout_ms = 5000, .bind = "192.0.2.1"};
	struct bed b;

	bed_open(&b);
	opts.tls = b.w.client_tls;
	b.d = duplex_open(b.w.loop, server_url(b.w.server), &up_method, &opts,
			  NULL, on_done, &b);
	UNTIL(&b.w, b.done);
	CHECK_HAS(b.err.msg, "cannot call from address 192.0.2.1");
	b.done = false;
	opts.bind = "127.0.0.9";
	b.d = duplex_open(b.w.loop, server_url(b.w.server), &up_method, &opts,
			  NULL, on_done, &b);
	duplex_finish(b.d);
	UNTIL(&b.w, b.done);
	CHECK_STR(b.err.msg, "");
	bed_close(&b);
}
