#include "node/monitor_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "registry/directory.h"

enum { POLL_MS = 1000 };

static void try_node(void *arg);
static void on_every(void *arg);

void monitor_tell(struct monitor *m, const char *event, const char *role,
		  const char *url, const char *why)
{
	struct view_event e = {.what = "watch",
			       .event = event,
			       .role = role,
			       .url = url,
			       .accuracy = NAN,
			       .text = why};

	m->opts.event(&e, m->opts.arg);
}

/* --- the node's stream ---------------------------------------------------- */

/* The URL for attempt i: those it began with, then every node known since. */
static const char *candidate(const struct monitor *m, size_t i, size_t *n)
{
	*n = m->urls.n + m->view.nnodes;
	if (!*n)
		return NULL;
	i %= *n;
	return i < m->urls.n ? m->urls.at[i] : m->view.nodes[i - m->urls.n].url;
}

static void lose_node(struct monitor *m, const char *why)
{
	size_t n;
	int64_t wait_ms = 0;

	client_cancel(m->watch);
	client_cancel(m->pulse);
	m->watch = m->pulse = NULL;
	if (m->connected)
		monitor_tell(m, "lost", "node", m->node, why);
	m->connected = false;
	candidate(m, 0, &n);
	if (!n || m->tried % n == 0) {
		wait_ms = m->retry_ms;
		m->retry_ms =
			wait_ms * 2 < RETRY_MAX_MS ? wait_ms * 2 : RETRY_MAX_MS;
	}
	timer_set(&m->retry, m->loop, wait_ms, try_node, m);
}

static void take_state(struct monitor *m, const Gfl__V1__State *msg)
{
	struct state *s;
	struct err err;

	if (state_decode(&s, msg, &err)) {
		lose_node(m, err.msg);
		return;
	}
	if (m->state && strcmp(s->cluster_id, m->state->cluster_id) != 0) {
		state_free(s);
		lose_node(m, "it is of another cluster");
		return;
	}
	m->tried = 0;
	m->retry_ms = RETRY_MS;
	if (!m->connected)
		monitor_tell(m, "connected", "node", m->node, NULL);
	m->connected = true;
	if (m->state && s->applied < m->state->applied) {
		state_free(s); /* what it lacks it will send */
		return;
	}
	state_free(m->state);
	m->state = s;
	view_state(&m->view, s, STATE_ALL);
	on_every(m); /* ask those that are new at once */
}

static void take_entry(struct monitor *m, const Gfl__V1__LogEntry *entry)
{
	struct state_result result;
	struct err err;

	if (!m->state || entry->index <= m->state->applied)
		return;
	if (state_apply_told(m->state, entry, &result, &err))
		lose_node(m, err.msg);
	else if (result.changed)
		view_state(&m->view, m->state, result.changed);
}

static void on_watch(const ProtobufCMessage *out, void *arg)
{
	const Gfl__V1__WatchStateEvent *e =
		(const Gfl__V1__WatchStateEvent *)out;
	struct monitor *m = arg;

	if (e->what_case == GFL__V1__WATCH_STATE_EVENT__WHAT_STATE)
		take_state(m, e->state);
	else if (e->what_case == GFL__V1__WATCH_STATE_EVENT__WHAT_ENTRY)
		take_entry(m, e->entry);
	else if (e->what_case == GFL__V1__WATCH_STATE_EVENT__WHAT_LEADER)
		view_leader(&m->view, e->leader->node_id, e->leader->term);
}

static void on_watch_end(const struct err *err, const ProtobufCMessage *out,
			 void *arg)
{
	struct monitor *m = arg;

	(void)out;
	m->watch = NULL;
	lose_node(m, err ? err->msg : "it ended the stream");
}

static void try_node(void *arg)
{
	Gfl__V1__WatchStateRequest in = GFL__V1__WATCH_STATE_REQUEST__INIT;
	struct rpc_opts opts = {0};
	struct monitor *m = arg;
	size_t n;
	const char *url = candidate(m, m->at++, &n);

	m->tried++;
	if (!url) {
		lose_node(m, "no node is known");
		return;
	}
	free(m->node);
	m->node = mem_str(url);
	m->watch = client_stream(m->client, m->node, RPC_NODE_WATCH_STATE,
				 &in.base, &opts, on_watch, on_watch_end, m);
}

/* --- questions ------------------------------------------------------------ */

static struct rpc *ask(struct monitor *m, const char *url, rpc_done_fn *done,
		       void *arg)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = PULSE_MS};

	return client_call(m->client, url, RPC_NODE_GET_STATUS, &in.base, &opts,
			   done, arg);
}

/* A node that hangs, or is cut off, ends no stream. */
static void on_pulse(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	struct monitor *m = arg;

	(void)out;
	m->pulse = NULL;
	if (err)
		lose_node(m, err->msg);
}

static void forget(struct asked *a)
{
	client_cancel(a->rpc);
	if (a->status)
		rpc_free(&a->status->base);
	LIST_REMOVE(a, entry);
	free(a);
}

static void on_status(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	struct asked *a = arg;

	a->rpc = NULL;
	if (a->status)
		rpc_free(&a->status->base);
	a->status = err ? NULL : (Gfl__V1__NodeStatus *)rpc_copy(out);
}

static struct asked *find_asked(const struct monitor *m, int64_t id)
{
	struct asked *a;

	LIST_FOREACH (a, &m->asked, entry)
		if (a->id == id)
			break;
	return a;
}

static void poll_all(struct monitor *m)
{
	struct asked *a, *next;

	for (a = LIST_FIRST(&m->asked); a; a = next) {
		next = LIST_NEXT(a, entry);
		if (!view_node(&m->view, a->id))
			forget(a);
	}
	for (size_t i = 0; i < m->view.nnodes; i++) {
		const struct view_node *n = &m->view.nodes[i];

		a = find_asked(m, n->id);
		if (!a) {
			a = mem_zero(1, sizeof(*a));
			a->id = n->id;
			LIST_INSERT_HEAD(&m->asked, a, entry);
		}
		if (!a->rpc)
			a->rpc = ask(m, n->url, on_status, a);
	}
}

static void on_every(void *arg)
{
	struct monitor *m = arg;

	if (m->watch && !m->pulse)
		m->pulse = ask(m, m->node, on_pulse, m);
	monitor_gateway_ask(m);
	if (m->opts.poll)
		poll_all(m);
}

/* --- life ----------------------------------------------------------------- */

/* The node that was named comes first. */
static int find_nodes(struct monitor *m, struct err *err)
{
	const struct client_opts *o = &m->opts.client;
	struct client_opts any = *o;
	GetNodesResponse *all;
	char *url;

	if (o->node) {
		if (directory_url(o, o->node, &url, err))
			return (int)err->code;
		m->urls.at[m->urls.n++] = url;
	}
	if (any.node && !strstr(any.node, "://")) /* the others may know it */
		any.node = NULL;
	if (directory_nodes(&any, &all, err))
		return (int)err->code;
	for (size_t i = 0; i < all->n_nodes && m->urls.n < OPT_LIST_MAX; i++)
		m->urls.at[m->urls.n++] = mem_str(all->nodes[i]->url);
	rpc_free(&all->base);
	return 0;
}

int monitor_open(struct monitor **out, struct loop *loop,
		 const struct monitor_opts *opts, struct err *err)
{
	struct monitor *m = mem_zero(1, sizeof(*m));

	m->loop = loop;
	m->opts = *opts;
	m->view = (struct view){.fn = opts->event, .arg = opts->arg};
	m->retry_ms = RETRY_MS;
	if (find_nodes(m, err) ||
	    client_open_files(&m->client, loop, &m->opts.client.tls, err)) {
		monitor_close(m);
		return (int)err->code;
	}
	timer_set(&m->retry, loop, 0, try_node, m);
	timer_every(&m->every, loop, POLL_MS, on_every, m);
	/* a node named by its URL may be of no gateway's cluster */
	if (!opts->client.node || !strstr(opts->client.node, "://"))
		monitor_gateway_begin(m);
	*out = m;
	return 0;
}

void monitor_close(struct monitor *m)
{
	if (!m)
		return;
	timer_stop(&m->retry);
	timer_stop(&m->every);
	monitor_gateway_end(m);
	while (LIST_FIRST(&m->asked))
		forget(LIST_FIRST(&m->asked));
	client_cancel(m->watch);
	client_cancel(m->pulse);
	client_close(m->client);
	view_release(&m->view);
	state_free(m->state);
	for (size_t i = 0; i < m->urls.n; i++)
		free((char *)(uintptr_t)m->urls.at[i]);
	free(m->node);
	free(m);
}

const struct view *monitor_view(const struct monitor *m)
{
	return &m->view;
}

const char *monitor_node(const struct monitor *m)
{
	return m->connected ? m->node : "";
}

const Gfl__V1__NodeStatus *monitor_status(const struct monitor *m, int64_t id)
{
	const struct asked *a = find_asked(m, id);

	return a ? a->status : NULL;
}
