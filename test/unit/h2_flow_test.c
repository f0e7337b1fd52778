#include "h2_bed.h"
#include "test.h"

#include "proto/gateway.pb-c.h"

TEST(a_stream_ends_with_its_status)
{
	struct h2_bed b;
	struct reply *r;

	h2_bed_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_WATCH_NODES, h2_bed_send_events,
		      &b);
	r = caller_wait(&b.c,
			caller_post(&b.c, WATCH, GRPC, "\0\0\0\0\0", 5, NULL));
	CHECK_INT(h2_bed_messages(&r->body), 3);
	CHECK_STR(r->grpc_status, "0");
	CHECK(!r->headless);
	h2_bed_close(&b);
}

enum { PIECE = 100000, PIECES = 50 };

/* As much as the reader has taken, piece by piece. */
static void pour(struct call *call, void *arg)
{
	static char kind[PIECE + 1];
	NodeEvent msg = NODE_EVENT__INIT;
	struct h2_bed *b = arg;

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
	struct h2_bed *b = arg;

	(void)in;
	call_on_drain(call, pour, b);
	call_on_cancel(call, h2_bed_on_gone, b);
	pour(call, b);
}

TEST(a_slow_reader_is_held_back_and_loses_nothing)
{
	struct h2_bed b;
	struct reply *r;
	int32_t id, other;

	h2_bed_open(&b, (struct server_opts){0});
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
	CHECK_INT(h2_bed_messages(&r->body), PIECES);
	h2_bed_close(&b);
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
	struct h2_bed b;
	struct reply *r;

	h2_bed_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_WATCH_NODES, send_many, &b);
	r = caller_wait(&b.c,
			caller_post(&b.c, WATCH, GRPC, "\0\0\0\0\0", 5, NULL));
	CHECK_STR(r->grpc_status, "0");
	CHECK_INT(h2_bed_messages(&r->body), 100000);
	h2_bed_close(&b);
}

static void flood(struct call *call, const ProtobufCMessage *in, void *arg)
{
	static char kind[(1 << 20) + 1];
	NodeEvent msg = NODE_EVENT__INIT;
	struct h2_bed *b = arg;

	(void)in;
	memset(kind, 'k', 1 << 20);
	msg.kind = kind;
	call_on_cancel(call, h2_bed_on_gone, b);
	while (!call_send(call, &msg.base))
		b->sent++;
}

TEST(a_stream_that_runs_ahead_of_its_reader_fails)
{
	struct h2_bed b;
	struct reply *r;

	h2_bed_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_WATCH_NODES, flood, &b);
	r = caller_wait(&b.c,
			caller_post(&b.c, WATCH, GRPC, "\0\0\0\0\0", 5, NULL));
	CHECK_INT(b.sent, 16);
	CHECK_INT(b.w.cancels, 1);
	CHECK_STR(r->grpc_status, "8");
	CHECK_INT(h2_bed_messages(&r->body), 16);
	h2_bed_close(&b);
}

TEST(a_reader_that_stalls_is_reset)
{
	struct h2_bed b;
	struct reply *r;
	int32_t id;

	h2_bed_open(&b, (struct server_opts){.idle_ms = 300});
	caller_close(&b.c);
	caller_open(&b.c, &b.w, 100, true);
	server_handle(b.w.server, RPC_GATEWAY_WATCH_NODES, begin_to_pour, &b);
	id = caller_post(&b.c, WATCH, GRPC, "\0\0\0\0\0", 5, NULL);
	r = caller_wait(&b.c, id);
	CHECK_INT(r->code, NGHTTP2_CANCEL);
	CHECK_INT(b.w.cancels, 1);
	CALLER_UNTIL(&b.c, b.c.gone);
	CHECK(b.c.goaway);
	h2_bed_close(&b);
}

TEST(more_streams_than_the_bound_are_refused)
{
	int refused = 0, kept;
	struct h2_bed b;

	h2_bed_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, h2_bed_keep, &b);
	for (int i = 0; i < 1010; i++)
		caller_beat(&b.c, i, NULL);
	CALLER_UNTIL(&b.c, b.n_kept == 1000 && b.c.closed == 10);
	for (int i = 0; i < 1010; i++)
		refused += b.c.replies[i].code == NGHTTP2_REFUSED_STREAM;
	CHECK_INT(refused, 10);
	kept = b.n_kept;
	for (int i = 0; i < kept; i++)
		h2_bed_answer(b.kept[i], i);
	CALLER_UNTIL(&b.c, b.c.closed == 1010);
	h2_bed_close(&b);
}
