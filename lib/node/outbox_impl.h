/* outbox_impl.h - the outbox: what is to be delivered, and what leaves it. */
#ifndef NODE_OUTBOX_IMPL_H
#define NODE_OUTBOX_IMPL_H

#include <uthash.h>

#include "node/lane.h"
#include "node/node_impl.h"

struct sent {
	int64_t seq, len;
};

/* One receiver's. */
struct line {
	struct node *n;
	int64_t to;
	struct lane lane;
	struct timer timer;
	struct rpc *rpc;
	struct sent *batch; /* under way */
	size_t nbatch;
	bool troubled; /* and the log has it */
	bool down;     /* as the cluster saw it at the last look */
	char *tried;   /* URL of the last attempt */
	UT_hash_handle hh;
};

struct outbox {
	int64_t waiting, bytes; /* as committed and as being committed */
	int64_t delivered, expired;
	struct line *lines;
	struct rand rand;
	bool started;
};

/* removal.c: out of the file, on the writer's thread; the line goes on when
 * that is durable. */
enum removal_of {
	REMOVAL_UPTO,    /* this seq, and all before */
	REMOVAL_ONE,     /* this seq */
	REMOVAL_EXPIRED, /* whatever expires by this time */
};
/* why they are given up, or NULL: they are delivered, which the caller has
 * counted. A line that gives up is busy until then. */
void removal_begin(struct line *l, enum removal_of of, int64_t value,
		   const char *why);

/* outbox.c */
void outbox_go(struct line *l);

#endif
