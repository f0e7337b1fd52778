/* Messages for this node: durable before they are acknowledged, kept until the
 * reader says that it has them. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "node/inbox_impl.h"

enum { WAITING_BYTES_MAX = 64 << 20 }; /* of payload */

/* The first form of the table, which box_schema changes. */
const char inbox_schema[] =
	"CREATE TABLE inbox ("
	" cursor INTEGER PRIMARY KEY AUTOINCREMENT,"
	" id TEXT NOT NULL UNIQUE, sender INTEGER NOT NULL,"
	" receiver INTEGER NOT NULL, type INTEGER NOT NULL,"
	" payload BLOB NOT NULL, sent_ms INTEGER NOT NULL,"
	" taken INTEGER NOT NULL DEFAULT 0) STRICT;"
	"CREATE INDEX inbox_waiting ON inbox (cursor) WHERE taken = 0;";

int inbox_open(struct node *n, struct err *err)
{
	struct inbox *b = mem_zero(1, sizeof(*b));

	n->inbox = b;
	if (db_number(n->reader, "SELECT count(*) FROM inbox", 0, &b->waiting,
		      err) ||
	    db_number(n->reader, "SELECT sum(length(payload)) FROM inbox", 0,
		      &b->bytes, err))
		return (int)err->code;
	return 0;
}

int64_t inbox_count(const struct node *n)
{
	return n->inbox->waiting;
}

static int full(const struct node *n, struct err *err)
{
	const struct inbox *b = n->inbox;

	if (b->waiting >= INBOX_WAITING_MAX)
		err_full(err,
			 "the inbox of node %" PRId64 " is full: %" PRId64
			 " messages",
			 n->meta.node_id, b->waiting);
	else
		err_full(err,
			 "the inbox of node %" PRId64
			 " is full: %.0f of %d MiB",
			 n->meta.node_id, (double)b->bytes / (1 << 20),
			 WAITING_BYTES_MAX >> 20);
	return err_hint(err, "read it: gfl-recv --node %" PRId64,
			n->meta.node_id);
}

int inbox_reserve(struct node *n, size_t len, struct err *err)
{
	struct inbox *b = n->inbox;

	if (b->waiting >= INBOX_WAITING_MAX ||
	    b->bytes + (int64_t)len > WAITING_BYTES_MAX)
		return full(n, err);
	b->waiting++;
	b->bytes += (int64_t)len;
	return 0;
}

void inbox_return(struct node *n, int64_t messages, int64_t bytes)
{
	n->inbox->waiting -= messages;
	n->inbox->bytes -= bytes;
}

void inbox_close(struct node *n)
{
	if (!n->inbox)
		return;
	inbox_close_readers(n);
	taken_close(n);
	free(n->inbox);
	n->inbox = NULL;
}
