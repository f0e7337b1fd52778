/* link.h - a trainer's tie to the cluster: attached to one node, whose state
 * it follows and to which it reports; to another as soon as that one fails.
 *
 * All that a trainer knows of runs, plans and peers comes through here, from
 * what its node has committed. */
#ifndef FL_LINK_H
#define FL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/opt.h"
#include "node/state.h"
#include "proto/node.pb-c.h"
#include "wire/client.h"

struct link;

struct link_opts {
	const char *const *nodes; /* URLs to begin with; copied */
	size_t nnodes;
	const struct opt_list *gateways; /* asked when no node answers; copied */
	const char *url;         /* where peers find this trainer */
	const char *instance_id; /* 32 hex digits, for ever */
	const char *cluster_id;  /* empty: any */
	int64_t trainer_id;      /* 0: given by the cluster */
	int64_t examples;
	bool no_runs;
};

struct link_hooks {
	/* Attached (again). */
	void (*attached)(int64_t trainer_id, const char *cluster_id,
			 const char *node_url, void *arg);
	/* The state is new, or has changed by an entry: STATE_... bits. */
	void (*changed)(unsigned what, void *arg);
	/* Fill a report that is about to leave; what it points to is borrowed
	 * until this returns to the link. Then, unless it failed, it has
	 * arrived. */
	void (*fill)(Gfl__V1__ReportRequest *r, void *arg);
	void (*reported)(bool arrived, void *arg);
	/* It can never attach: another cluster, an id in use. */
	void (*refused)(const struct err *err, void *arg);
	void *arg;
};

/* Begin to attach. Strings and client are borrowed until link_close(). */
struct link *link_open(struct loop *loop, struct client *client,
		       const struct link_opts *opts,
		       const struct link_hooks *hooks);
void link_close(struct link *l); /* NULL is nothing */

/* The state as far as it is known here; NULL before the first attachment. */
const struct state *link_state(const struct link *l);
const char *link_node(const struct link *l); /* URL, "" while there is none */

/* There is something to report: now, or when the report under way is done. */
void link_poke(struct link *l);

/* Attach anew, from now on taking part in runs or not. */
void link_take_part(struct link *l, bool runs);

/* Leave the cluster for good, then call done; waits at most timeout_ms. */
void link_leave(struct link *l, const char *reason, int64_t timeout_ms,
		loop_fn *done, void *arg);

#endif
