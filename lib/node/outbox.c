/* Messages for others: each receiver has its lane, in which one batch at a time
 * is under way. They leave the file once the receiver has them in its own, so
 * what a killed node had sent is sent again; the receiver tells by its seq. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/inbox_impl.h"
#include "node/mail_impl.h"
#include "node/outbox_impl.h"
#include "node/rows.h"
#include "wire/rpc.h"

enum {
	WAITING_MAX = 100000,
	WAITING_BYTES_MAX = 256 << 20, /* of payload */
	EXPIRE_MS = 3600 * 1000,       /* where a sender says nothing */
	ANSWER_MS = 10000,
};

static void on_time(void *arg)
{
	outbox_go(arg);
}

static struct line *line_of(struct node *n, int64_t to)
{
	struct line *l;

	HASH_FIND(hh, n->outbox->lines, &to, sizeof(to), l);
	if (l)
		return l;
	l = mem_zero(1, sizeof(*l));
	l->n = n;
	l->to = to;
	lane_init(&l->lane);
	HASH_ADD(hh, n->outbox->lines, to, sizeof(l->to), l);
	return l;
}

/* ---- room ---- */

int outbox_reserve(struct node *n, size_t len, struct err *err)
{
	struct outbox *o = n->outbox;

	if (o->waiting >= WAITING_MAX)
		return err_full(err,
				"the outbox of node %" PRId64
				" is full: %d messages",
				n->meta.node_id, WAITING_MAX);
	if (o->bytes + (int64_t)len > WAITING_BYTES_MAX)
		return err_full(err,
				"the outbox of node %" PRId64
				" is full: %.0f of %d MiB",
				n->meta.node_id, (double)o->bytes / (1 << 20),
				WAITING_BYTES_MAX >> 20);
	o->waiting++;
	o->bytes += (int64_t)len;
	return 0;
}

void outbox_return(struct node *n, size_t len)
{
	n->outbox->waiting--;
	n->outbox->bytes -= (int64_t)len;
}

int64_t outbox_expiry(const Gfl__V1__MessageItem *m, int64_t wall_ms)
{
	int64_t ms = m->expire_ms ? m->expire_ms : EXPIRE_MS;

	return ms < INT64_MAX - wall_ms ? wall_ms + ms : INT64_MAX;
}

void outbox_counts(const struct node *n, int64_t *waiting, int64_t *delivered,
		   int64_t *expired)
{
	*waiting = n->outbox->waiting;
	*delivered = n->outbox->delivered;
	*expired = n->outbox->expired;
}

/* ---- to the receiver ---- */

static void log_trouble(struct line *l, const struct err *err)
{
	if (!l->troubled)
		log_warn("outbox_waits",
			 "to=%" PRId64 " messages=%" PRId64 " error=%s", l->to,
			 l->lane.waiting, err->msg);
	l->troubled = true;
}

static void failed(struct line *l, const struct err *err)
{
	log_trouble(l, err);
	lane_failed(&l->lane, err->code, clock_ms(), &l->n->outbox->rand);
	outbox_go(l);
}

static void works(struct line *l)
{
	lane_works(&l->lane);
	if (l->troubled)
		log_info("outbox_goes_on", "to=%" PRId64, l->to);
	l->troubled = false;
}

static void settle(struct line *l, size_t delivered)
{
	struct outbox *o = l->n->outbox;

	for (size_t i = 0; i < delivered; i++) {
		const struct sent *s = &l->batch[i];

		lane_settled(&l->lane, s->seq, s->len);
		o->bytes -= s->len;
	}
	o->waiting -= (int64_t)delivered;
	o->delivered += (int64_t)delivered;
	removal_begin(l, REMOVAL_UPTO, l->batch[delivered - 1].seq, NULL);
}

/* The first of the batch are delivered; then one may hold the rest up. */
static void answered(struct line *l, const Gfl__V1__SendMessagesResponse *out)
{
	enum lane_fate fate = LANE_AGAIN;
	struct err err;
	size_t k = 0;

	err_set(&err, ERR_INTERNAL, "%zu messages, %zu outcomes", l->nbatch,
		out->n_outcomes);
	for (; k < l->nbatch && k < out->n_outcomes; k++) {
		const Gfl__V1__MessageOutcome *one = out->outcomes[k];

		fate = lane_fate((enum err_code)one->code);
		if (fate == LANE_DELIVERED)
			continue;
		err_set(&err, (enum err_code)one->code, "%s", one->error);
		break;
	}
	if (k)
		works(l);
	if (k)
		settle(l, k);
	if (k == l->nbatch) {
		outbox_go(l);
	} else if (fate == LANE_NEVER) {
		l->lane.busy = true;
		l->lane.done = l->batch[k].seq;
		removal_begin(l, REMOVAL_ONE, l->batch[k].seq, err.msg);
	} else {
		failed(l, &err);
	}
}

static void on_answer(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	struct line *l = arg;

	l->rpc = NULL;
	l->lane.busy = false;
	if (err)
		failed(l, err);
	else
		answered(l, (const Gfl__V1__SendMessagesResponse *)out);
}

/* The next messages of the lane, into the batch. */
static int load(struct line *l, struct rows *rows, struct err *err)
{
	struct db *db = l->n->reader;
	int64_t bytes = 0;
	sqlite3_stmt *s;
	bool row;
	int rc;

	if (db_stmt(db, &s,
		    "SELECT seq, " ROWS_COLUMNS ", named FROM outbox"
		    " WHERE receiver = ? AND seq > ? ORDER BY seq LIMIT ?",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, l->to);
	sqlite3_bind_int64(s, 2, l->lane.done);
	sqlite3_bind_int(s, 3, lane_try(&l->lane, MAIL_BATCH_MAX));
	l->nbatch = 0;
	while (!(rc = db_next(db, s, &row, err)) && row) {
		int64_t len = sqlite3_column_bytes(s, ROWS_PAYLOAD);
		Gfl__V1__MessageItem *m;

		bytes += len;
		if (l->nbatch && bytes > MAIL_BATCH_BYTES)
			break;
		m = rows_add(rows, s, &l->batch[l->nbatch].seq);
		m->seq = l->batch[l->nbatch].seq;
		m->named = sqlite3_column_int(s, ROWS_NEXT);
		l->batch[l->nbatch++].len = len;
	}
	db_done(s);
	rows_end(rows);
	return rc;
}

static int call_receiver(struct line *l, const char *url, struct err *err)
{
	struct node *n = l->n;
	const struct rpc_opts opts = {.timeout_ms = ANSWER_MS};
	Gfl__V1__SendMessagesRequest in = GFL__V1__SEND_MESSAGES_REQUEST__INIT;
	struct rows rows = {0};
	int rc = load(l, &rows, err);

	in.origin = (uint64_t)n->origin;
	in.cluster_id = n->meta.cluster_id;
	in.messages = rows.at;
	in.n_messages = rows.n;
	if (!rc && rows.n) {
		l->lane.busy = true;
		l->rpc = client_call(n->client, url, RPC_NODE_SEND_MESSAGES,
				     &in.base, &opts, on_answer, l);
	}
	rows_release(&rows);
	return rc;
}

static void send_batch(struct line *l)
{
	const char *url = node_url_of(l->n, l->to);
	struct err err;

	free(l->tried);
	l->tried = mem_str(url);
	if (!url) {
		err_set(&err, ERR_NOT_FOUND,
			"node %" PRId64 " is nowhere to be found", l->to);
		failed(l, &err);
		return;
	}
	if (!l->batch)
		l->batch = mem_zero(MAIL_BATCH_MAX, sizeof(*l->batch));
	if (call_receiver(l, url, &err))
		failed(l, &err);
}

void outbox_go(struct line *l)
{
	int64_t wall_ms = clock_wall_ms(), wait_ms = 0;

	if (l->n->ended || !l->n->outbox->started)
		return;
	timer_stop(&l->timer);
	switch (lane_next(&l->lane, clock_ms(), wall_ms, &wait_ms)) {
	case LANE_REST:
		break;
	case LANE_WAIT:
		timer_set(&l->timer, l->n->loop, wait_ms, on_time, l);
		break;
	case LANE_SWEEP:
		l->lane.busy = true;
		removal_begin(l, REMOVAL_EXPIRED, wall_ms, "expired");
		break;
	case LANE_SEND:
		send_batch(l);
		break;
	}
}

/* ---- what happens around it ---- */

void outbox_arrived(struct node *n, const struct mail_item *item)
{
	struct line *l = line_of(n, item->m->to);

	lane_add(&l->lane, (int64_t)item->m->payload.len, item->m->expire_ms);
	if (!l->lane.busy && !n->ended)
		timer_set(&l->timer, n->loop, 0, on_time, l);
}

static bool is_down(const struct node *n, int64_t to)
{
	const Gfl__V1__Member *m = state_member(n->state, to);

	return !m || m->liveness;
}

/* A receiver at another URL, or one that the cluster sees again, is tried at
 * once. */
void outbox_look(struct node *n)
{
	struct line *l, *next;

	HASH_ITER (hh, n->outbox->lines, l, next) {
		const char *url = node_url_of(n, l->to);
		bool down = is_down(n, l->to);
		bool news = url && (!l->tried || strcmp(url, l->tried) ||
				    (l->down && !down));

		l->down = down;
		if (news && l->lane.pause.now_ms && !l->lane.busy) {
			lane_works(&l->lane);
			outbox_go(l);
		}
	}
}

/* ---- its life ---- */

static int load_lines(struct node *n, struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc;

	if (db_stmt(n->reader, &s,
		    "SELECT receiver, count(*), sum(length(payload)),"
		    " min(expire_ms) FROM outbox GROUP BY receiver",
		    err))
		return (int)err->code;
	while (!(rc = db_next(n->reader, s, &row, err)) && row) {
		struct line *l = line_of(n, sqlite3_column_int64(s, 0));

		l->lane.waiting = sqlite3_column_int64(s, 1);
		l->lane.bytes = sqlite3_column_int64(s, 2);
		l->lane.soonest_ms = sqlite3_column_int64(s, 3);
		n->outbox->waiting += l->lane.waiting;
		n->outbox->bytes += l->lane.bytes;
	}
	return rc;
}

int outbox_open(struct node *n, struct err *err)
{
	n->outbox = mem_zero(1, sizeof(*n->outbox));
	n->outbox->rand.state = rand_id();
	return box_open(n, err) ? (int)err->code : load_lines(n, err);
}

/* What was left for the members of a cluster that this node is in no more. */
static void give_up_all(struct node *n)
{
	struct line *l, *next;

	HASH_ITER (hh, n->outbox->lines, l, next) {
		l->lane.busy = true;
		removal_begin(l, REMOVAL_EXPIRED, INT64_MAX,
			      "it was for another cluster");
	}
}

void outbox_start(struct node *n)
{
	struct line *l, *next;
	struct err err;
	bool other;

	n->outbox->started = true;
	if (box_cluster(n, &other, &err)) {
		node_end(n, &err);
		return;
	}
	if (other)
		give_up_all(n);
	HASH_ITER (hh, n->outbox->lines, l, next)
		outbox_go(l);
}

void outbox_close(struct node *n)
{
	struct line *l, *next;

	if (!n->outbox)
		return;
	if (n->outbox->waiting)
		log_info("outbox_kept", "messages=%" PRId64,
			 n->outbox->waiting);
	HASH_ITER (hh, n->outbox->lines, l, next) {
		HASH_DEL(n->outbox->lines, l);
		timer_stop(&l->timer);
		client_cancel(l->rpc);
		free(l->batch);
		free(l->tried);
		free(l);
	}
	free(n->outbox);
	n->outbox = NULL;
}
