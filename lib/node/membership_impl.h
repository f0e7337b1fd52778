/* membership_impl.h - what the ways into and out of a cluster share. */
#ifndef NODE_MEMBERSHIP_IMPL_H
#define NODE_MEMBERSHIP_IMPL_H

#include "node/node_impl.h"
#include "registry/hedge.h"

enum {
	MEMBERSHIP_BACKOFF_MS = 100, /* doubles, jittered by half */
	MEMBERSHIP_BACKOFF_MAX_MS = 5000,
};

struct membership {
	struct node *n;
	struct rpc *rpc;
	struct hedge *hedge;
	struct timer timer, patience;
	int tries;
	char waits[256];
	int64_t id;                      /* to ask for, 0: any */
	char cluster[RAFT_STORE_ID + 1]; /* that the gateway knows, or empty */
	size_t gateway;                  /* to be asked to confirm */
	size_t denied;                   /* gateways in a row that did not */
	bool granted;                    /* a gateway lets us found a cluster */
	int64_t alone_ms;                /* no gateway since; 0: one answered */
	char **urls;                     /* of members to join through */
	size_t nurls, url;
	bool found; /* urls[url] answers, and is a member */
	int64_t looked_ms;
	int64_t taken_ms; /* when our id was first refused, 0: never */
	size_t asked;     /* members, where the cluster may be */
};

/* membership.c */
void membership_wait_for(struct membership *m, const char *fmt, ...)
	PRINTF(2, 3); /* says so, if it is news */
void membership_later(struct membership *m, timer_fn *fn); /* backs off */
void membership_call(struct membership *m, const char *url, enum rpc_name name,
		     const ProtobufCMessage *in, rpc_done_fn *done);
/* Ask several; how says the rest. */
void membership_ask_all(struct membership *m, const char *const *urls, size_t n,
			enum rpc_name name, const ProtobufCMessage *in,
			const struct hedge_opts *how, hedge_each_fn *each,
			hedge_done_fn *done);
const char *membership_gateway(const struct membership *m);
void membership_self(const struct node *n, Gfl__V1__Member *self);
void membership_forget_urls(struct membership *m);

/* found.c */
void found_begin(struct membership *m);   /* by a gateway's grant */
void found_unasked(struct membership *m); /* by --bootstrap */
void found_resume(struct node *n);        /* drew an id before it stopped */

/* recover.c: ask whether there is another voter, and begin again, or end */
void recover_begin(struct membership *m);

/* join.c */
void join_begin(void *membership);

#endif
