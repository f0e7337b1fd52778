/* Peers that answer badly, die, or are not there at first. */
#include "test.h"

#include "base/clock.h"
#include "bed.h"
#include "proto/node.pb-c.h"

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
		bed_beat(&b, &bed_soon);
		bed_run(&b, 1);
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
	bed_beat(&b, &bed_soon);
	bed_run(&b, 1);
	CHECK_INT(b.err.code, ERR_FAILED_PRECONDITION);
	CHECK_STR(b.err.msg, "not \xe2\x82\xac?now 5%");
	bed_close(&b);
}

static void answer_and_die(struct peer_conn *c, int n)
{
	struct buf body = BUF_INIT(0);

	(void)n;
	peer_begin(c);
	bed_put_event(&body, 0);
	peer_chunk(c, body.p, body.len);
	buf_release(&body);
	peer_hang_up(c);
}

TEST(a_stream_whose_peer_dies_ends_unavailable)
{
	struct rpc_opts opts = {.timeout_ms = 0, .retry = true};
	struct bed b;

	bed_open(&b, answer_and_die);
	bed_watch(&b, &opts);
	bed_run(&b, 1);
	CHECK_INT(b.each, 1);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	bed_close(&b);
}

static void fail_twice(struct peer_conn *c, int n)
{
	if (n < 2)
		peer_hang_up(c);
	else
		bed_answer_well(c, n);
}

TEST(what_may_be_repeated_is_tried_again)
{
	struct rpc_opts opts = {.timeout_ms = 5000, .retry = true};
	struct bed b;

	bed_open(&b, fail_twice);
	bed_beat(&b, &opts);
	bed_run(&b, 1);
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
	struct rpc_opts opts = {.timeout_ms = 800, .retry = true};
	int64_t began_ms = clock_ms();
	struct bed b;

	bed_open(&b, fail_always);
	bed_beat(&b, &opts);
	bed_run(&b, 1);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK(b.peer.requests >= 2);
	CHECK(clock_ms() - began_ms < 50000); /* a busy machine is late */
	bed_close(&b);
}

static void check_marked(struct peer_conn *c, int n)
{
	const char *id = strstr(c->in.p, "\r\ngfl-request-id: ");

	CHECK(id);
	CHECK_INT(!strncmp(id + 18 + 32, "; repeated\r\n", 12), n > 0);
	peer_hang_up(c);
}

TEST(what_may_not_be_repeated_is_only_asked_after)
{
	Gfl__V1__TransferRequest in = GFL__V1__TRANSFER_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = 800, .retry = true};
	struct bed b;

	bed_open(&b, check_marked);
	b.rpc = client_call(b.c, b.peer.url, RPC_NODE_TRANSFER, &in.base, &opts,
			    bed_done, &b);
	bed_run(&b, 1);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK(b.peer.requests >= 2);
	bed_close(&b);
}
