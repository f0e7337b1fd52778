/* Senders that wait until a reader has taken what they sent. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "node/inbox_impl.h"
#include "node/mail_impl.h"
#include "wire/rpc.h"

enum {
	HOLD_MAX_MS = 30000,
	ANSWER_MS = 5000, /* for an answer once the other node has held it */
	IDS_MAX = 1000,
	PREFIX_MAX = 32,
};

/* One of them, held until all is taken or its patience ends. */
struct taker {
	struct node *n;
	struct call *call;
	Gfl__V1__WaitTakenRequest *in; /* our copy; to is a node's id */
	int64_t end_ms;
	int64_t *cursors; /* here: of those not yet taken */
	size_t ncursors;
	struct rpc *rpc; /* elsewhere: its node is asked */
	int64_t lost;
	struct timer timer;
	LIST_ENTRY(taker) entry;
};

char *inbox_ids(const char *const *ids, size_t n)
{
	json_t *all = json_array();
	char *text = NULL;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(all, json_string(ids[i]));
	if (n)
		text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	return text;
}

static void taker_free(struct taker *t)
{
	timer_stop(&t->timer);
	client_cancel(t->rpc);
	LIST_REMOVE(t, entry);
	rpc_free(&t->in->base);
	free(t->cursors);
	free(t);
}

static void taker_gone(struct call *call, void *arg)
{
	(void)call;
	taker_free(arg);
}

static void answer(struct taker *t, int64_t waiting)
{
	Gfl__V1__WaitTakenResponse out = GFL__V1__WAIT_TAKEN_RESPONSE__INIT;

	out.waiting = waiting;
	out.lost = t->lost;
	call_reply(t->call, &out.base);
	taker_free(t);
}

static void fail(struct taker *t, const struct err *err)
{
	call_fail(t->call, err);
	taker_free(t);
}

static int64_t left_ms(const struct taker *t)
{
	int64_t ms = t->end_ms - clock_ms();

	return ms > 0 ? ms : 0;
}

/* ---- in our inbox ---- */

static int load(struct taker *t, struct err *err)
{
	char *ids = inbox_ids((const char *const *)t->in->ids, t->in->n_ids);
	struct db *db = t->n->reader;
	size_t cap = 0;
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s, "SELECT cursor FROM inbox WHERE " INBOX_BY_ID,
			 err);

	if (!rc) {
		sqlite3_bind_text(s, 2, t->in->prefix, -1, SQLITE_STATIC);
		sqlite3_bind_text(s, 3, ids, -1, SQLITE_STATIC);
	}
	while (!rc && !(rc = db_next(db, s, &row, err)) && row) {
		t->cursors = mem_grow(t->cursors, &cap, t->ncursors + 1,
				      sizeof(*t->cursors));
		t->cursors[t->ncursors++] = sqlite3_column_int64(s, 0);
	}
	free(ids);
	return rc;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Readers leave what handlers have yet to deal with, below their cursor. */
static bool is_there(struct node *n, int64_t cursor)
{
	sqlite3_stmt *s;
	struct err err;
	bool row;

	if (db_stmt(n->reader, &s, "SELECT 1 FROM inbox WHERE cursor = ?",
		    &err))
		return true;
	sqlite3_bind_int64(s, 1, cursor);
	if (db_next(n->reader, s, &row, &err))
		return true;
	db_done(s);
	return row;
}

static bool is_taken(struct node *n, const struct inbox_taken *what,
		     int64_t cursor)
{
	if (what->n &&
	    bsearch(&cursor, what->cursors, what->n, sizeof(cursor), compare))
		return true;
	return cursor <= what->upto && !is_there(n, cursor);
}

void taken_look(struct node *n, const struct inbox_taken *what)
{
	struct taker *t, *next;

	if (what->n && !LIST_EMPTY(&n->inbox->takers))
		qsort(what->cursors, what->n, sizeof(*what->cursors), compare);
	for (t = LIST_FIRST(&n->inbox->takers); t; t = next) {
		size_t kept = 0;

		next = LIST_NEXT(t, entry);
		for (size_t i = 0; i < t->ncursors; i++)
			if (!is_taken(n, what, t->cursors[i]))
				t->cursors[kept++] = t->cursors[i];
		if (t->ncursors && !kept)
			answer(t, 0);
		else
			t->ncursors = kept;
	}
}

static void begin_here(struct taker *t)
{
	struct err err;

	if (load(t, &err))
		fail(t, &err);
	else if (!t->ncursors)
		answer(t, 0);
}

/* ---- on their way to another's ---- */

static void asked(const struct err *err, const ProtobufCMessage *out, void *arg)
{
	struct taker *t = arg;

	t->rpc = NULL;
	if (err)
		fail(t, err);
	else
		answer(t, ((const Gfl__V1__WaitTakenResponse *)out)->waiting);
}

static void ask(struct taker *t)
{
	Gfl__V1__WaitTakenRequest in = *t->in;
	const struct rpc_opts opts = {
		.timeout_ms = left_ms(t) + ANSWER_MS,
		.forwarded = true,
	};
	const char *url = node_url_of(t->n, t->in->to);
	struct err err;

	if (!url) {
		err_set(&err, ERR_UNAVAILABLE,
			"node %lld is nowhere to be found",
			(long long)t->in->to);
		fail(t, &err);
		return;
	}
	in.queued = 0;
	in.wait_ms = left_ms(t);
	t->rpc = client_call(t->n->client, url, RPC_NODE_WAIT_TAKEN, &in.base,
			     &opts, asked, t);
}

/* Whatever is still in the outbox keeps it waiting here. */
static void look(struct taker *t, bool last)
{
	int64_t waiting = 0;
	struct err err;

	if (t->in->queued && outbox_find(t->n, t->in, &waiting, &t->lost, &err))
		fail(t, &err);
	else if (waiting && last)
		answer(t, waiting);
	else if (!waiting && t->lost)
		answer(t, 0); /* that will not change */
	else if (!waiting)
		ask(t);
}

void taken_left(struct node *n, int64_t to)
{
	struct taker *t, *next;

	for (t = LIST_FIRST(&n->inbox->takers); t; t = next) {
		next = LIST_NEXT(t, entry);
		if (t->in->to == to && !t->rpc && to != n->meta.node_id)
			look(t, false);
	}
}

static void patience_ends(void *arg)
{
	struct taker *t = arg;

	if (t->in->to == t->n->meta.node_id)
		answer(t, (int64_t)t->ncursors);
	else if (!t->rpc)
		look(t, true);
}

/* ---- asked ---- */

static int check(struct node *n, struct call *call,
		 const Gfl__V1__WaitTakenRequest *in, struct err *err)
{
	if (in->n_ids > IDS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%zu ids at once, at most %d", in->n_ids,
			       IDS_MAX);
	if (strlen(in->prefix) > PREFIX_MAX ||
	    in->prefix[strspn(in->prefix, "0123456789abcdef")])
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a prefix is at most %d hex digits", PREFIX_MAX);
	if (in->to && in->to != n->meta.node_id &&
	    (call_forwarded(call) || !n->driver || mail_unknown(n, in->to)))
		return err_set(err, ERR_NOT_FOUND, "node %lld is no member",
			       (long long)in->to);
	return 0;
}

static void on_wait(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__WaitTakenRequest *in =
		(const Gfl__V1__WaitTakenRequest *)msg;
	int64_t wait_ms = in->wait_ms < HOLD_MAX_MS ? in->wait_ms : HOLD_MAX_MS;
	struct node *n = arg;
	struct taker *t;
	struct err err;

	if (check(n, call, in, &err)) {
		call_fail(call, &err);
		return;
	}
	t = mem_zero(1, sizeof(*t));
	t->n = n;
	t->call = call;
	t->in = (Gfl__V1__WaitTakenRequest *)rpc_copy(msg);
	t->in->to = in->to ? in->to : n->meta.node_id;
	t->end_ms = clock_ms() + (wait_ms > 0 ? wait_ms : 0);
	LIST_INSERT_HEAD(&n->inbox->takers, t, entry);
	call_on_cancel(call, taker_gone, t);
	timer_set(&t->timer, n->loop, left_ms(t), patience_ends, t);
	if (t->in->to == n->meta.node_id)
		begin_here(t);
	else
		look(t, false);
}

void taken_serve(struct node *n)
{
	server_handle(n->server, RPC_NODE_WAIT_TAKEN, on_wait, n);
}

void taken_close(struct node *n)
{
	struct taker *t;

	while ((t = LIST_FIRST(&n->inbox->takers)))
		taker_free(t);
}
