/* Readers of the inbox: held until there is something, acknowledging what they
 * have by the cursor that they ask after. */
#include <stdlib.h>

#include "base/mem.h"
#include "node/inbox_impl.h"
#include "wire/rpc.h"

enum {
	TAKEN_MAX = 10000, /* ids remembered of messages taken */
	READ_MAX = 1000,   /* messages of one answer */
	READ_BYTES_MAX = 16 << 20,
};

/* A reader that is held until there is something, or its patience ends. */
struct reader {
	struct node *n;
	struct call *call;
	int64_t after;
	int max;
	bool busy; /* its acknowledgement is being written */
	struct timer timer;
	LIST_ENTRY(reader) entry;
};

static void reader_free(struct reader *r)
{
	timer_stop(&r->timer);
	LIST_REMOVE(r, entry);
	free(r);
}

static void reader_gone(struct call *call, void *arg)
{
	struct reader *r = arg;

	(void)call;
	r->call = NULL;
	if (!r->busy)
		reader_free(r);
}

static Gfl__V1__MessageItem *item_of(sqlite3_stmt *s)
{
	Gfl__V1__MessageItem *m = mem_zero(1, sizeof(*m));
	size_t len = (size_t)sqlite3_column_bytes(s, 5);

	gfl__v1__message_item__init(m);
	m->cursor = sqlite3_column_int64(s, 0);
	m->id = mem_str((const char *)sqlite3_column_text(s, 1));
	m->from = sqlite3_column_int64(s, 2);
	m->to = sqlite3_column_int64(s, 3);
	m->type = sqlite3_column_int(s, 4);
	m->payload.len = len;
	m->payload.data = mem_dup(sqlite3_column_blob(s, 5), len);
	m->sent_ms = sqlite3_column_int64(s, 6);
	return m;
}

static void add_item(Gfl__V1__ReceiveMessagesResponse *out, sqlite3_stmt *s)
{
	size_t n = out->n_messages++;

	out->messages =
		realloc(out->messages, out->n_messages * sizeof(void *));
	out->messages[n] = item_of(s);
}

static int select_items(struct reader *r, Gfl__V1__ReceiveMessagesResponse *out,
			struct err *err)
{
	struct db *db = r->n->reader;
	sqlite3_stmt *s;
	size_t bytes = 0;
	bool row;
	int rc = db_stmt(db, &s,
			 "SELECT cursor, id, sender, receiver, type, payload,"
			 " sent_ms FROM inbox WHERE taken = 0 AND cursor > ?"
			 " ORDER BY cursor LIMIT ?",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, r->after);
	sqlite3_bind_int(s, 2, r->max);
	while (!(rc = db_next(db, s, &row, err)) && row) {
		bytes += (size_t)sqlite3_column_bytes(s, 5);
		if (out->n_messages && bytes > READ_BYTES_MAX)
			break;
		add_item(out, s);
	}
	db_done(s);
	return rc;
}

/* Answer if there is something, or if that is to be the end. */
static void serve(struct reader *r, bool last)
{
	Gfl__V1__ReceiveMessagesResponse *out = mem_zero(1, sizeof(*out));
	struct err err;

	gfl__v1__receive_messages_response__init(out);
	if (select_items(r, out, &err)) {
		call_fail(r->call, &err);
		reader_free(r);
	} else if (out->n_messages || last) {
		call_reply(r->call, &out->base);
		reader_free(r);
	}
	rpc_free(&out->base);
}

static void patience_ends(void *arg)
{
	serve(arg, true);
}

void inbox_wake(struct node *n)
{
	struct reader *r, *next;

	for (r = LIST_FIRST(&n->inbox->readers); r; r = next) {
		next = LIST_NEXT(r, entry);
		if (!r->busy)
			serve(r, false);
	}
}

/* ---- acknowledging ---- */

struct taking {
	struct reader *r;
	int64_t after, taken, bytes;
	int64_t wait_ms;
};

static int number(struct db *db, const char *sql, int64_t arg, int64_t *out,
		  struct err *err)
{
	sqlite3_stmt *s;
	bool row;

	if (db_stmt(db, &s, sql, err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, arg);
	if (db_next(db, s, &row, err))
		return (int)err->code;
	*out = row ? sqlite3_column_int64(s, 0) : 0;
	db_done(s);
	return 0;
}

static int run(struct db *db, const char *sql, int64_t arg, struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s, sql, err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, arg);
	return db_run(db, s, err);
}

/* The payload goes, the id stays for a while, against a late repetition. */
static int take(struct db *db, void *arg, struct err *err)
{
	struct taking *t = arg;

	if (number(db,
		   "SELECT sum(length(payload)) FROM inbox"
		   " WHERE taken = 0 AND cursor <= ?",
		   t->after, &t->bytes, err) ||
	    run(db,
		"UPDATE inbox SET taken = 1, payload = x''"
		" WHERE taken = 0 AND cursor <= ?",
		t->after, err))
		return (int)err->code;
	t->taken = sqlite3_changes(db_handle(db));
	return run(db,
		   "DELETE FROM inbox WHERE taken = 1 AND cursor <="
		   " (SELECT max(cursor) FROM inbox) - ?",
		   TAKEN_MAX + INBOX_WAITING_MAX, err);
}

static void begin_reading(struct reader *r, int64_t wait_ms)
{
	r->busy = false;
	if (!r->call) {
		reader_free(r);
		return;
	}
	if (wait_ms > 0)
		timer_set(&r->timer, r->n->loop, wait_ms, patience_ends, r);
	serve(r, wait_ms <= 0);
}

static void taken(const struct err *err, void *arg)
{
	struct taking t = *(struct taking *)arg;
	struct inbox *b = t.r->n->inbox;

	free(arg);
	if (err) {
		if (t.r->call)
			call_fail(t.r->call, err);
		reader_free(t.r);
		return;
	}
	b->waiting -= t.taken;
	b->bytes -= t.bytes;
	begin_reading(t.r, t.wait_ms);
}

static void on_receive(struct call *call, const ProtobufCMessage *msg,
		       void *arg)
{
	const Gfl__V1__ReceiveMessagesRequest *in =
		(const Gfl__V1__ReceiveMessagesRequest *)msg;
	struct node *n = arg;
	struct reader *r = mem_zero(1, sizeof(*r));
	struct taking *t;
	struct err err;

	r->n = n;
	r->call = call;
	r->after = in->after;
	r->max = in->max > 0 && in->max < READ_MAX ? in->max : READ_MAX;
	LIST_INSERT_HEAD(&n->inbox->readers, r, entry);
	call_on_cancel(call, reader_gone, r);
	if (in->after <= 0) {
		begin_reading(r, in->wait_ms);
		return;
	}
	t = mem_zero(1, sizeof(*t));
	*t = (struct taking){
		.r = r, .after = in->after, .wait_ms = in->wait_ms};
	r->busy = true;
	if (writer_post(n->writer, take, taken, t, &err))
		taken(&err, t);
}

void inbox_serve_readers(struct node *n)
{
	server_handle(n->server, RPC_NODE_RECEIVE_MESSAGES, on_receive, n);
}

void inbox_close_readers(struct node *n)
{
	struct reader *r;

	while ((r = LIST_FIRST(&n->inbox->readers)))
		reader_free(r);
}
