#include "fl/link_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	ATTACH_MS = 1500,    /* one attempt; a cluster elects in less */
	REPORT_MS = 1500,    /* a node that takes longer is not there */
	HEARTBEAT_MS = 1000, /* unless the node says otherwise */
	SAY_MS = 5000,       /* between lines about the same trouble */
	SETTLE_MS = 1000, /* until a node must know what its leader committed */
};

/* The node is of no use: let go of it and attach to another. */
static void lose(struct link *l, const char *why)
{
	if (l->attached)
		log_warn("node_lost", "node=%s error=%s", l->node, why);
	l->attached = false;
	client_cancel(l->attach);
	client_cancel(l->watch);
	client_cancel(l->report);
	if (l->report)
		l->hooks.reported(false, l->hooks.arg);
	l->attach = l->watch = l->report = NULL;
	timer_stop(&l->heartbeat);
	if (!l->left)
		link_find_later(l);
}

/* --- the node's state ----------------------------------------------------- */

static void take_state(struct link *l, const Gfl__V1__State *msg)
{
	struct state *s;
	struct err err;

	if (state_decode(&s, msg, &err)) {
		log_err("state_of_node", &err);
		lose(l, "its state cannot be read");
		return;
	}
	link_find_well(l);
	if (l->state && s->applied < l->state->applied) {
		state_free(s); /* what it lacks it will send: keep ours */
		return;
	}
	state_free(l->state);
	l->state = s;
	l->hooks.changed(STATE_ALL, l->hooks.arg);
}

static void take_entry(struct link *l, const Gfl__V1__LogEntry *entry)
{
	struct state_result result;
	struct err err;

	if (!l->state || entry->index <= l->state->applied)
		return;
	if (state_apply_told(l->state, entry, &result, &err)) {
		log_err("entry_of_node", &err);
		lose(l, "its entries do not follow");
		return;
	}
	if (result.changed)
		l->hooks.changed(result.changed, l->hooks.arg);
}

static void watch_each(const ProtobufCMessage *out, void *arg)
{
	const Gfl__V1__WatchStateEvent *e =
		(const Gfl__V1__WatchStateEvent *)out;
	struct link *l = arg;

	if (e->what_case == GFL__V1__WATCH_STATE_EVENT__WHAT_STATE)
		take_state(l, e->state);
	else if (e->what_case == GFL__V1__WATCH_STATE_EVENT__WHAT_ENTRY)
		take_entry(l, e->entry);
}

static void watch_done(const struct err *err, const ProtobufCMessage *out,
		       void *arg)
{
	struct link *l = arg;

	(void)out;
	l->watch = NULL;
	lose(l, err ? err->msg : "it ended the stream");
}

static void watch(struct link *l)
{
	Gfl__V1__WatchStateRequest in = GFL__V1__WATCH_STATE_REQUEST__INIT;
	struct rpc_opts opts = {0};

	in.trainer_id = l->id;
	l->watch = client_stream(l->client, l->node, RPC_NODE_WATCH_STATE,
				 &in.base, &opts, watch_each, watch_done, l);
}

/* --- reports -------------------------------------------------------------- */

static void report_done(const struct err *err, const ProtobufCMessage *out,
			void *arg)
{
	const Gfl__V1__ReportResponse *r = (const Gfl__V1__ReportResponse *)out;
	struct link *l = arg;

	l->report = NULL;
	l->hooks.reported(!err, l->hooks.arg);
	if (err && err->code != ERR_FAILED_PRECONDITION &&
	    err->code != ERR_ABORTED)
		lose(l, err->msg);
	else if (!err && !r->attached &&
		 clock_ms() - l->attached_ms > SETTLE_MS)
		lose(l, "it says we are not attached");
	else if (l->more && !err)
		link_poke(l);
}

void link_poke(struct link *l)
{
	Gfl__V1__ReportRequest in = GFL__V1__REPORT_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = REPORT_MS};

	l->more = true;
	if (!l->attached || l->report)
		return;
	l->more = false;
	l->hooks.fill(&in, l->hooks.arg);
	in.trainer_id = l->id;
	in.instance_id = (char *)(uintptr_t)l->opts.instance_id;
	l->report = client_call(l->client, l->node, RPC_NODE_REPORT, &in.base,
				&opts, report_done, l);
}

static void beat(void *arg)
{
	link_poke(arg);
}

/* --- attaching ------------------------------------------------------------ */

/* Refusals that no other node and no later time will take back; a node of
 * another cluster names ours. */
static bool is_final(const struct link *l, const struct err *err)
{
	return err->code == ERR_INVALID_ARGUMENT ||
	       err->code == ERR_PERMISSION_DENIED ||
	       (err->code == ERR_ALREADY_EXISTS && !l->state) ||
	       (err->code == ERR_FAILED_PRECONDITION && *l->cluster_id &&
		strstr(err->msg, l->cluster_id) != NULL);
}

void link_trouble(struct link *l, const char *tried, const struct err *err)
{
	int64_t now = clock_ms();

	if (l->said_ms && now - l->said_ms < SAY_MS)
		return;
	l->said_ms = now;
	log_warn("waiting_for_a_node", "tried=%s error=%s", tried, err->msg);
}

static void attach_done(const struct err *err, const ProtobufCMessage *out,
			void *arg)
{
	const Gfl__V1__AttachTrainerResponse *r =
		(const Gfl__V1__AttachTrainerResponse *)out;
	struct link *l = arg;

	l->attach = NULL;
	if (err && is_final(l, err)) {
		l->hooks.refused(err, l->hooks.arg);
		return;
	}
	if (err) {
		link_trouble(l, l->node, err);
		link_find_later(l);
		return;
	}
	l->id = r->trainer_id;
	str_copy(l->cluster_id, sizeof(l->cluster_id), r->cluster_id);
	l->attached = true;
	l->attached_ms = clock_ms();
	l->said_ms = 0;
	l->heartbeat_ms = r->heartbeat_ms > 0 ? r->heartbeat_ms : HEARTBEAT_MS;
	log_info("attached", "trainer=%lld node=%s", (long long)l->id, l->node);
	l->hooks.attached(l->id, l->cluster_id, l->node, l->hooks.arg);
	watch(l);
	timer_every(&l->heartbeat, l->loop, l->heartbeat_ms, beat, l);
	link_poke(l);
}

void link_attach(struct link *l, const char *url)
{
	Gfl__V1__AttachTrainerRequest in =
		GFL__V1__ATTACH_TRAINER_REQUEST__INIT;
	Gfl__V1__Trainer me = GFL__V1__TRAINER__INIT;
	struct rpc_opts opts = {.timeout_ms = ATTACH_MS};

	free(l->node);
	l->node = mem_str(url);
	me.id = l->id;
	me.instance_id = (char *)(uintptr_t)l->opts.instance_id;
	me.url = (char *)(uintptr_t)l->opts.url;
	me.examples = l->opts.examples;
	me.no_runs = l->opts.no_runs;
	in.trainer = &me;
	in.cluster_id = l->cluster_id;
	l->attach = client_call(l->client, l->node, RPC_NODE_ATTACH_TRAINER,
				&in.base, &opts, attach_done, l);
}

void link_take_part(struct link *l, bool runs)
{
	if (l->opts.no_runs == !runs)
		return;
	l->opts.no_runs = !runs;
	if (l->attached)
		lose(l, runs ? "to take part in runs" : "to stay out of runs");
}

/* --- life ----------------------------------------------------------------- */

struct link *link_open(struct loop *loop, struct client *client,
		       const struct link_opts *opts,
		       const struct link_hooks *hooks)
{
	struct link *l = mem_zero(1, sizeof(*l));

	l->loop = loop;
	l->client = client;
	l->opts = *opts;
	l->hooks = *hooks;
	l->id = opts->trainer_id;
	str_copy(l->cluster_id, sizeof(l->cluster_id), opts->cluster_id);
	link_find_begin(l, opts);
	return l;
}

void link_close(struct link *l)
{
	if (!l)
		return;
	link_find_end(l);
	timer_stop(&l->heartbeat);
	client_cancel(l->attach);
	client_cancel(l->watch);
	client_cancel(l->report);
	client_cancel(l->leave);
	link_find_release(l);
	state_free(l->state);
	free(l->node);
	free(l);
}

static void leave_done(const struct err *err, const ProtobufCMessage *out,
		       void *arg)
{
	struct link *l = arg;

	(void)out;
	l->leave = NULL;
	if (err)
		log_err("detach", err);
	l->left(l->left_arg);
}

void link_leave(struct link *l, const char *reason, int64_t timeout_ms,
		loop_fn *done, void *arg)
{
	Gfl__V1__DetachTrainerRequest in =
		GFL__V1__DETACH_TRAINER_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = timeout_ms};

	link_find_end(l);
	timer_stop(&l->heartbeat);
	l->left = done;
	l->left_arg = arg;
	if (!l->attached) {
		done(arg);
		return;
	}
	in.trainer_id = l->id;
	in.instance_id = (char *)(uintptr_t)l->opts.instance_id;
	in.reason = (char *)(uintptr_t)reason;
	l->leave = client_call(l->client, l->node, RPC_NODE_DETACH_TRAINER,
			       &in.base, &opts, leave_done, l);
}

const struct state *link_state(const struct link *l)
{
	return l->state;
}

const char *link_node(const struct link *l)
{
	return l->attached ? l->node : "";
}
