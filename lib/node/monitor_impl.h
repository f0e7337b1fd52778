/* monitor_impl.h - what the two streams of a monitor share: the node's in
 * monitor.c, the gateway's in monitor_gateway.c. */
#ifndef NODE_MONITOR_IMPL_H
#define NODE_MONITOR_IMPL_H

#include <sys/queue.h>

#include "base/timer.h"
#include "node/monitor.h"
#include "wire/client.h"

enum {
	PULSE_MS = 3000, /* a node that takes longer is not there */
	RETRY_MS = 100,  /* between attempts at all nodes, doubling */
	RETRY_MAX_MS = 1000,
};

/* A node that is asked how it is. */
struct asked {
	int64_t id;
	struct rpc *rpc;
	Gfl__V1__NodeStatus *status;
	LIST_ENTRY(asked) entry;
};

struct monitor {
	struct loop *loop;
	struct client *client;
	struct monitor_opts opts;
	struct view view;
	struct state *state;
	struct opt_list urls; /* to begin with */

	char *node; /* watched, or being tried */
	bool connected;
	size_t at, tried; /* attempts ever, and since the last state */
	int64_t retry_ms;
	struct rpc *watch, *pulse;
	struct timer retry, every;

	size_t gateway; /* number of attempts: which one is next */
	bool gateway_wanted, gateway_connected;
	struct rpc *nodes, *gateway_pulse;
	struct timer gateway_retry;

	LIST_HEAD(, asked) asked;
};

/* monitor.c: an event of the watch itself. */
void monitor_tell(struct monitor *m, const char *event, const char *role,
		  const char *url, const char *why);

/* monitor_gateway.c */
void monitor_gateway_begin(struct monitor *m);
void monitor_gateway_ask(struct monitor *m); /* is it still there? */
void monitor_gateway_end(struct monitor *m);

#endif
