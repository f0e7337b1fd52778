/* host.h - the process that a node lives in: a daemon with signals, perhaps a
 * prompt, and perhaps one life of the node after another. */
#ifndef NODE_HOST_H
#define NODE_HOST_H

#include <stdbool.h>

#include "base/daemon.h"
#include "base/opt.h"
#include "node/node.h"

enum { HOST_BASE_PORT = 8900 };

/* As options set it. */
struct host_config {
	struct daemon_opts daemon;
	struct opt_list gateways, joins;
	struct node_config node; /* what options set of it */
	struct opt_pairs on_message, on;
	struct {
		struct opt_list gateways, joins; /* none: no upper cluster */
		struct opt_addr listen;
		const char *advertise;
	} upper;          /* see cluster.h */
	bool rejoin;      /* when removed, join as a new member */
	bool interactive; /* words from standard input, see repl.h */
	bool errexit;     /* of those, one that fails is the last */
	bool check;       /* only look for damage in the database, and say */
	/* At HUP: read the configuration again into out, of which on_message
	 * and on are taken. */
	int (*reload)(struct host_config *out, void *arg, struct err *err);
	void *arg;
};

/* Live until it is told to leave, or cannot go on. Without a host to listen at
 * it is 127.0.0.1, and then without a port HOST_BASE_PORT + the node's id, or
 * with no id a free one. *failed: a word of the prompt has failed. */
int host_run(const struct host_config *cfg, bool *failed,
	     struct err *err) MUST_CHECK;

#endif
