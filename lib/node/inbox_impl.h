/* inbox_impl.h - the inbox, for those who fill it and those who empty it. */
#ifndef NODE_INBOX_IMPL_H
#define NODE_INBOX_IMPL_H

#include "node/node_impl.h"

enum { INBOX_WAITING_MAX = 10000 }; /* messages */

struct reader;
struct taker;
struct mail_item;

struct inbox {
	int64_t waiting, bytes; /* as committed and as being committed */
	LIST_HEAD(, reader) readers;
	LIST_HEAD(, taker) takers; /* who waits for the readers */
};

/* Room for one more message of len bytes, which is taken. */
int inbox_reserve(struct node *n, size_t len, struct err *err) MUST_CHECK;
void inbox_return(struct node *n, int64_t messages, int64_t bytes);

/* Ids as SQLite's json_each() reads them, or NULL if there is none; free(). */
char *inbox_ids(const char *const *ids, size_t n);

/* Messages whose ids begin with ?2, which is hex digits or empty, or are among
 * ?3. */
#define INBOX_BY_ID                                          \
	"((?2 <> '' AND id >= ?2 AND id < ?2 || 'g') OR id " \
	"IN (SELECT value FROM json_each(?3)))"

/* Those that handlers leave to readers; parameter n is handler_hides(). */
#define INBOX_SHOWN(n)                                                     \
	"(?" n " IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(?" n ") h" \
	" WHERE h.value ->> 0 = inbox.type AND inbox.cursor > h.value ->> 1))"

/* reader.c */
void inbox_serve_readers(struct node *n);
void inbox_wake(struct node *n); /* there is something new */
void inbox_close_readers(struct node *n);

/* What readers have taken: all up to a cursor, and these. */
struct inbox_taken {
	int64_t upto;
	int64_t *cursors; /* may be put in order */
	size_t n;
};

/* taken.c */
void taken_serve(struct node *n);
void taken_look(struct node *n, const struct inbox_taken *what);
void taken_left(struct node *n, int64_t to); /* the outbox, for node `to` */
void taken_close(struct node *n);

#endif
