/* post.h - messages into inboxes: to one receiver or many, over connections
 * that are kept.
 *
 * A receiver that could not be sent a message is sent none of the later ones
 * either: what it has is the beginning of what was sent, in order. */
#ifndef REGISTRY_POST_H
#define REGISTRY_POST_H

#include "base/opt.h"

struct post;

struct post_receiver {
	char *name;        /* as it was named, or its id */
	int64_t id;        /* 0: known by its URL only */
	char *url;         /* whom to call for it */
	int64_t sent;      /* messages durable in its inbox */
	char *message;     /* the last of these, or NULL */
	int64_t cursor;    /* of that */
	struct err failed; /* code 0: nothing has */
	struct post *post;
};

/* via is a node's id or URL through which all goes, or NULL. o is borrowed
 * until post_close(); its timeout is one message's. */
int post_open(struct post **out, const struct client_opts *o, const char *via,
	      struct err *err) MUST_CHECK;
void post_close(struct post *p); /* NULL is nothing */

/* The receiver named by an id or URL, as a new one if it is none yet; it lives
 * until post_close(). An id that the cluster has not is NOT_FOUND. */
int post_to(struct post *p, const char *name, struct post_receiver **out,
	    struct err *err) MUST_CHECK;

/* Every live node, of this role unless it is NULL, becomes a receiver. None is
 * FAILED_PRECONDITION. */
int post_to_all(struct post *p, const char *role, struct err *err) MUST_CHECK;

/* All receivers, in the order in which they became that. */
size_t post_receivers(const struct post *p, struct post_receiver *const **out);

/* Send len bytes to one, or with NULL to all, and wait: it is durable in their
 * inboxes, or they have failed. id may be NULL: a new one, of each its own. */
struct post_message {
	const char *id;
	int type;
	const void *payload;
	size_t len;
};
void post_send(struct post *p, struct post_receiver *one,
	       const struct post_message *m);

#endif
