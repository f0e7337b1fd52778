/* mail_impl.h - messages on their way into this node's file: into its inbox,
 * or into its outbox, for others. */
#ifndef NODE_MAIL_IMPL_H
#define NODE_MAIL_IMPL_H

#include "node/node_impl.h"

enum {
	MAIL_BATCH_MAX = 1000,      /* messages of one request */
	MAIL_BATCH_BYTES = 1 << 20, /* and what we put into one */
	MAIL_PAYLOAD_MAX = 4 << 20,
};

enum mail_box {
	MAIL_REFUSED,
	MAIL_INBOX,
	MAIL_OUTBOX,
	MAIL_NODE, /* kept nowhere: it was for the node itself */
};

/* A message, and what became of it. */
struct mail_item {
	const Gfl__V1__MessageItem *m;
	enum mail_box box;
	bool named;         /* its sender chose its id */
	bool fresh;         /* not here before; of no meaning if refused */
	int64_t place;      /* cursor of the inbox, seq of the outbox */
	enum err_code code; /* of a refusal */
	char *why;          /* ours */
	char *reply;        /* ours: what the node says to it, or NULL */
};

struct mail;
typedef void mail_done_fn(struct mail *m);

/* Some that arrived together: one transaction has them all. */
struct mail {
	struct node *n;
	struct call *call; /* NULL: nobody waits */
	mail_done_fn *done;
	Gfl__V1__SendMessagesRequest *in; /* ours */
	struct mail_item *items;
	size_t nitems;
	struct rpc *rpc;    /* while another node is asked */
	mail_sent_fn *sent; /* whom to tell of what we send ourselves */
	void *arg;
};

/* mail.c: one message, of which done is told once it is durable or refused; it
 * answers call, unless the mail has none any more. */
void mail_take(struct node *n, struct call *call, const Gfl__V1__MessageItem *m,
	       mail_done_fn *done);

/* comm.c */
void comm_serve(struct node *n);

/* box.c: what the file has of boxes, on the writer's thread. */
int box_open(struct node *n, struct err *err) MUST_CHECK;
/* Whose cursors these are: "0123456789abcdef". Returns out. */
enum { BOX_ID = 17 };
const char *box_id(const struct node *n, char out[BOX_ID]);
/* Is it of another cluster than before? It is of this one from now on. */
int box_cluster(struct node *n, bool *other, struct err *err) MUST_CHECK;
int box_store(struct db *db, void *mail, struct err *err) MUST_CHECK;

/* mail_box.c: is there surely no node of this id? */
bool mail_unknown(const struct node *n, int64_t to);
/* Within its bounds? */
int mail_check(const Gfl__V1__MessageItem *m, struct err *err) MUST_CHECK;
void mail_refuse(struct mail_item *item, enum err_code code, const char *why);
/* A sender without ids or times gets what it sends. */
void mail_complete(struct mail *mail, struct mail_item *item,
		   Gfl__V1__MessageItem *m);
/* Complete all of them and choose their boxes, with room in them; whether any
 * is to be stored. */
bool mail_choose(struct mail *mail);

/* outbox.c */
/* Room for one more message of len bytes, which is taken. */
int outbox_reserve(struct node *n, size_t len, struct err *err) MUST_CHECK;
void outbox_return(struct node *n, size_t len);
void outbox_arrived(struct node *n, const struct mail_item *item);
/* Until wall_ms an outbox tries to deliver m. */
int64_t outbox_expiry(const Gfl__V1__MessageItem *m, int64_t wall_ms);
/* How many of these are still here: the ids of what is for node `to`, up to
 * place `queued`; and how many were given up. */
int outbox_find(struct node *n, const Gfl__V1__WaitTakenRequest *in,
		int64_t *waiting, int64_t *lost, struct err *err) MUST_CHECK;

#endif
