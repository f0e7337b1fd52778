/* Streams and calls that end before their time. */
#include "test.h"

#include "bed.h"
#include "proto/gateway.pb-c.h"

/* The head, then a chunk per byte. */
static void answer_in_pieces(struct peer_conn *c, int n)
{
	struct buf body = BUF_INIT(0);

	(void)n;
	peer_begin(c);
	for (int i = 0; i < 3; i++)
		bed_put_event(&body, i);
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
	bed_watch(&b, &bed_soon);
	bed_run(&b, 1);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.each, 3);
	b.each = 0;
	bed_watch(&b, &bed_soon);
	bed_run(&b, 1);
	CHECK_INT(b.peer.accepted, 1);
	bed_close(&b);
}

static void cancel_it(struct peer_conn *c, int n)
{
	struct bed *b = c->peer->arg;

	(void)n;
	client_cancel(b->rpc);
	b->rpc = NULL;
	bed_beat(b, &bed_soon);
	c->peer->on_request = bed_answer_well;
}

TEST(a_cancelled_call_is_silent_and_its_connection_closed)
{
	struct bed b;

	bed_open(&b, cancel_it);
	bed_beat(&b, &bed_soon);
	bed_run(&b, 1);
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
	bed_beat(b, &bed_soon);
}

static void answer_three_or_well(struct peer_conn *c, int n)
{
	if (n == 1)
		answer_in_pieces(c, n);
	else if (n == 2)
		bed_answer_well(c, n);
}

TEST(a_callback_may_cancel_itself_and_others_and_call_anew)
{
	WatchNodesRequest in = WATCH_NODES_REQUEST__INIT;
	struct bed b;

	bed_open(&b, answer_three_or_well);
	bed_beat(&b, &bed_soon);
	b.other = b.rpc;
	b.rpc = client_stream(b.c, b.peer.url, RPC_GATEWAY_WATCH_NODES,
			      &in.base, &bed_soon, each_cancels, bed_done, &b);
	bed_run(&b, 1);
	CHECK_INT(b.each, 1);
	CHECK_STR(b.status, "received");
	bed_close(&b);
}

static void done_cancels(const struct err *err, const ProtobufCMessage *out,
			 void *arg)
{
	struct bed *b = arg;

	client_cancel(b->rpc);
	bed_done(err, out, arg);
}

TEST(done_may_cancel_what_is_done)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;
	struct bed b;

	bed_open(&b, bed_answer_well);
	b.rpc = client_call(b.c, b.peer.url, RPC_GATEWAY_HEARTBEAT, &in.base,
			    &bed_soon, done_cancels, &b);
	bed_run(&b, 1);
	b.rpc = client_call(b.c, "nowhere", RPC_GATEWAY_HEARTBEAT, &in.base,
			    &bed_soon, done_cancels, &b);
	bed_run(&b, 1);
	CHECK_INT(b.err.code, ERR_INVALID_ARGUMENT);
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
		bed_beat(&b, &bed_soon);
	loop_run(b.loop);
	client_call(b.c, "nowhere", RPC_GATEWAY_HEARTBEAT, &in.base, &bed_soon,
		    bed_done, &b);
	bed_close(&b);
	CHECK_INT(b.done, 0);
}
