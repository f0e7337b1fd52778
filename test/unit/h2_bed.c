#include "h2_bed.h"

#include "proto/gateway.pb-c.h"
#include "test.h"

void h2_bed_open(struct h2_bed *b, struct server_opts opts)
{
	memset(b, 0, sizeof(*b));
	world_open(&b->w, opts);
	server_handle(b->w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &b->w);
	caller_open(&b->c, &b->w, WINDOW, false);
}

void h2_bed_close(struct h2_bed *b)
{
	caller_close(&b->c);
	world_close(&b->w);
}

int32_t h2_bed_version(const struct reply *r)
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

void h2_bed_send_events(struct call *call, const ProtobufCMessage *in,
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

int h2_bed_messages(const struct buf *b)
{
	int n = 0;

	for (size_t at = 0; at + 5 <= b->len; n++) {
		const unsigned char *p = (unsigned char *)b->p + at;

		at += 5 + ((size_t)p[1] << 24 | (size_t)p[2] << 16 |
			   (size_t)p[3] << 8 | p[4]);
	}
	return n;
}

void h2_bed_on_gone(struct call *call, void *arg)
{
	struct h2_bed *b = arg;

	(void)call;
	b->w.cancels++;
}

void h2_bed_keep(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct h2_bed *b = arg;

	(void)in;
	b->kept[b->n_kept++] = call;
	call_on_cancel(call, h2_bed_on_gone, b);
}

void h2_bed_answer(struct call *call, int version)
{
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;

	out.status = (char *)"late";
	out.registry_version = version;
	call_reply(call, &out.base);
}
