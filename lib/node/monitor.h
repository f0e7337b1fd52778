/* monitor.h - a cluster watched from outside: the streams of a gateway and of a
 * node, taken up again with another one when one dies. */
#ifndef NODE_MONITOR_H
#define NODE_MONITOR_H

#include "base/loop.h"
#include "base/opt.h"
#include "base/out.h"
#include "node/view.h"
#include "proto/node.pb-c.h"

struct monitor;

struct monitor_opts {
	struct client_opts client;
	bool poll;      /* ask every node how it is, once a second */
	view_fn *event; /* from the loop, never from monitor_open() */
	void *arg;
};

/* Find the cluster, within the client's timeout, and begin to watch; nobody
 * there is UNAVAILABLE. From then on it is looked for until monitor_close().
 * The strings of opts are borrowed until then. */
int monitor_open(struct monitor **out, struct loop *loop,
		 const struct monitor_opts *opts, struct err *err) MUST_CHECK;
void monitor_close(struct monitor *m); /* NULL is nothing */

/* An event as a row of these. */
enum { MONITOR_COLS = 15 };
extern const struct out_col monitor_cols[MONITOR_COLS];
void monitor_row(struct out *o, const struct view_event *e);

/* Append at most height lines of at most width columns: the nodes, the run
 * under way, and of these lines of events, SCREEN_EVENTS at most, the last. */
void monitor_draw(struct buf *out, const struct monitor *m, char *const *events,
		  size_t nevents, size_t width, size_t height);

const struct view *monitor_view(const struct monitor *m);

/* The URL of the node that is watched; "" while there is none. */
const char *monitor_node(const struct monitor *m);

/* The same of the gateway; NULL where none is to be asked. */
const char *monitor_gateway(const struct monitor *m);

/* What node id has said of itself at the last poll; NULL if nothing. */
const Gfl__V1__NodeStatus *monitor_status(const struct monitor *m, int64_t id);

#endif
