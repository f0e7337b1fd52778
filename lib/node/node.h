/* node.h - a member of the cluster: joins, serves, decides when it leads.
 *
 * It listens from the start; whoever asks before it is a member is told
 * UNAVAILABLE, and what it waits for. All on the loop's thread. */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "node/handler.h"
#include "wire/server.h"

struct node;

struct node_config {
	struct loop *loop;
	const char *db_path;
	struct server_opts server;
	int64_t node_id;             /* 0: whichever is free */
	const char *const *gateways; /* URLs, borrowed */
	size_t ngateways;
	const char *const *joins; /* URLs of members; none: by a gateway */
	size_t njoins;
	const char *lower_id; /* the cluster for which it joins, or NULL */
	int64_t lower_term;   /* of that cluster */
	bool bootstrap;       /* found a cluster without a gateway's grant */
	bool bootstrap_alone; /* the same, once no gateway can be reached */
	bool keep_membership; /* leaving is a pause: stay a member */
	int64_t election_min_ms, election_max_ms, heartbeat_ms;
	int64_t fail_after_ms;   /* silence after which a peer is down */
	int64_t remove_after_ms; /* and after which it is removed */
	int64_t snapshot_bytes;  /* of log after which to take a snapshot; 0:
				  * 4 MiB */
	int max_voters;
	int client_num;      /* members that make the cluster ready; 0: those
				it has */
	int64_t shutdown_ms; /* to leave in */
	const char *bind;    /* source of outgoing connections, or NULL */

	/* Who handles messages and is told of events, borrowed; see handler.h.
	 * A function gets arg. */
	const struct node_handler *handlers;
	size_t nhandlers;
	const struct node_hook *hooks;
	size_t nhooks;
	const struct facts *facts; /* for their commands, or NULL */
	int64_t handler_ms;        /* that a command may take; 0: for ever */
	int handler_tries;         /* before a message is left to others */

	/* Once: it serves, and is a member. */
	void (*on_ready)(void *arg);
	/* A control message asks to stop: call node_leave(), now or soon. NULL:
	 * that is called. */
	void (*on_shutdown)(void *arg);
	/* Once, last: err is NULL after node_leave(), else why it cannot go
	 * on: another cluster's, removed, a broken disk. Close it then. */
	void (*on_end)(const struct err *err, void *arg);
	void *arg;
};

/* Open the database, listen, and begin to join or to resume. cfg is copied,
 * its strings are borrowed until node_close(). Fails as db_open() and
 * server_open() do, and with FAILED_PRECONDITION if the database is of a node
 * with another id. */
int node_open(struct node **out, const struct node_config *cfg,
	      struct err *err) MUST_CHECK;

/* Leave: hand leadership over, be removed, then on_end(NULL). A cluster's last
 * member, or one that nobody lets go in time, stays a member and resumes at
 * its next start. */
void node_leave(struct node *n);

/* Others are to handle messages and be told of events; they are borrowed as
 * those before, which are not needed any more once this is true. While a command
 * of those runs it is false, and no other begins: call it again soon. */
bool node_handle(struct node *n, const struct node_handler *handlers,
		 size_t nhandlers, const struct node_hook *hooks,
		 size_t nhooks);

/* NULL is nothing. */
void node_close(struct node *n);

int64_t node_id(const struct node *n);          /* 0 before it has one */
const char *node_url(const struct node *n);     /* what others call us */
const char *node_cluster(const struct node *n); /* 32 hex digits, or empty */
/* It ended because the others removed it, as it had asked them to in an earlier
 * life (with anyhow: even unasked). Opened again, it joins as a new member. */
bool node_removed(const struct node *n, bool anyhow);
/* It knows a leader, and has the log up to its own membership: right after a
 * restart it may be a member that has not. */
bool node_settled(const struct node *n);
/* There is no other member, as far as it knows. */
bool node_alone(const struct node *n);
struct server *node_server(const struct node *n);

#endif
