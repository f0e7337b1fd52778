/* hierarchy.h - clusters of clusters: what follows from the states of both.
 *
 * To the upper cluster a lower one is a trainer: its instance is the lower
 * cluster's id, its examples are those of all its trainers, its URL is that of
 * the one trainer that exchanges models with other clusters for it. So the
 * upper coordinator plans, measures and gives up on clusters exactly as a lower
 * one does on trainers. Who leads the lower cluster speaks for it, as a member
 * of the upper one (cluster.h). Pure: states in, what to say out. */
#ifndef NODE_HIERARCHY_H
#define NODE_HIERARCHY_H

#include <stdbool.h>
#include <stdint.h>

#include "node/state.h"

/* Whether member m of the upper cluster speaks for its lower cluster no more,
 * because another member does so in a later term of it, and has caught up with
 * the log: then the upper leader removes m. Until then m votes on, so that no
 * change of leaders below takes a vote away above. */
bool hierarchy_superseded(const struct state *upper, const Gfl__V1__Member *m);

/* The trainer of the lower cluster that exchanges with other clusters: before,
 * while it is live and takes part in runs, else the lowest such id; 0: none. */
int64_t hierarchy_bridge(const struct state *lower, int64_t before);

/* The lower cluster as a trainer of the upper one, whose leader is of this
 * term. Without a trainer to exchange it is at url, and takes no part in runs.
 * Borrows from lower and url. */
void hierarchy_fill(Gfl__V1__Trainer *out, const struct state *lower,
		    int64_t bridge, int64_t term, const char *url);

/* How urgently the upper cluster, which has said (NULL: nothing), should hear
 * of now. */
enum hierarchy_news {
	HIERARCHY_SAME,
	HIERARCHY_COUNTS, /* numbers only */
	HIERARCHY_PLACE,  /* who speaks, or where to reach it */
};
enum hierarchy_news hierarchy_news(const Gfl__V1__Trainer *said,
				   const Gfl__V1__Trainer *now);

#endif
