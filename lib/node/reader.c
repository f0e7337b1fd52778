/* Readers of the inbox: held until there is something, acknowledging what they
 * have by its ids, or all at once by the cursor that they ask after. Who wants
 * only some of the messages acknowledges by ids: the rest stays for others. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "node/inbox_impl.h"
#include "node/mail_impl.h"
#include "node/rows.h"
#include "wire/rpc.h"

enum {
	READ_MAX = 1000, /* messages of one answer */
	READ_BYTES_MAX = 16 << 20,
	CHOSEN_MAX = 100, /* types, or senders, that one reader asks for */
};

/* A reader that is held until there is something, or its patience ends. */
struct reader {
	struct node *n;
	struct call *call;
	int64_t after;
	int max;
	char *types, *senders; /* JSON arrays, or NULL: all */
	bool busy;             /* its acknowledgement is being written */
	struct timer timer;
	LIST_ENTRY(reader) entry;
};

static void reader_free(struct reader *r)
{
	timer_stop(&r->timer);
	LIST_REMOVE(r, entry);
	free(r->types);
	free(r->senders);
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

static int select_items(struct reader *r, struct rows *out, struct err *err)
{
	struct db *db = r->n->reader;
	sqlite3_stmt *s;
	size_t bytes = 0;
	bool row;
	int rc = db_stmt(db, &s,
			 "SELECT cursor, " ROWS_COLUMNS " FROM inbox"
			 " WHERE cursor > ?1"
			 " AND (?2 IS NULL OR type IN"
			 "  (SELECT value FROM json_each(?2)))"
			 " AND (?3 IS NULL OR sender IN"
			 "  (SELECT value FROM json_each(?3)))"
			 " AND " INBOX_SHOWN("5") " ORDER BY cursor LIMIT ?4",
			 err);
	char *hides;

	if (rc)
		return rc;
	hides = handler_hides(r->n);
	sqlite3_bind_int64(s, 1, r->after);
	sqlite3_bind_text(s, 2, r->types, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 3, r->senders, -1, SQLITE_STATIC);
	sqlite3_bind_int(s, 4, r->max);
	sqlite3_bind_text(s, 5, hides, -1, free);
	while (!(rc = db_next(db, s, &row, err)) && row) {
		Gfl__V1__MessageItem *m;
		int64_t cursor;

		bytes += (size_t)sqlite3_column_bytes(s, ROWS_PAYLOAD);
		if (out->n && bytes > READ_BYTES_MAX)
			break;
		m = rows_add(out, s, &cursor);
		m->cursor = cursor;
	}
	db_done(s);
	rows_end(out);
	return rc;
}

/* Answer if there is something, or if that is to be the end. */
static void serve(struct reader *r, bool last)
{
	Gfl__V1__ReceiveMessagesResponse out =
		GFL__V1__RECEIVE_MESSAGES_RESPONSE__INIT;
	struct rows rows = {0};
	char box[BOX_ID];
	struct err err;
	int rc = select_items(r, &rows, &err);

	out.box = (char *)box_id(r->n, box);
	out.messages = rows.at;
	out.n_messages = rows.n;
	if (rc)
		call_fail(r->call, &err);
	else if (rows.n || last)
		call_reply(r->call, &out.base);
	if (rc || rows.n || last)
		reader_free(r);
	rows_release(&rows);
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
	handler_wake(n);
}

/* ---- acknowledging ---- */

struct taking {
	struct reader *r;
	Gfl__V1__ReceiveMessagesRequest *in; /* our copy */
	int64_t *cursors;                    /* of those taken one by one */
	size_t n, cap;
	int64_t taken, bytes;
	char *hides; /* what an acknowledgement by cursor leaves */
};

/* All of one statement, whose rows are a cursor and a length. */
static int take_rows(struct db *db, sqlite3_stmt *s, struct taking *t,
		     struct err *err)
{
	bool row;
	int rc;

	while (!(rc = db_next(db, s, &row, err)) && row) {
		t->cursors = mem_grow(t->cursors, &t->cap, t->n + 1,
				      sizeof(*t->cursors));
		t->cursors[t->n++] = sqlite3_column_int64(s, 0);
		t->bytes += sqlite3_column_int64(s, 1);
		t->taken++;
	}
	return rc;
}

#define TAKE "DELETE FROM inbox WHERE "
#define ROWS " RETURNING cursor, length(payload)"

static int take_upto(struct db *db, struct taking *t, struct err *err)
{
	sqlite3_stmt *s;
	bool row;

	if (!t->in->after)
		return 0;
	if (db_stmt(db, &s,
		    "SELECT sum(length(payload)) FROM inbox"
		    " WHERE cursor <= ?1 AND " INBOX_SHOWN("2"),
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, t->in->after);
	sqlite3_bind_text(s, 2, t->hides, -1, SQLITE_STATIC);
	if (db_next(db, s, &row, err))
		return (int)err->code;
	t->bytes += sqlite3_column_int64(s, 0);
	db_done(s);
	if (db_stmt(db, &s, TAKE "cursor <= ?1 AND " INBOX_SHOWN("2"), err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, t->in->after);
	sqlite3_bind_text(s, 2, t->hides, -1, SQLITE_STATIC);
	if (db_run(db, s, err))
		return (int)err->code;
	t->taken += sqlite3_changes(db_handle(db));
	return 0;
}

static int take_ids(struct db *db, struct taking *t, struct err *err)
{
	char *ids =
		inbox_ids((const char *const *)t->in->taken, t->in->n_taken);
	sqlite3_stmt *s;
	int rc = 0;

	if (ids)
		rc = db_stmt(db, &s,
			     TAKE "id IN (SELECT value FROM json_each(?))" ROWS,
			     err);
	if (ids && !rc) {
		sqlite3_bind_text(s, 1, ids, -1, SQLITE_STATIC);
		rc = take_rows(db, s, t, err);
	}
	free(ids);
	return rc;
}

static int take(struct db *db, void *arg, struct err *err)
{
	struct taking *t = arg;
	sqlite3_stmt *s;
	size_t n; /* of a run of cursors */

	t->taken = t->bytes = 0;
	t->n = 0;
	if (take_upto(db, t, err) || take_ids(db, t, err))
		return (int)err->code;
	for (size_t i = 0; i < t->in->n_cursors; i += n) {
		const int64_t *c = &t->in->cursors[i];

		for (n = 1; i + n < t->in->n_cursors; n++)
			if (c[n - 1] == INT64_MAX || c[n] != c[n - 1] + 1)
				break;
		if (db_stmt(db, &s, TAKE "cursor BETWEEN ? AND ?" ROWS, err))
			return (int)err->code;
		sqlite3_bind_int64(s, 1, c[0]);
		sqlite3_bind_int64(s, 2, c[n - 1]);
		if (take_rows(db, s, t, err))
			return (int)err->code;
	}
	return 0;
}

static void begin_reading(struct reader *r, int64_t wait_ms)
{
	Gfl__V1__ReceiveMessagesResponse none =
		GFL__V1__RECEIVE_MESSAGES_RESPONSE__INIT;

	r->busy = false;
	if (!r->call) {
		reader_free(r);
		return;
	}
	if (r->max < 0) {
		call_reply(r->call, &none.base);
		reader_free(r);
		return;
	}
	if (wait_ms > 0)
		timer_set(&r->timer, r->n->loop, wait_ms, patience_ends, r);
	serve(r, wait_ms <= 0);
}

static void taken(const struct err *err, void *arg)
{
	struct taking *t = arg;
	struct reader *r = t->r;
	const struct inbox_taken what = {t->in->after, t->cursors, t->n};
	int64_t wait_ms = t->in->wait_ms;

	if (!err) {
		inbox_return(r->n, t->taken, t->bytes);
		taken_look(r->n, &what);
	}
	free(t->cursors);
	free(t->hides);
	rpc_free(&t->in->base);
	free(t);
	if (!err) {
		begin_reading(r, wait_ms);
		return;
	}
	if (r->call)
		call_fail(r->call, err);
	reader_free(r);
}

static void acknowledge(struct reader *r,
			const Gfl__V1__ReceiveMessagesRequest *in)
{
	struct taking *t = mem_zero(1, sizeof(*t));
	struct err err;

	t->r = r;
	t->in = (Gfl__V1__ReceiveMessagesRequest *)rpc_copy(&in->base);
	t->hides = handler_hides(r->n);
	r->busy = true;
	if (writer_post(r->n->writer, take, taken, t, &err))
		taken(&err, t);
}

static int check(const Gfl__V1__ReceiveMessagesRequest *in, struct err *err)
{
	size_t n = in->n_taken + in->n_cursors;

	if (n > READ_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%zu messages acknowledged at once, at most %d",
			       n, READ_MAX);
	if (in->n_types > CHOSEN_MAX || in->n_senders > CHOSEN_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "at most %d types and %d senders of messages",
			       CHOSEN_MAX, CHOSEN_MAX);
	return 0;
}

/* "[1,2]", as SQLite's json_each() reads it. */
static char *types_of(const Gfl__V1__ReceiveMessagesRequest *in)
{
	struct buf b = BUF_INIT(0);

	for (size_t i = 0; i < in->n_types; i++)
		buf_putf(&b, "%c%" PRId32, i ? ',' : '[', in->types[i]);
	if (in->n_types)
		buf_putc(&b, ']');
	return in->n_types ? buf_take(&b) : NULL;
}

static char *senders_of(const Gfl__V1__ReceiveMessagesRequest *in)
{
	struct buf b = BUF_INIT(0);

	for (size_t i = 0; i < in->n_senders; i++)
		buf_putf(&b, "%c%" PRId64, i ? ',' : '[', in->senders[i]);
	if (in->n_senders)
		buf_putc(&b, ']');
	return in->n_senders ? buf_take(&b) : NULL;
}

static void on_receive(struct call *call, const ProtobufCMessage *msg,
		       void *arg)
{
	const Gfl__V1__ReceiveMessagesRequest *in =
		(const Gfl__V1__ReceiveMessagesRequest *)msg;
	struct node *n = arg;
	char box[BOX_ID];
	/* The cursors of another inbox, long gone, mean nothing here. */
	bool ours = !*in->box || !strcmp(in->box, box_id(n, box));
	struct reader *r;
	struct err err;

	if (check(in, &err)) {
		call_fail(call, &err);
		return;
	}
	r = mem_zero(1, sizeof(*r));
	r->n = n;
	r->call = call;
	if (ours)
		r->after = in->past > in->after ? in->past : in->after;
	r->max = in->max && in->max < READ_MAX ? in->max : READ_MAX;
	r->types = types_of(in);
	r->senders = senders_of(in);
	LIST_INSERT_HEAD(&n->inbox->readers, r, entry);
	call_on_cancel(call, reader_gone, r);
	if (ours && (in->after > 0 || in->n_taken || in->n_cursors))
		acknowledge(r, in);
	else
		begin_reading(r, in->wait_ms);
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
