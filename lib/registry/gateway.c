#include "registry/gateway.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "registry/info.h"
#include "registry/gateway_impl.h"
#include "registry/members.h"

enum { WRITER_JOBS = 65536 };

/* An answer, and the news it makes, that wait for a commit. */
struct answer {
	struct gateway *g;
	struct call *call;     /* NULL once its client has gone, or for news */
	ProtobufCMessage *msg; /* the reply */
	NodeEvent *event;      /* for the watchers, or NULL */
};

static void answer_free(struct answer *a)
{
	rpc_free(a->msg);
	rpc_free((ProtobufCMessage *)a->event);
	free(a);
}

static void committed(const struct err *err, void *arg)
{
	struct answer *a = arg;
	struct gateway *g = a->g;

	if (a->call && err)
		call_fail(a->call, err);
	else if (a->call)
		call_reply(a->call, a->msg);
	if (a->event && !err)
		watchers_tell(&g->watchers, a->event);
	if (err && writer_failed(g->writer))
		g->failed(g->failed_arg);
	answer_free(a);
}

static void forget_call(struct call *call, void *arg)
{
	(void)call;
	((struct answer *)arg)->call = NULL;
}

void gateway_answer_after(struct gateway *g, struct call *call,
			  ProtobufCMessage *msg, NodeEvent *event, int64_t id,
			  int64_t also)
{
	struct answer *a = mem_zero(1, sizeof(*a));
	struct err err;

	*a = (struct answer){g, call, msg, event};
	if (call)
		call_on_cancel(call, forget_call, a);
	if (members_store(g->writer, &g->lease, id, also, committed, a, &err))
		committed(&err, a);
}

void gateway_answer_read(struct gateway *g, struct call *call,
			 ProtobufCMessage *msg)
{
	if (writer_pending(g->writer)) {
		gateway_answer_after(g, call, msg, NULL, 0, 0);
		return;
	}
	call_reply(call, msg);
	rpc_free(msg);
}

NodeEvent *gateway_event(const struct gateway *g, const char *kind,
			 const struct member *m)
{
	NodeEvent *e = mem_zero(1, sizeof(*e));

	node_event__init(e);
	e->kind = mem_str(kind);
	e->node = m ? info_of(m, clock_ms()) : NULL;
	e->registry_version = (int32_t)g->lease.version;
	e->leader_term = g->lease.term;
	return e;
}

static void expired(struct member *who, bool gone, void *arg)
{
	struct gateway *g = arg;
	const char *kind = gone ? "left" : "expired";

	log_info(kind, "node=%" PRId64 " url=%s", who->id, who->url);
	gateway_answer_after(g, NULL, NULL, gateway_event(g, kind, who),
			     who->id, 0);
}

static void on_expiry(void *arg);

void gateway_watch_leases(struct gateway *g)
{
	int64_t now_ms = clock_ms(), due_ms = lease_deadline(&g->lease);

	if (due_ms >= g->expiry_ms)
		return;
	due_ms = due_ms < now_ms + 100 ? now_ms + 100 : due_ms;
	g->expiry_ms = due_ms;
	timer_set(&g->expiry, g->loop, due_ms - now_ms, on_expiry, g);
}

static void on_expiry(void *arg)
{
	struct gateway *g = arg;

	g->expiry_ms = INT64_MAX;
	lease_awake(&g->lease, clock_ms());
	lease_expire(&g->lease, clock_ms(), expired, g);
	gateway_watch_leases(g);
}

static void on_tick(void *arg)
{
	struct gateway *g = arg;

	lease_awake(&g->lease, clock_ms());
}

static void metrics(struct buf *text, void *arg)
{
	const struct gateway *g = arg;

	buf_putf(text,
		 "# TYPE gfl_gateway_nodes gauge\n"
		 "gfl_gateway_nodes{state=\"alive\"} %zu\n"
		 "gfl_gateway_nodes{state=\"dead\"} %zu\n"
		 "# TYPE gfl_gateway_version counter\n"
		 "gfl_gateway_version %" PRId64 "\n"
		 "# TYPE gfl_gateway_leader gauge\n"
		 "gfl_gateway_leader %" PRId64 "\n"
		 "# TYPE gfl_gateway_term gauge\n"
		 "gfl_gateway_term %" PRId64 "\n",
		 lease_count(&g->lease, true),
		 lease_count(&g->lease, false) - lease_count(&g->lease, true),
		 g->lease.version, g->lease.leader, g->lease.term);
}

int gateway_open(struct gateway **out, struct loop *loop, struct server *s,
		 struct db *db, const struct lease_config *config,
		 loop_fn *failed, void *arg, struct err *err)
{
	struct gateway *g = mem_zero(1, sizeof(*g));

	g->loop = loop;
	g->server = s;
	g->started_ms = clock_ms();
	g->failed = failed;
	g->failed_arg = arg;
	g->expiry_ms = INT64_MAX;
	lease_init(&g->lease, config);
	if (members_load(db, &g->lease, g->started_ms, err) ||
	    writer_open(&g->writer, loop, db, WRITER_JOBS, err)) {
		lease_release(&g->lease);
		free(g);
		return (int)err->code;
	}
	gateway_serve(g);
	server_metrics(s, metrics, g);
	gateway_watch_leases(g);
	lease_awake(&g->lease, clock_ms()); /* a pause may come before a tick */
	timer_every(&g->tick, loop, lease_tick_ms(&g->lease), on_tick, g);
	*out = g;
	return 0;
}

const struct err *gateway_failed(const struct gateway *g)
{
	return writer_failed(g->writer);
}

void gateway_close(struct gateway *g)
{
	if (!g)
		return;
	timer_stop(&g->expiry);
	timer_stop(&g->tick);
	writer_close(g->writer);
	watchers_end(&g->watchers);
	lease_release(&g->lease);
	free(g);
}
