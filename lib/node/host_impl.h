/* host_impl.h - what the files of a host share. */
#ifndef NODE_HOST_IMPL_H
#define NODE_HOST_IMPL_H

#include "node/cluster.h"
#include "node/host.h"
#include "node/repl.h"
#include "wire/tls.h"

/* Commands, which those that run may need after others have replaced them. */
struct commands_life {
	struct node_commands all;
	struct commands_life *before;
};

/* All that the process owns. */
struct host {
	const struct host_config *cfg;
	struct daemon daemon;
	struct loop *loop;
	struct tls *tls;
	struct node *node;
	struct cluster *cluster;        /* or NULL */
	struct commands_life *commands; /* the newest first */
	struct facts facts;             /* for them */
	struct repl *repl;              /* or NULL */
	bool failed;                    /* a word of it has */
	int64_t ready_ms;
	struct timer prompt; /* until the node has settled */
	struct timer reload; /* until it has taken the newest commands */
	int port;            /* that it had when it first was ready, or 0 */
	bool over;           /* this life */
	struct err err;      /* why it ended; code 0: it left */
};

/* host_life.c: one life as a member; *again: it was removed, and begins
 * another. */
int host_live(struct host *h, const char *path, bool *again,
	      struct err *err) MUST_CHECK;
void host_stop(void *arg); /* leave, which ends this life */

#endif
