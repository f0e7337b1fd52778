/* elect.h - a hub beside a Raft node: active while that leads, and otherwise
 * standing by (standby.h), so that the run goes on beside the next leader.
 *
 * One that comes to lead asks all its peers for what they have, and goes on
 * from the newest state that any of them has which can be reached. A round ends
 * only after the node has confirmed once more that it leads, in the same term;
 * and none begins before all servers that follow have the one before. So an
 * active one that falls takes with it the round under way, and at most one that
 * had just ended; one that was stopped, and wakes, ends no round.
 *
 * Where a node leads without an active server, whoever notices first has the
 * lead moved to its own node. What fences is the node's term alone: to ask for
 * the lead without need does no harm. */
#ifndef FL_ELECT_H
#define FL_ELECT_H

#include "base/opt.h"
#include "fl/hub.h"

struct elect;

struct elect_opts {
	const char *node; /* URL of the Raft node */
	const struct opt_list
		*peers;  /* URLs of all servers; our own may be in */
	const char *bind; /* source address of calls, or NULL; borrowed */
	struct tls *tls; /* for calls of https, borrowed; or NULL */
};

/* As hub_open(); how->term and how->confirm are ours. */
int elect_open(struct elect **out, struct loop *loop, struct server *s,
	       const struct hub_opts *how, const struct elect_opts *opts,
	       loop_fn *ended, void *arg, struct err *err) MUST_CHECK;
const struct err *elect_failed(const struct elect *e); /* or NULL */

/* End without a word to clients, who find the next active server. Where we are
 * active the round under way ends first, and another server that follows takes
 * the lead; at the latest after how->ending_ms, or at a second call. */
void elect_stop(struct elect *e);
void elect_close(struct elect *e); /* NULL is nothing */

#endif
