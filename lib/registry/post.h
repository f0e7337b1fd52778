/* post.h - messages into inboxes, by the batch: to one receiver or many, or
 * into a node's outbox, from which it delivers them.
 *
 * A receiver that could not be sent a message is sent none of the later ones
 * either: what it has is the beginning of what was sent, in order. */
#ifndef REGISTRY_POST_H
#define REGISTRY_POST_H

#include <stdbool.h>

#include "base/opt.h"
#include "registry/letter.h"

struct post;

struct post_receiver {
	char *name;     /* as it was named, or its id */
	int64_t id;     /* 0: known by its URL only */
	char *url;      /* whom to call for it */
	int64_t sent;   /* messages durable in its inbox, or queued for it */
	int64_t cursor; /* of the last of these; 0: in no inbox yet */
	char message[LETTER_ID_MAX + 1]; /* its id, or empty */
	int64_t rtt_us;                  /* how long the answer to that took */
	char *reply;       /* what the node said to that, or NULL */
	int64_t queued;    /* its place in an outbox; 0: none was */
	bool taken;        /* post_wait() saw its reader take all */
	struct err failed; /* code 0: nothing has */
	size_t index;      /* among all */
	char **named; /* what it was sent by others' ids, for post_wait() */
	size_t nnamed, named_cap;
};

struct post_opts {
	const struct client_opts *client; /* its timeout: without progress */
	/* A node's id or URL, or "any": into its outbox, for all but itself.
	 * NULL: into the receivers' inboxes. */
	const char *via;
	int64_t from;      /* the node for which they are sent; 0: for none */
	int64_t expire_ms; /* how long the outbox tries; 0: as it likes */
	bool wait;         /* post_wait() will be called */
};

/* o's client and what it names are borrowed until post_close(). */
int post_open(struct post **out, const struct post_opts *o,
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

/* Have a message, which is copied, for one receiver, or with NULL for all, sent
 * with the next batch. id may be NULL: a new one. False: the batch is full now,
 * and wants post_flush(). */
struct post_message {
	const char *id;
	int type;
	const void *payload;
	size_t len;
};
bool post_add(struct post *p, struct post_receiver *one,
	      const struct post_message *m);

/* Send them, and wait: they are durable where they belong, or their receivers
 * have failed. */
void post_flush(struct post *p);

/* Wait until readers have taken all that was sent, at most for the client's
 * timeout (0: for ever). Whose reader has not is DEADLINE_EXCEEDED in failed;
 * who will never get some of it, because it expired, ABORTED. */
void post_wait(struct post *p);

#endif
