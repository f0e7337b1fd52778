/* h2_bed.h - what tests of the server over HTTP/2 have: a server that answers
 * Heartbeat, a caller, and the calls that a handler has kept. */
#ifndef H2_BED_H
#define H2_BED_H

#include "caller.h"

#define WATCH "/GatewayService/WatchNodes"

enum { WINDOW = 1 << 20 };

struct h2_bed {
	struct world w;
	struct caller c;
	struct call *kept[CALLER_MAX];
	int n_kept, sent;
};

void h2_bed_open(struct h2_bed *b, struct server_opts opts);
void h2_bed_close(struct h2_bed *b);

/* Handlers: keep the call; send three events. arg is the bed. */
void h2_bed_keep(struct call *call, const ProtobufCMessage *in, void *arg);
void h2_bed_send_events(struct call *call, const ProtobufCMessage *in,
			void *arg);
void h2_bed_on_gone(struct call *call, void *arg); /* counts it as cancelled */

void h2_bed_answer(struct call *call, int version); /* to a Heartbeat */

int32_t h2_bed_version(const struct reply *r); /* in a HeartbeatResponse */
int h2_bed_messages(const struct buf *b);      /* frames there */

#endif
