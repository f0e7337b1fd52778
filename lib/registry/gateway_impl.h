/* gateway_impl.h - what the parts of the gateway share: its state in
 * gateway.c, its methods in gateway_serve.c. */
#ifndef REGISTRY_GATEWAY_IMPL_H
#define REGISTRY_GATEWAY_IMPL_H

#include "proto/gateway.pb-c.h"
#include "registry/gateway.h"
#include "registry/watch.h"

struct gateway {
	struct loop *loop;
	struct server *server;
	struct writer *writer;
	struct lease lease;
	struct watchers watchers;
	struct timer expiry, tick;
	int64_t expiry_ms; /* when it is due; INT64_MAX: it does not run */
	int64_t started_ms;
	loop_fn *failed;
	void *failed_arg;
};

/* Serve every method. */
void gateway_serve(struct gateway *g);

/* Store rows id and also (0: none), then answer call (may be NULL) with msg
 * and tell event (may be NULL); takes msg and event. */
void gateway_answer_after(struct gateway *g, struct call *call,
			  ProtobufCMessage *msg, NodeEvent *event, int64_t id,
			  int64_t also);

/* Answer what was only read: at once, or after what is being committed, which
 * the answer may show. Takes msg. */
void gateway_answer_read(struct gateway *g, struct call *call,
			 ProtobufCMessage *msg);

/* News of a member (NULL: of none), as of now; rpc_free() it. */
NodeEvent *gateway_event(const struct gateway *g, const char *kind,
			 const struct member *m);

/* Wake up when the next lease ends; the table is walked at most ten times a
 * second, however many there are. After each change of a lease. */
void gateway_watch_leases(struct gateway *g);

#endif
