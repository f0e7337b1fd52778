#include "bed.h"

#include "proto/gateway.pb-c.h"
#include "test.h"

void bed_open(struct bed *b, peer_fn *on_request)
{
	memset(b, 0, sizeof(*b));
	CHECK(!loop_open(&b->loop, NULL));
	CHECK(!client_open(&b->c, b->loop, NULL, NULL));
	peer_open(&b->peer, b->loop, on_request);
	b->peer.arg = b;
}

void bed_close(struct bed *b)
{
	client_close(b->c);
	peer_close(&b->peer);
	loop_close(b->loop);
}

void bed_done(const struct err *err, const ProtobufCMessage *out, void *arg)
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

static void bed_each(const ProtobufCMessage *out, void *arg)
{
	struct bed *b = arg;

	CHECK_INT(((const NodeEvent *)out)->registry_version, b->each);
	b->each++;
}

void bed_beat(struct bed *b, const struct rpc_opts *opts)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;

	in.node_id = 7;
	b->rpc = client_call(b->c, b->peer.url, RPC_GATEWAY_HEARTBEAT, &in.base,
			     opts, bed_done, b);
}

const struct rpc_opts bed_soon = {.timeout_ms = 5000};

void bed_run(struct bed *b, int calls)
{
	b->want = b->done + calls;
	loop_run(b->loop);
	CHECK_INT(b->done, b->want);
}

void bed_watch(struct bed *b, const struct rpc_opts *opts)
{
	WatchNodesRequest in = WATCH_NODES_REQUEST__INIT;

	b->rpc = client_stream(b->c, b->peer.url, RPC_GATEWAY_WATCH_NODES,
			       &in.base, opts, bed_each, bed_done, b);
}

void bed_put_beat(struct buf *body)
{
	HeartbeatResponse msg = HEARTBEAT_RESPONSE__INIT;

	msg.status = (char *)"received";
	peer_frame(body, &msg.base);
}

void bed_put_event(struct buf *body, int version)
{
	NodeEvent msg = NODE_EVENT__INIT;

	msg.registry_version = version;
	msg.kind = (char *)"joined";
	peer_frame(body, &msg.base);
}

void bed_answer_well(struct peer_conn *c, int n)
{
	struct buf body = BUF_INIT(0);

	(void)n;
	bed_put_beat(&body);
	peer_trailers(&body, "grpc-status: 0\r\n");
	peer_answer(c, &body);
	buf_release(&body);
}
