/* cluster_impl.h - what the files of cluster.h share. */
#ifndef NODE_CLUSTER_IMPL_H
#define NODE_CLUSTER_IMPL_H

#include "node/cluster.h"
#include "node/hierarchy.h"
#include "node/node_impl.h"
#include "registry/hedge.h"

struct cluster {
	struct cluster_config cfg;
	struct node *lower; /* NULL once it has left */
	struct node *upper; /* NULL while we are no member above */
	char lower_id[RAFT_STORE_ID + 1];
	bool opening; /* the next turn opens it */
	bool leaving, ended, gave_up;
	struct timer patience;
	struct hedge *probe; /* is the upper cluster ours? */
	char found[RAFT_STORE_ID + 1];
	int64_t retry_ms;   /* not before */
	struct err trouble; /* the last; code 0: none */

	/* cluster_speak.c */
	struct rpc *attach, *report;
	int64_t trainer; /* our place above; 0: not taken in this term */
	int64_t term;    /* of the lower cluster, in which it was taken */
	int64_t bridge;  /* the trainer that exchanges for us */
	int64_t attached_ms, said_ms, heartbeat_ms;

	/* cluster_run.c */
	bool busy; /* an entry is proposed below */
	int64_t pause_ms;
	int64_t looked_above, looked_below; /* index applied at the last look */
	int64_t said_run, said_rounds;      /* in the last report */
	bool said_over;
	Gfl__V1__Link links[16]; /* measured by our bridge, not told yet */
	size_t nlinks;
};

/* cluster.c: something is wrong; it is tried again. */
void cluster_trouble(struct cluster *c, const struct err *err);

/* cluster_speak.c: take our place above, and say how we are. */
void cluster_speak(struct cluster *c);
void cluster_hush(struct cluster *c); /* stop all calls */

/* cluster_run.c: our parts of runs above, as far as the two states go. */
void cluster_span(struct cluster *c);
bool cluster_progress(struct cluster *c); /* worth a report at once */
/* The newest part with what the leader knows beyond the log, to rpc_free();
 * NULL if there is none that is known above. */
Gfl__V1__Run *cluster_part(const struct cluster *c);

#endif
