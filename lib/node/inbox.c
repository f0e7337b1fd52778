/* Messages for this node: durable before they are acknowledged, once per id,
 * kept until the reader says that it has them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/node_impl.h"
#include "wire/rpc.h"

enum {
	WAITING_MAX = 10000,          /* messages */
	WAITING_BYTES_MAX = 64 << 20, /* of payload */
	PAYLOAD_MAX = 4 << 20,
	TAKEN_MAX = 10000, /* ids remembered of messages taken */
	ID_MAX = 128,
	READ_MAX = 1000, /* messages of one answer */
	READ_BYTES_MAX = 16 << 20,
	FORWARD_MS = 10000,
};

const char inbox_schema[] =
	"CREATE TABLE inbox ("
	" cursor INTEGER PRIMARY KEY AUTOINCREMENT,"
	" id TEXT NOT NULL UNIQUE, sender INTEGER NOT NULL,"
	" receiver INTEGER NOT NULL, type INTEGER NOT NULL,"
	" payload BLOB NOT NULL, sent_ms INTEGER NOT NULL,"
	" taken INTEGER NOT NULL DEFAULT 0) STRICT;"
	"CREATE INDEX inbox_waiting ON inbox (cursor) WHERE taken = 0;";

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

struct inbox {
	int64_t waiting, bytes; /* as committed and as being committed */
	LIST_HEAD(, reader) readers;
};

/* A message on its way into the file, or to another node. */
struct delivery {
	struct node *n;
	struct call *call; /* NULL once its client has gone */
	Gfl__V1__MessageItem *item;
	struct rpc *rpc;
	int64_t cursor;
	bool fresh;
};

int inbox_open(struct node *n, struct err *err)
{
	struct inbox *b = mem_zero(1, sizeof(*b));

	n->inbox = b;
	if (db_number(n->reader, "SELECT count(*) FROM inbox WHERE taken = 0",
		      0, &b->waiting, err) ||
	    db_number(n->reader,
		      "SELECT sum(length(payload)) FROM inbox WHERE taken = 0",
		      0, &b->bytes, err))
		return (int)err->code;
	return 0;
}

int64_t inbox_count(const struct node *n)
{
	return n->inbox->waiting;
}

/* ---- reading ---- */

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

static void wake(struct inbox *b)
{
	struct reader *r, *next;

	for (r = LIST_FIRST(&b->readers); r; r = next) {
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
		   TAKEN_MAX + WAITING_MAX, err);
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

/* ---- receiving ---- */

static void delivery_free(struct delivery *d)
{
	client_cancel(d->rpc);
	rpc_free(&d->item->base);
	free(d);
}

static int insert(struct db *db, void *arg, struct err *err)
{
	struct delivery *d = arg;
	const Gfl__V1__MessageItem *m = d->item;
	sqlite3_stmt *s;

	if (db_stmt(db, &s,
		    "INSERT OR IGNORE INTO inbox"
		    " (id, sender, receiver, type, payload, sent_ms)"
		    " VALUES (?, ?, ?, ?, ?, ?)",
		    err))
		return (int)err->code;
	sqlite3_bind_text(s, 1, m->id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, m->from);
	sqlite3_bind_int64(s, 3, m->to);
	sqlite3_bind_int(s, 4, m->type);
	sqlite3_bind_blob(s, 5, m->payload.len ? (void *)m->payload.data : "",
			  (int)m->payload.len, SQLITE_STATIC);
	sqlite3_bind_int64(s, 6, m->sent_ms);
	if (db_run(db, s, err))
		return (int)err->code;
	d->fresh = sqlite3_changes(db_handle(db)) > 0;
	if (db_stmt(db, &s, "SELECT cursor FROM inbox WHERE id = ?", err))
		return (int)err->code;
	sqlite3_bind_text(s, 1, m->id, -1, SQLITE_STATIC);
	bool row;
	if (db_next(db, s, &row, err))
		return (int)err->code;
	d->cursor = row ? sqlite3_column_int64(s, 0) : 0;
	db_done(s);
	return 0;
}

static void inserted(const struct err *err, void *arg)
{
	struct delivery *d = arg;
	struct inbox *b = d->n->inbox;
	Gfl__V1__SendMessageResponse out = GFL__V1__SEND_MESSAGE_RESPONSE__INIT;

	if (err || !d->fresh) {
		b->waiting--;
		b->bytes -= (int64_t)d->item->payload.len;
	}
	out.cursor = d->cursor;
	if (d->call && err)
		call_fail(d->call, err);
	else if (d->call)
		call_reply(d->call, &out.base);
	if (!err && d->fresh && !d->n->ended)
		wake(b);
	delivery_free(d);
}

static void sender_gone(struct call *call, void *arg)
{
	struct delivery *d = arg;

	(void)call;
	d->call = NULL;
	if (d->rpc)
		delivery_free(d);
}

static struct delivery *delivery_new(struct node *n, struct call *call,
				     const Gfl__V1__MessageItem *m)
{
	struct delivery *d = mem_zero(1, sizeof(*d));

	d->n = n;
	d->call = call;
	d->item = (Gfl__V1__MessageItem *)rpc_copy(&m->base);
	if (!d->item->sent_ms)
		d->item->sent_ms = clock_wall_ms();
	if (!*d->item->id) { /* a sender without ids gets what it sends */
		d->item->id = mem_zero(1, RAFT_STORE_ID + 1);
		node_draw_id(d->item->id);
	}
	call_on_cancel(call, sender_gone, d);
	return d;
}

static void keep(struct node *n, struct call *call,
		 const Gfl__V1__MessageItem *m)
{
	struct inbox *b = n->inbox;
	struct delivery *d;
	struct err err;

	if (b->waiting >= WAITING_MAX ||
	    b->bytes + (int64_t)m->payload.len > WAITING_BYTES_MAX) {
		err_set(&err, ERR_RESOURCE_EXHAUSTED,
			"the inbox of node %" PRId64 " is full: %" PRId64
			" messages",
			n->meta.node_id, b->waiting);
		err_hint(&err, "read it: gfl-recv --node %" PRId64,
			 n->meta.node_id);
		call_fail(call, &err);
		return;
	}
	d = delivery_new(n, call, m);
	b->waiting++;
	b->bytes += (int64_t)m->payload.len;
	if (writer_post(n->writer, insert, inserted, d, &err))
		inserted(&err, d);
}

/* ---- for another node ---- */

static void passed(const struct err *err, const ProtobufCMessage *out,
		   void *arg)
{
	struct delivery *d = arg;

	d->rpc = NULL;
	if (err)
		call_fail(d->call, err);
	else
		call_reply(d->call, out);
	delivery_free(d);
}

static void pass(struct node *n, struct call *call,
		 const Gfl__V1__MessageItem *m, const char *url)
{
	Gfl__V1__SendMessageRequest in = GFL__V1__SEND_MESSAGE_REQUEST__INIT;
	struct rpc_opts opts = {
		.timeout_ms = FORWARD_MS,
		.retry = true,
		.forwarded = true,
		.bind = n->cfg.bind,
	};
	int64_t left_ms = call_deadline_ms(call) - clock_ms();
	struct delivery *d = delivery_new(n, call, m);

	if (left_ms < opts.timeout_ms)
		opts.timeout_ms = left_ms > 1 ? left_ms : 1;
	in.message = d->item;
	d->rpc = client_call(n->client, url, RPC_NODE_SEND_MESSAGE, &in.base,
			     &opts, passed, d);
}

static int check(const struct node *n, const Gfl__V1__MessageItem *m,
		 struct err *err)
{
	if (!n->driver)
		return err_set(err, ERR_UNAVAILABLE,
			       "not a member yet: waiting for %s",
			       membership_waits(n));
	if (!m)
		return err_set(err, ERR_INVALID_ARGUMENT, "no message");
	if (strlen(m->id) > ID_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "message id of %zu bytes, at most %d",
			       strlen(m->id), ID_MAX);
	if (m->payload.len > PAYLOAD_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "message of %zu bytes, at most %d",
			       m->payload.len, PAYLOAD_MAX);
	return 0;
}

static void on_send(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__MessageItem *m =
		((const Gfl__V1__SendMessageRequest *)msg)->message;
	struct node *n = arg;
	const char *url = NULL;
	struct err err;

	if (check(n, m, &err)) {
		call_fail(call, &err);
		return;
	}
	if (!m->to || m->to == n->meta.node_id) {
		keep(n, call, m);
		return;
	}
	if (state_member(n->state, m->to) && !call_forwarded(call))
		url = node_url_of(n, m->to);
	if (url) {
		pass(n, call, m, url);
		return;
	}
	err_set(&err, ERR_NOT_FOUND, "node %" PRId64 " is no member", m->to);
	call_fail(call, &err);
}

void inbox_serve(struct node *n)
{
	server_handle(n->server, RPC_NODE_SEND_MESSAGE, on_send, n);
	server_handle(n->server, RPC_NODE_RECEIVE_MESSAGES, on_receive, n);
}

void inbox_close(struct node *n)
{
	struct reader *r;

	if (!n->inbox)
		return;
	while ((r = LIST_FIRST(&n->inbox->readers)))
		reader_free(r);
	free(n->inbox);
	n->inbox = NULL;
}
