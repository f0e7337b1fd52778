/* view.h - what somebody who watches a cluster knows of it, and what each
 * message of the watch streams changes, told as events.
 *
 * The streams of a gateway and of a node tell much of the same; whichever is
 * first is heard. Messages that were missed while a stream was broken show in
 * what the next one begins with, so no event depends on having seen all. */
#ifndef NODE_VIEW_H
#define NODE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/state.h"
#include "proto/gateway.pb-c.h"

/* An event; 0, NULL and NaN stand for nothing. Strings are borrowed for the
 * call.
 *
 *	node     present joined changed left expired down up
 *	leader   elected lost
 *	trainer  present attached moved down up detached
 *	run      waiting started progress finished stopped failed
 *	watch    connected lost (what is told by who watches)
 */
struct view_event {
	const char *what, *event;
	int64_t node, trainer, run, term;
	int64_t round, rounds, trainers, bytes_sent;
	double accuracy; /* mean, 0..1 */
	const char *role, *url;
	const char *text; /* a reason */
};

typedef void view_fn(const struct view_event *e, void *arg);

struct view_node {
	int64_t id;
	char *url;
	char role[16];
	bool member;  /* of the cluster; else a gateway knows it */
	bool expired; /* its lease at the gateway has ended */
	bool down;    /* the leader does not hear it */
};

struct view_trainer {
	int64_t id, node;
	bool down;
};

struct view_run {
	int64_t id;
	char state[16];
	int64_t round, rounds, trainers, bytes_sent;
	double accuracy;
};

/* All lists are by ascending id. All zero but for fn and arg knows nothing. */
struct view {
	view_fn *fn;
	void *arg;
	bool begun; /* a node's state was seen */
	int64_t leader, term;
	struct view_node *nodes;
	struct view_trainer *trainers;
	struct view_run *runs;
	size_t nnodes, ntrainers, nruns;
};

void view_release(struct view *v);

/* A message of a gateway's stream. */
void view_gateway(struct view *v, const NodeEvent *e);

/* A node's state, of which these parts (STATE_...) are new. */
void view_state(struct view *v, const struct state *s, unsigned changed);

/* Whom a node follows: 0 is nobody. What is older than known is passed over. */
void view_leader(struct view *v, int64_t id, int64_t term);

struct view_node *view_node(const struct view *v, int64_t id); /* or NULL */

/* The run under way, else the newest; NULL if there is none. */
const struct view_run *view_last_run(const struct view *v);

/* Live trainers that are attached to this node. */
size_t view_attached(const struct view *v, int64_t node);

#endif
