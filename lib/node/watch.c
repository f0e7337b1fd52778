/* Streams of what is applied: the state and then each entry, for trainers; the
 * log's entries, for people. */
#include <stdlib.h>

#include "base/mem.h"
#include "node/node_impl.h"
#include "wire/rpc.h"

enum { QUEUE_MAX = 1 << 20 }; /* bytes unread at which a log reader waits */

struct watcher {
	struct node *n;
	struct call *call;
	bool log; /* ReadLog, not WatchState */
	bool follow;
	int64_t next, to; /* of ReadLog: next index, last index */
	LIST_ENTRY(watcher) entry;
};

static void watcher_free(struct watcher *w)
{
	LIST_REMOVE(w, entry);
	free(w);
}

static void gone(struct call *call, void *arg)
{
	(void)call;
	watcher_free(arg);
}

static struct watcher *watcher_new(struct node *n, struct call *call)
{
	struct watcher *w = mem_zero(1, sizeof(*w));

	w->n = n;
	w->call = call;
	LIST_INSERT_HEAD(&n->watchers, w, entry);
	call_on_cancel(call, gone, w);
	return w;
}

/* ---- WatchState ---- */

/* A watcher that reads too slowly is ended by call_send(), whose cancel hook
 * frees it. */
static void send_entry(struct watcher *w, const struct raft_entry *e,
		       Gfl__V1__Entry *entry)
{
	Gfl__V1__WatchStateEvent out = GFL__V1__WATCH_STATE_EVENT__INIT;
	Gfl__V1__LogEntry item = GFL__V1__LOG_ENTRY__INIT;

	item.index = e->index;
	item.term = e->term;
	item.config = e->type == RAFT_CONFIG;
	item.joint = raft_entry_joint(e);
	item.entry = entry;
	out.what_case = GFL__V1__WATCH_STATE_EVENT__WHAT_ENTRY;
	out.entry = &item;
	if (call_send(w->call, &out.base))
		return;
}

static void send_leader(struct watcher *w)
{
	Gfl__V1__WatchStateEvent out = GFL__V1__WATCH_STATE_EVENT__INIT;
	Gfl__V1__Leader leader = GFL__V1__LEADER__INIT;
	const struct node *n = w->n;
	const char *url = n->leader == n->meta.node_id
				  ? node_url(n)
				  : node_url_of(n, n->leader);

	leader.node_id = n->leader;
	leader.term = n->term;
	leader.url = (char *)(url && n->leader ? url : "");
	out.what_case = GFL__V1__WATCH_STATE_EVENT__WHAT_LEADER;
	out.leader = &leader;
	if (call_send(w->call, &out.base))
		return;
}

static bool send_state(struct watcher *w)
{
	Gfl__V1__WatchStateEvent out = GFL__V1__WATCH_STATE_EVENT__INIT;
	int rc;

	out.what_case = GFL__V1__WATCH_STATE_EVENT__WHAT_STATE;
	out.state = state_encode(w->n->state);
	rc = call_send(w->call, &out.base);
	rpc_free(&out.state->base);
	return !rc;
}

static void on_watch(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct node *n = arg;
	struct watcher *w = watcher_new(n, call);

	(void)in;
	if (send_state(w))
		send_leader(w);
}

void watch_leader(struct node *n)
{
	struct watcher *w, *next;

	for (w = LIST_FIRST(&n->watchers); w; w = next) {
		next = LIST_NEXT(w, entry);
		if (!w->log)
			send_leader(w);
	}
}

/* ---- ReadLog ---- */

int watch_log_entry(Gfl__V1__LogEntry *out, const struct raft_entry *e,
		    struct err *err)
{
	out->index = e->index;
	out->term = e->term;
	out->config = e->type == RAFT_CONFIG;
	out->joint = raft_entry_joint(e);
	if (e->type == RAFT_NOOP)
		return 0;
	return state_entry(&out->entry, e->data, e->len, err);
}

static int send_log(struct watcher *w, const struct raft_entry *e)
{
	Gfl__V1__LogEntry item = GFL__V1__LOG_ENTRY__INIT;
	struct err err;
	int rc;

	if (watch_log_entry(&item, e, &err)) {
		call_fail(w->call, &err);
		watcher_free(w);
		return -1;
	}
	rc = call_send(w->call, &item.base);
	if (item.entry)
		gfl__v1__entry__free_unpacked(item.entry, NULL);
	return rc;
}

/* Send what there is, as long as the reader takes it. */
static void pump(struct watcher *w)
{
	const struct raft *r = driver_raft(w->n->driver);
	struct call *call = w->call;

	while (w->next <= w->to && w->next <= w->n->state->applied &&
	       call_queued(call) < QUEUE_MAX) {
		const struct raft_entry *e = raft_entry(r, w->next);

		if (e && send_log(w, e))
			return;
		w->next++;
	}
	if (w->next > w->to) {
		watcher_free(w);
		call_end(call);
	}
}

static void drained(struct call *call, void *arg)
{
	(void)call;
	pump(arg);
}

static void serve_log(struct node *n, struct call *call,
		      const ProtobufCMessage *msg)
{
	const Gfl__V1__ReadLogRequest *in =
		(const Gfl__V1__ReadLogRequest *)msg;
	struct raft_status s;
	struct watcher *w;
	struct err err;

	if (!n->driver) {
		err_set(&err, ERR_UNAVAILABLE,
			"not a member yet: waiting for %s",
			membership_waits(n));
		call_fail(call, &err);
		return;
	}
	w = watcher_new(n, call);
	w->log = true;
	w->follow = in->follow;
	raft_status(driver_raft(n->driver), &s);
	w->next = in->from > s.first ? in->from : s.first;
	w->to = in->to > 0 ? in->to : INT64_MAX;
	if (!in->follow && w->to > n->state->applied)
		w->to = n->state->applied;
	call_on_drain(call, drained, w);
	pump(w);
}

static void on_read(struct call *call, const ProtobufCMessage *in, void *arg)
{
	if (((const Gfl__V1__ReadLogRequest *)in)->linearizable)
		read_begin(arg, call, in, serve_log);
	else
		serve_log(arg, call, in);
}

/* Another state, not by its entries. */
void watch_restored(struct node *n)
{
	struct watcher *w, *next;

	for (w = LIST_FIRST(&n->watchers); w; w = next) {
		next = LIST_NEXT(w, entry);
		if (w->log)
			pump(w);
		else
			send_state(w);
	}
}

void watch_applied(struct node *n, const struct raft_entry *e,
		   Gfl__V1__Entry *entry)
{
	struct watcher *w, *next;

	for (w = LIST_FIRST(&n->watchers); w; w = next) {
		next = LIST_NEXT(w, entry);
		if (w->log)
			pump(w);
		else
			send_entry(w, e, entry);
	}
}

void watch_serve(struct node *n)
{
	server_handle(n->server, RPC_NODE_WATCH_STATE, on_watch, n);
	server_handle(n->server, RPC_NODE_READ_LOG, on_read, n);
}

void watch_close(struct node *n)
{
	struct watcher *w;

	while ((w = LIST_FIRST(&n->watchers))) {
		struct call *call = w->call;

		watcher_free(w);
		call_end(call);
	}
}
