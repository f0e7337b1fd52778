/* link_impl.h - what the parts of a link share: the tie to a node in link.c,
 * the search for one in link_find.c. */
#ifndef FL_LINK_IMPL_H
#define FL_LINK_IMPL_H

#include "base/opt.h"
#include "base/str.h"
#include "base/timer.h"
#include "fl/link.h"
#include "registry/hedge.h"

/* Which nodes there may be, and how the search for one goes. */
struct link_search {
	struct opt_list given, gateways, told; /* told: by the gateways */
	struct opt_list asked;                 /* of the question under way */
	size_t at;    /* where to begin: another with each attempt */
	size_t tried; /* attempts since a node was well */
	size_t chosen;
	bool found;
	int64_t retry_ms;
	struct hedge *hedge;
	struct timer retry;
};

struct link {
	struct loop *loop;
	struct client *client;
	struct link_opts opts;
	struct link_hooks hooks;
	struct link_search search;
	char cluster_id[STR_ID];
	int64_t id;
	struct state *state;

	char *node; /* attached to, or being asked */
	bool attached;
	int64_t said_ms, heartbeat_ms, attached_ms;
	struct rpc *attach, *watch, *report, *leave;
	bool more; /* to report */
	struct timer heartbeat;
	loop_fn *left;
	void *left_arg;
};

/* link.c */
void link_attach(struct link *l, const char *url);
void link_trouble(struct link *l, const char *tried, const struct err *err);

/* link_find.c */
void link_find_begin(struct link *l, const struct link_opts *opts);
void link_find_later(struct link *l); /* the last one was of no use */
void link_find_well(struct link *l);  /* it was */
void link_find_end(struct link *l);   /* look no more */
void link_find_release(struct link *l);

#endif
