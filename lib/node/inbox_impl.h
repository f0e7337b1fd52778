/* inbox_impl.h - the inbox, for those who fill it and those who empty it. */
#ifndef NODE_INBOX_IMPL_H
#define NODE_INBOX_IMPL_H

#include "node/node_impl.h"

enum { INBOX_WAITING_MAX = 10000 }; /* messages */

struct reader;

struct inbox {
	int64_t waiting, bytes; /* as committed and as being committed */
	LIST_HEAD(, reader) readers;
};

/* reader.c */
void inbox_serve_readers(struct node *n);
void inbox_wake(struct node *n); /* there is something new */
void inbox_close_readers(struct node *n);

#endif
