/* rows.h - messages out of the file, for one answer or request: few pieces of
 * memory, however many there are. */
#ifndef NODE_ROWS_H
#define NODE_ROWS_H

#include <sqlite3.h>

#include "base/buf.h"
#include "proto/node.pb-c.h"

/* What a statement selects for rows_add(), with the number first. */
#define ROWS_COLUMNS "id, sender, receiver, type, payload, sent_ms"
enum {
	ROWS_PAYLOAD = 5,
	ROWS_NEXT = 7
}; /* columns; the next is the caller's */

struct rows_at {
	size_t id, payload; /* in the bytes */
};

/* All zero is empty. */
struct rows {
	Gfl__V1__MessageItem *items, **at; /* once rows_end() has run */
	struct rows_at *where;
	size_t n, items_cap, where_cap;
	struct buf bytes;
};

/* The row on which s stands; *number is its first column. The item is the
 * caller's to complete before the next. */
Gfl__V1__MessageItem *rows_add(struct rows *r, sqlite3_stmt *s,
			       int64_t *number);

/* No more: r->at has n pointers to items that point into r. */
void rows_end(struct rows *r);

void rows_release(struct rows *r);

#endif
