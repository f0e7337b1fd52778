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
 * term. Without a trainer to exchange it is at url; with fewer than two, who
 * would have nobody to exchange with here, it takes no part in runs. Borrows
 * from lower and url. */
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

/* ---- runs that span clusters ----
 *
 * A run of the upper cluster has a part in each lower one. A round above is
 * bridge_every rounds below and then, where the plan above pairs two clusters,
 * an exchange between the trainers that bridge them. */

/* The settings of our part, beginning at round `from` above; rpc_free() it. */
Gfl__V1__RunSpec *hierarchy_spec(const Gfl__V1__Run *above,
				 const char *upper_id, int64_t from);

/* How far the clusters are in a run above: where one begins that comes later.
 */
int64_t hierarchy_front(const Gfl__V1__Run *above);

/* The round above that ends with round t of a part, or -1 if none does; how
 * many have ended after so many rounds of it. */
int64_t hierarchy_round(const Gfl__V1__RunSpec *part, int64_t t);
int64_t hierarchy_rounds(const Gfl__V1__RunSpec *part, int64_t rounds);

/* What our bridge has to know of the plan above from round `at` on; rpc_free()
 * it. With replan() it differs from what it was told. */
Gfl__V1__Bridge *hierarchy_plan(const struct state *upper,
				const Gfl__V1__Run *part, int64_t self,
				int64_t bridge, int64_t at);
bool hierarchy_replan(const Gfl__V1__Bridge *told, const Gfl__V1__Bridge *now);

/* How the cluster is in a run above, from how its part is. Borrows. */
void hierarchy_report(Gfl__V1__TrainerReport *out, const Gfl__V1__Run *part,
		      int64_t self, int64_t bridge);

#endif
