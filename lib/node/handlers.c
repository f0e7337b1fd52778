/* NodeService: what is neither a trainer's, a watcher's nor a message. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "node/node_impl.h"
#include "node/roles.h"
#include "node/spec.h"
#include "node/state_impl.h"
#include "wire/rpc.h"

/* ---- status ---- */

static const char *role(const struct node *n, const struct raft_status *s)
{
	const Gfl__V1__Member *m = state_member(n->state, n->meta.node_id);

	if (!n->driver)
		return "joining";
	if (s->lost)
		return "recovering";
	if (s->role != RAFT_FOLLOWER)
		return raft_role_name(s->role);
	if (m && m->role == GFL__V1__ROLE__STANDBY)
		return "standby";
	return m && m->role == GFL__V1__ROLE__VOTER ? "follower" : "learner";
}

/* How a trainer is: what it said last may be older than its end, or than the
 * run's, which at the target accuracy comes before the last round. */
static const char *state_now(const struct node *n, const Gfl__V1__Run *run,
			     const Gfl__V1__TrainerReport *r)
{
	const Gfl__V1__Trainer *t = state_trainer(n->state, r->trainer_id);
	bool said =
		!strcmp(r->state, "finished") || !strcmp(r->state, "failed");

	if (run->ended_ms && said)
		return r->state;
	if (!t || t->liveness != GFL__V1__LIVENESS__LIVE)
		return "down";
	if (!run->ended_ms)
		return r->state;
	return !strcmp(run->state, "finished") && run->spec->target_accuracy > 0
		       ? "finished"
		       : "stopped";
}

/* The run with what the leader knows beyond the log. */
static Gfl__V1__Run *run_now(const struct node *n, const Gfl__V1__Run *run)
{
	Gfl__V1__Run *copy = (Gfl__V1__Run *)rpc_copy(&run->base);

	conductor_merge(n, copy);
	for (size_t i = 0; i < copy->n_reports; i++) {
		Gfl__V1__TrainerReport *r = copy->reports[i];
		const char *now = state_now(n, copy, r);

		if (now != r->state)
			state_text(&r->state, now);
	}
	return copy;
}

/* The least round that a live trainer of the run has finished. */
static int64_t least_round(const struct node *n, const Gfl__V1__Run *run)
{
	Gfl__V1__Run *now = run_now(n, run);
	int64_t least = INT64_MAX;

	for (size_t i = 0; i < now->n_reports; i++)
		if (strcmp(now->reports[i]->state, "down") != 0 &&
		    now->reports[i]->round < least)
			least = now->reports[i]->round;
	rpc_free(&now->base);
	return least == INT64_MAX ? 0 : least;
}

static void fill_raft(const struct node *n, Gfl__V1__NodeStatus *out)
{
	struct raft_status s = {0};
	const char *url = NULL;

	if (n->driver)
		raft_status(driver_raft(n->driver), &s);
	out->role = (char *)role(n, &s);
	out->term = s.term;
	out->leader_id = n->leader;
	if (n->leader)
		url = n->leader == n->meta.node_id ? node_url(n)
						   : node_url_of(n, n->leader);
	out->leader_url = (char *)(url ? url : "");
	out->last_index = s.last;
	out->commit_index = s.commit;
	out->applied_index = n->state->applied;
}

static void fill_state(const struct node *n, Gfl__V1__NodeStatus *out)
{
	const struct state *s = n->state;
	const Gfl__V1__Run *run = state_running(s);

	out->members = (int64_t)s->nmembers;
	for (size_t i = 0; i < s->nmembers; i++)
		out->voters += s->members[i]->role == GFL__V1__ROLE__VOTER;
	out->trainers = (int64_t)state_live(s, false);
	out->attached = (int64_t)reports_attached(n);
	out->run = run ? run->id : 0;
	out->round = run ? least_round(n, run) : 0;
	out->epoch = s->epoch;
}

/* Parts that the topology leaves of the live trainers. */
static size_t parts(const struct state *s)
{
	int64_t *ids = mem_zero(s->ntrainers + 1, sizeof(*ids));
	size_t n = 0, count;

	for (size_t i = 0; i < s->ntrainers; i++)
		if (!s->trainers[i]->liveness)
			ids[n++] = s->trainers[i]->id;
	count = graph_parts(&s->graph, ids, n);
	free(ids);
	return count;
}

static void fill_links(const struct state *s, Gfl__V1__NodeStatus *out)
{
	out->topology_version = s->graph.version;
	out->topology_edges = (int64_t)s->graph.n;
	out->topology_parts = s->graph.n ? (int64_t)parts(s) : 1;
	out->bandwidth_version = s->bandwidth.version;
	out->bandwidth_links = (int64_t)s->bandwidth.n;
}

static void fill_pairs(const struct node *n, Gfl__V1__NodeStatus *out)
{
	size_t most = n->state->nmembers;

	out->ready_peers = mem_zero(most + 1, sizeof(*out->ready_peers));
	out->n_ready_peers = pairs_ready(n, out->ready_peers, most);
	out->ready = pairs_all_ready(n);
}

void handlers_status(struct node *n, Gfl__V1__NodeStatus *out)
{
	out->node_id = n->meta.node_id;
	out->cluster_id = n->meta.cluster_id;
	out->instance_id = n->meta.instance_id;
	out->url = (char *)node_url(n);
	fill_raft(n, out);
	fill_state(n, out);
	fill_links(n->state, out);
	fill_pairs(n, out);
	out->uptime_s = (double)(clock_ms() - n->started_ms) / 1000;
	out->gateway_reachable = announce_reaches(n);
	out->inbox = inbox_count(n);
	outbox_counts(n, &out->outbox, &out->delivered, &out->expired);
	cluster_status(n->cluster, out);
	out->version = GFL_VERSION;
}

static void serve_status(struct node *n, struct call *call,
			 const ProtobufCMessage *in)
{
	Gfl__V1__NodeStatus out = GFL__V1__NODE_STATUS__INIT;

	(void)in;
	handlers_status(n, &out);
	call_reply(call, &out.base);
	free(out.ready_peers);
}

static void on_status(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__NodeStatusRequest *in =
		(const Gfl__V1__NodeStatusRequest *)msg;
	struct node *n = arg;

	if (in->of && in->of != n->meta.node_id)
		suspects_witness(n, call, in->of);
	else if (in->linearizable)
		read_begin(n, call, msg, serve_status);
	else
		serve_status(n, call, msg);
}

static void serve_state(struct node *n, struct call *call,
			const ProtobufCMessage *in)
{
	Gfl__V1__State *out = state_encode(n->state);

	(void)in;
	call_reply(call, &out->base);
	rpc_free(&out->base);
}

static void on_state(struct call *call, const ProtobufCMessage *in, void *arg)
{
	if (((const Gfl__V1__GetStateRequest *)in)->linearizable)
		read_begin(arg, call, in, serve_state);
	else
		serve_state(arg, call, in);
}

/* ---- membership ---- */

static void on_join(struct call *call, const ProtobufCMessage *in, void *arg)
{
	ask_begin(ask_new(arg, call, RPC_NODE_JOIN, in, steward_join));
}

static void on_leave(struct call *call, const ProtobufCMessage *in, void *arg)
{
	ask_begin(ask_new(arg, call, RPC_NODE_LEAVE, in, steward_leave));
}

static int lead_transfer(struct ask *a, struct err *err)
{
	const Gfl__V1__TransferRequest *in =
		(const Gfl__V1__TransferRequest *)a->in;
	Gfl__V1__TransferResponse out = GFL__V1__TRANSFER_RESPONSE__INIT;
	int rc = driver_transfer(a->n->driver, in->to, err);

	if (rc)
		return rc == ERR_UNAVAILABLE ? ERR_FAILED_PRECONDITION : rc;
	out.leader_id = in->to;
	out.term = a->n->term;
	ask_answer(a, &out.base);
	return 0;
}

static void on_transfer(struct call *call, const ProtobufCMessage *in,
			void *arg)
{
	ask_begin(ask_new(arg, call, RPC_NODE_TRANSFER, in, lead_transfer));
}

/* ---- proposals ---- */

static void reply_proposed(struct ask *a, const struct driver_result *result)
{
	Gfl__V1__ProposeResponse out = GFL__V1__PROPOSE_RESPONSE__INIT;

	out.index = result->index;
	out.term = result->term;
	ask_answer(a, &out.base);
}

/* What was written by hand may hold a mistake, where the leader's own would only
 * have come too late. */
static int links_known(const struct node *n, const Gfl__V1__Entry *e,
		       struct err *err)
{
	int rc = 0;

	if (e->kind_case == GFL__V1__ENTRY__KIND_BANDWIDTH)
		return state_links_known(n->state, e->bandwidth, err);
	if (e->kind_case != GFL__V1__ENTRY__KIND_BATCH)
		return 0;
	for (size_t i = 0; !rc && i < e->batch->n_entries; i++)
		rc = links_known(n, e->batch->entries[i], err);
	return rc;
}

static int lead_propose(struct ask *a, struct err *err)
{
	const Gfl__V1__ProposeRequest *in =
		(const Gfl__V1__ProposeRequest *)a->in;

	if (roles_asked(in->entry))
		return voters_ask(a, in->entry, reply_proposed, err);
	if (links_known(a->n, in->entry, err))
		return (int)err->code;
	return ask_propose(a, in->entry, reply_proposed, err);
}

static int bad_session(uint64_t client, uint64_t seq, struct err *err)
{
	if (!client == !seq && client <= INT64_MAX && seq <= INT64_MAX)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "client and seq go together, below 2^63");
}

/* The session of the client, if it has one; it goes along when forwarded. */
static void adopt(struct ask *a, uint64_t *client, uint64_t *seq)
{
	if (*client) {
		a->client = (int64_t)*client;
		a->seq = (int64_t)*seq;
	}
	*client = (uint64_t)a->client;
	*seq = (uint64_t)a->seq;
}

static void on_propose(struct call *call, const ProtobufCMessage *msg,
		       void *arg)
{
	const Gfl__V1__ProposeRequest *in =
		(const Gfl__V1__ProposeRequest *)msg;
	Gfl__V1__ProposeRequest *own;
	struct ask *a;
	struct err err;

	if (!in->entry)
		err_set(&err, ERR_INVALID_ARGUMENT, "no entry");
	else if (!bad_session(in->client, in->seq, &err) &&
		 !state_proposable(in->entry, &err)) {
		a = ask_new(arg, call, RPC_NODE_PROPOSE, msg, lead_propose);
		own = (Gfl__V1__ProposeRequest *)a->in;
		adopt(a, &own->client, &own->seq);
		ask_begin(a);
		return;
	}
	call_fail(call, &err);
}

/* ---- runs ---- */

static void reply_started(struct ask *a, const struct driver_result *result)
{
	Gfl__V1__StartRunResponse out = GFL__V1__START_RUN_RESPONSE__INIT;

	out.id = result->id;
	ask_answer(a, &out.base);
}

static int propose_run(struct ask *a, Gfl__V1__RunChange *c,
		       ask_reply_fn *reply, struct err *err)
{
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	c->at_ms = clock_wall_ms();
	e.kind_case = GFL__V1__ENTRY__KIND_RUN;
	e.run = c;
	return ask_propose(a, &e, reply, err);
}

static int lead_start(struct ask *a, struct err *err)
{
	const Gfl__V1__StartRunRequest *in =
		(const Gfl__V1__StartRunRequest *)a->in;
	Gfl__V1__RunChange c = GFL__V1__RUN_CHANGE__INIT;

	c.action = GFL__V1__RUN_CHANGE__ACTION__START;
	c.spec = in->spec;
	return propose_run(a, &c, reply_started, err);
}

static void on_start(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	Gfl__V1__StartRunRequest *in;
	struct ask *a = ask_new(arg, call, RPC_NODE_START_RUN, msg, lead_start);
	struct err err;

	in = (Gfl__V1__StartRunRequest *)a->in;
	if (!in->spec)
		err_set(&err, ERR_INVALID_ARGUMENT, "a run without settings");
	else if (!bad_session(in->client, in->seq, &err) &&
		 !spec_complete(in->spec, &err)) {
		adopt(a, &in->client, &in->seq);
		ask_begin(a);
		return;
	}
	ask_fail(a, &err);
}

static void reply_stopped(struct ask *a, const struct driver_result *result)
{
	Gfl__V1__StopRunResponse out = GFL__V1__STOP_RUN_RESPONSE__INIT;

	out.index = result->index;
	ask_answer(a, &out.base);
}

static int lead_stop(struct ask *a, struct err *err)
{
	const Gfl__V1__StopRunRequest *in =
		(const Gfl__V1__StopRunRequest *)a->in;
	Gfl__V1__RunChange c = GFL__V1__RUN_CHANGE__INIT;

	c.action = GFL__V1__RUN_CHANGE__ACTION__STOP;
	c.id = in->id;
	c.reason = in->reason;
	return propose_run(a, &c, reply_stopped, err);
}

static void on_stop(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	Gfl__V1__StopRunRequest *in;
	struct ask *a = ask_new(arg, call, RPC_NODE_STOP_RUN, msg, lead_stop);
	struct err err;

	in = (Gfl__V1__StopRunRequest *)a->in;
	if (strlen(in->reason) > STATE_TEXT_MAX) {
		err_set(&err, ERR_INVALID_ARGUMENT, "a reason past %d bytes",
			STATE_TEXT_MAX);
	} else if (!bad_session(in->client, in->seq, &err)) {
		adopt(a, &in->client, &in->seq);
		ask_begin(a);
		return;
	}
	ask_fail(a, &err);
}

static void reply_list(struct ask *a, const struct driver_result *result)
{
	const struct state *s = a->n->state;
	Gfl__V1__ListRunsResponse *out = mem_zero(1, sizeof(*out));

	(void)result;
	gfl__v1__list_runs_response__init(out);
	out->runs = mem_zero(s->nruns + 1, sizeof(*out->runs));
	out->n_runs = s->nruns;
	for (size_t i = 0; i < s->nruns; i++)
		out->runs[i] = run_now(a->n, s->runs[i]);
	ask_answer(a, &out->base);
	rpc_free(&out->base);
}

static int lead_list(struct ask *a, struct err *err)
{
	return ask_read(a, reply_list, err);
}

static void reply_show(struct ask *a, const struct driver_result *result)
{
	const struct state *s = a->n->state;
	int64_t id = ((const Gfl__V1__ShowRunRequest *)a->in)->id;
	const Gfl__V1__Run *run = id         ? state_run(s, id)
				  : s->nruns ? s->runs[s->nruns - 1]
					     : NULL;
	Gfl__V1__Run *out;
	struct err err;

	(void)result;
	if (!run) {
		if (id)
			err_set(&err, ERR_NOT_FOUND,
				"run %" PRId64 " is not known", id);
		else
			err_set(&err, ERR_NOT_FOUND, "no run yet");
		ask_fail(a, &err);
		return;
	}
	out = run_now(a->n, run);
	ask_answer(a, &out->base);
	rpc_free(&out->base);
}

static int lead_show(struct ask *a, struct err *err)
{
	return ask_read(a, reply_show, err);
}

/* The leader has the newest reports; without one, what we know must do. */
static void read_runs(struct node *n, struct ask *a, ask_reply_fn *reply)
{
	if (n->leader || !n->driver)
		ask_begin(a);
	else
		reply(a, NULL);
}

static void on_list(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct ask *a = ask_new(arg, call, RPC_NODE_LIST_RUNS, in, lead_list);

	if (((const Gfl__V1__ListRunsRequest *)in)->linearizable)
		ask_begin(a);
	else
		read_runs(arg, a, reply_list);
}

static void on_show(struct call *call, const ProtobufCMessage *in, void *arg)
{
	read_runs(arg, ask_new(arg, call, RPC_NODE_SHOW_RUN, in, lead_show),
		  reply_show);
}

static const struct {
	enum rpc_name name;
	server_fn *fn;
} handlers[] = {
	{RPC_NODE_GET_STATUS, on_status}, {RPC_NODE_GET_STATE, on_state},
	{RPC_NODE_JOIN, on_join},         {RPC_NODE_LEAVE, on_leave},
	{RPC_NODE_TRANSFER, on_transfer}, {RPC_NODE_PROPOSE, on_propose},
	{RPC_NODE_START_RUN, on_start},   {RPC_NODE_STOP_RUN, on_stop},
	{RPC_NODE_LIST_RUNS, on_list},    {RPC_NODE_SHOW_RUN, on_show},
};

void handlers_serve(struct node *n)
{
	for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++)
		server_handle(n->server, handlers[i].name, handlers[i].fn, n);
}
