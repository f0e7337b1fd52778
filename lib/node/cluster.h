/* cluster.h - the upper cluster of a node's cluster: while the node leads, it
 * is a member there, and speaks for its cluster.
 *
 * A lower cluster has one place in the upper one for ever, the trainer whose
 * instance is its id (hierarchy.h). Who speaks for it changes with its leader:
 *
 * - Each node has a file, an id and a vote of its own above. A vote is never
 *   inherited: a new leader joins as a learner, and votes once it has the log.
 *   So the upper Raft sees nothing but members that join and leave, and is as
 *   safe as any (Raft 4.1).
 * - By its entry in the upper log the new leader takes the place over. An entry
 *   with an older term of the lower cluster is refused, so a leader that was
 *   deposed and does not know it yet cannot take it back.
 * - Who was succeeded stays a member, and votes, until its successor has caught
 *   up; then the upper leader removes it. A node that was one when it stopped
 * is one when it starts, whether it leads or not. So the upper cluster goes on
 * as long as a majority of its members lives, whatever is elected below.
 *
 * The upper member has a port of its own. All on the loop's thread. */
#ifndef NODE_CLUSTER_H
#define NODE_CLUSTER_H

#include <stdbool.h>

#include "base/loop.h"
#include "node/node.h"

struct cluster;

struct cluster_config {
	struct node_config node; /* of the member above; borrowed as there */
	/* Have the loop stop, and call cluster_turn(): a member is opened and
	 * closed outside of it. */
	loop_fn *on_turn;
	void *arg;
};

/* Begin: lower, which must not be ready yet, tells from now on. */
void cluster_open(struct cluster **out, struct node *lower,
		  const struct cluster_config *cfg);

/* Outside of the loop's callbacks, whenever on_turn asked for it. */
void cluster_turn(struct cluster *c);

/* The lower node has left; it is not needed any more. Leave too, once a
 * successor speaks, or after a few seconds; at once if it was the last below.
 * Go on with cluster_turn() until cluster_left() says that it is over. */
void cluster_leave(struct cluster *c, bool last);
bool cluster_left(const struct cluster *c);

void cluster_close(struct cluster *c); /* NULL is nothing */

#endif
