/* Messages for this node: durable before they are acknowledged, once per id,
 * kept until the reader says that it has them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "node/inbox_impl.h"
#include "wire/rpc.h"

enum {
	WAITING_BYTES_MAX = 64 << 20, /* of payload */
	PAYLOAD_MAX = 4 << 20,
	ID_MAX = 128,
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
	bool row;

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
		inbox_wake(d->n);
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

	if (b->waiting >= INBOX_WAITING_MAX ||
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
	d->item->to = n->meta.node_id; /* a sender may know our URL only */
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

/* Once: whether to try again is for the sender to decide. */
static void pass(struct node *n, struct call *call,
		 const Gfl__V1__MessageItem *m, const char *url)
{
	Gfl__V1__SendMessageRequest in = GFL__V1__SEND_MESSAGE_REQUEST__INIT;
	struct rpc_opts opts = {
		.timeout_ms = FORWARD_MS,
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
	inbox_serve_readers(n);
}

void inbox_close(struct node *n)
{
	if (!n->inbox)
		return;
	inbox_close_readers(n);
	free(n->inbox);
	n->inbox = NULL;
}
