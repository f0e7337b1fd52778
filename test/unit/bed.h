/* bed.h - what a test of the client has: a loop, a client, a peer by script,
 * and what came back. */
#ifndef BED_H
#define BED_H

#include "base/buf.h"
#include "peer.h"
#include "wire/client.h"

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

void bed_open(struct bed *b, peer_fn *on_request);
void bed_close(struct bed *b);

/* Run until so many more calls are done. */
void bed_run(struct bed *b, int calls);

extern const struct rpc_opts bed_soon; /* a deadline of 5 s */

/* Call Heartbeat, or WatchNodes, whose events are counted. */
void bed_beat(struct bed *b, const struct rpc_opts *opts);
void bed_watch(struct bed *b, const struct rpc_opts *opts);

/* Take the outcome into the bed that is arg. */
void bed_done(const struct err *err, const ProtobufCMessage *out, void *arg);

/* Frames of answers to them, and a whole answer to Heartbeat. */
void bed_put_beat(struct buf *body);
void bed_put_event(struct buf *body, int version);
void bed_answer_well(struct peer_conn *c, int n);

#endif
