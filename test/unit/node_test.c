#define TEST_SECONDS 30
#include "node/node.h"

#include "test.h"

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "node/state.h"
#include "proto/comm.pb-c.h"
#include "proto/gateway.pb-c.h"
#include "proto/node.pb-c.h"
#include "wire/client.h"

/* One node of a test, and what it has told. */
struct one {
	struct fix *f;
	struct node *n;
	char db[32], url[64];
	bool ready, ended;
	struct err end; /* code 0: it left */
};

/* Some nodes on one loop, and a client. */
struct fix {
	struct loop *loop;
	struct client *client;
	struct one at[4]; /* [1] is node 1 */
	const char *joins[1];
	int64_t fail_after_ms, remove_after_ms;
};

static void on_ready(void *arg)
{
	((struct one *)arg)->ready = true;
}

static void on_end(const struct err *err, void *arg)
{
	struct one *o = arg;

	o->ended = true;
	o->end = err ? *err : (struct err){0};
}

/* Turn the loop until cond. */
#define UNTIL(f, cond)  \
	while (!(cond)) \
	uv_run(loop_uv((f)->loop), UV_RUN_ONCE)

static void open_fix(struct fix *f)
{
	struct err err;

	memset(f, 0, sizeof(*f));
	f->fail_after_ms = 5000;
	f->remove_after_ms = 600000;
	CHECK_INT(loop_open(&f->loop, &err), 0);
	CHECK_INT(client_open(&f->client, f->loop, NULL, &err), 0);
}

static int open_node(struct fix *f, int id, bool bootstrap, struct err *err)
{
	struct one *o = &f->at[id];
	struct node_config cfg = {
		.loop = f->loop,
		.db_path = o->db,
		.server = {.listen = "127.0.0.1:0"},
		.node_id = id,
		.joins = f->joins,
		.njoins = bootstrap ? 0 : 1,
		.bootstrap = bootstrap,
		.election_min_ms = 150,
		.election_max_ms = 300,
		.heartbeat_ms = 50,
		.fail_after_ms = f->fail_after_ms,
		.remove_after_ms = f->remove_after_ms,
		.max_voters = 5,
		.on_ready = on_ready,
		.on_end = on_end,
		.arg = o,
	};

	memset(o, 0, sizeof(*o));
	o->f = f;
	snprintf(o->db, sizeof(o->db), "n%d.db", id);
	if (node_open(&o->n, &cfg, err))
		return (int)err->code;
	snprintf(o->url, sizeof(o->url), "%s", node_url(o->n));
	return 0;
}

static void start(struct fix *f, int id, bool bootstrap)
{
	struct err err;

	CHECK_INT(open_node(f, id, bootstrap, &err), 0);
	UNTIL(f, f->at[id].ready || f->at[id].ended);
	CHECK(f->at[id].ready);
	if (bootstrap)
		f->joins[0] = f->at[id].url;
}

static void stop(struct fix *f, int id)
{
	node_close(f->at[id].n);
	f->at[id].n = NULL;
}

static void close_fix(struct fix *f)
{
	for (int i = 1; i < 4; i++)
		stop(f, i);
	client_close(f->client);
	loop_close(f->loop);
}

/* ---- calls ---- */

struct answer {
	bool done;
	struct err err;
	ProtobufCMessage *out;
};

static void answered(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	struct answer *a = arg;

	a->done = true;
	if (err)
		a->err = *err;
	else
		a->out = rpc_copy(out);
}

static struct answer call(struct fix *f, int id, enum rpc_name name,
			  const void *in)
{
	const struct rpc_opts opts = {.timeout_ms = 10000};
	struct answer a = {0};

	client_call(f->client, f->at[id].url, name, in, &opts, answered, &a);
	UNTIL(f, a.done);
	return a;
}

/* The answer, which must be good; rpc_free() it. */
static void *ask(struct fix *f, int id, enum rpc_name name, const void *in)
{
	struct answer a = call(f, id, name, in);

	if (!a.out)
		test_fail(__FILE__, __LINE__, "%s: %s", rpc_methods[name].path,
			  a.err.msg);
	return a.out;
}

static Gfl__V1__NodeStatus *status(struct fix *f, int id)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;

	return ask(f, id, RPC_NODE_GET_STATUS, &in);
}

/* Ask until cond holds of st, the status of node id. */
#define UNTIL_STATUS(f, id, st, cond)                        \
	for (;;) {                                           \
		Gfl__V1__NodeStatus *st = status((f), (id)); \
		bool holds_ = (cond);                        \
                                                             \
		rpc_free(&st->base);                         \
		if (holds_)                                  \
			break;                               \
	}

static int64_t leader(struct fix *f, int id)
{
	Gfl__V1__NodeStatus *st = status(f, id);
	int64_t leads = st->leader_id;

	rpc_free(&st->base);
	return leads;
}

static void start_three(struct fix *f)
{
	open_fix(f);
	start(f, 1, true);
	start(f, 2, false);
	start(f, 3, false);
	UNTIL_STATUS(f, 1, st, st->voters == 3);
}

static int64_t propose_noop(struct fix *f, int id)
{
	Gfl__V1__ProposeRequest in = GFL__V1__PROPOSE_REQUEST__INIT;
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	Gfl__V1__Noop noop = GFL__V1__NOOP__INIT;
	Gfl__V1__ProposeResponse *out;
	int64_t index;

	e.kind_case = GFL__V1__ENTRY__KIND_NOOP;
	e.noop = &noop;
	in.entry = &e;
	out = ask(f, id, RPC_NODE_PROPOSE, &in);
	index = out->index;
	rpc_free(&out->base);
	return index;
}

static Gfl__V1__AttachTrainerResponse *attach(struct fix *f, int id,
					      const char *instance)
{
	Gfl__V1__AttachTrainerRequest in =
		GFL__V1__ATTACH_TRAINER_REQUEST__INIT;
	Gfl__V1__Trainer t = GFL__V1__TRAINER__INIT;

	t.instance_id = (char *)instance;
	t.url = "http://127.0.0.1:9";
	in.trainer = &t;
	return ask(f, id, RPC_NODE_ATTACH_TRAINER, &in);
}

static int64_t start_run(struct fix *f, int id, int rounds)
{
	Gfl__V1__StartRunRequest in = GFL__V1__START_RUN_REQUEST__INIT;
	Gfl__V1__RunSpec spec = GFL__V1__RUN_SPEC__INIT;
	Gfl__V1__StartRunResponse *out;
	int64_t run;

	spec.rounds = rounds;
	in.spec = &spec;
	out = ask(f, id, RPC_NODE_START_RUN, &in);
	run = out->id;
	rpc_free(&out->base);
	return run;
}

static Gfl__V1__State *state_of(struct fix *f, int id)
{
	Gfl__V1__GetStateRequest in = GFL__V1__GET_STATE_REQUEST__INIT;

	return ask(f, id, RPC_NODE_GET_STATE, &in);
}

/* ---- tests ---- */

TEST(a_founder_leads_resumes_and_founds_no_second_time)
{
	struct fix f;
	struct err err;
	char cluster[33];

	open_fix(&f);
	start(&f, 1, true);
	UNTIL_STATUS(&f, 1, st, st->leader_id == 1);
	snprintf(cluster, sizeof(cluster), "%s", node_cluster(f.at[1].n));
	CHECK_INT(strlen(cluster), 32);
	stop(&f, 1);
	CHECK_INT(open_node(&f, 1, true, &err), ERR_FAILED_PRECONDITION);
	CHECK_HAS(err.msg, cluster);
	start(&f, 1, false);
	CHECK_STR(node_cluster(f.at[1].n), cluster);
	UNTIL_STATUS(&f, 1, st, st->leader_id == 1);
	close_fix(&f);
}

TEST(a_database_of_another_node_is_refused)
{
	struct fix f;
	struct err err;

	open_fix(&f);
	start(&f, 1, true);
	stop(&f, 1);
	CHECK_INT(rename("n1.db", "n2.db"), 0);
	CHECK_INT(open_node(&f, 2, false, &err), ERR_FAILED_PRECONDITION);
	CHECK_HAS(err.msg, "database of node 1");
	close_fix(&f);
}

TEST(three_nodes_lose_the_leader_elect_and_its_restart_has_the_log)
{
	struct fix f;
	int64_t index;

	start_three(&f);
	CHECK(propose_noop(&f, 3) > 0); /* a follower passes it on */
	stop(&f, 1);
	UNTIL(&f, leader(&f, 2) > 1);
	CHECK_INT(leader(&f, 2), leader(&f, 3));
	index = propose_noop(&f, 2);
	start(&f, 1, false);
	UNTIL_STATUS(&f, 1, st, st->applied_index >= index);
	UNTIL_STATUS(&f, 2, st, st->members == 3);
	close_fix(&f);
}

TEST(a_leader_that_leaves_hands_over_and_joins_anew)
{
	struct fix f;
	char was[33];
	Gfl__V1__NodeStatus *st1;

	start_three(&f);
	st1 = status(&f, 1);
	snprintf(was, sizeof(was), "%s", st1->instance_id);
	rpc_free(&st1->base);
	node_leave(f.at[1].n);
	UNTIL(&f, f.at[1].ended);
	CHECK_INT(f.at[1].end.code, 0);
	stop(&f, 1);
	UNTIL_STATUS(&f, 2, st, st->members == 2 && st->leader_id > 1);
	f.joins[0] = f.at[2].url;
	start(&f, 1, false);
	UNTIL_STATUS(&f, 1, st, st->members == 3);
	st1 = status(&f, 1);
	CHECK(strcmp(was, st1->instance_id));
	rpc_free(&st1->base);
	close_fix(&f);
}

TEST(a_silent_node_is_marked_down_and_removed_and_told_so)
{
	struct fix f;
	struct err err;

	open_fix(&f);
	f.fail_after_ms = 400;
	f.remove_after_ms = 800;
	start(&f, 1, true);
	start(&f, 2, false);
	start(&f, 3, false);
	UNTIL_STATUS(&f, 1, st, st->voters == 3);
	stop(&f, 3);
	UNTIL_STATUS(&f, 1, st, st->members == 2);
	CHECK_INT(open_node(&f, 3, false, &err), 0);
	UNTIL(&f, f.at[3].ended);
	CHECK_INT(f.at[3].end.code, ERR_FAILED_PRECONDITION);
	CHECK_HAS(f.at[3].end.msg, "was removed from cluster");
	CHECK(node_removed(f.at[3].n, true));
	stop(&f, 3);
	start(&f, 3, false);
	UNTIL_STATUS(&f, 1, st, st->members == 3);
	close_fix(&f);
}

TEST(another_cluster_and_a_taken_id_are_refused)
{
	struct fix f;
	Gfl__V1__JoinRequest in = GFL__V1__JOIN_REQUEST__INIT;
	Gfl__V1__Member m = GFL__V1__MEMBER__INIT;
	struct answer a;

	start_three(&f);
	m.url = "http://127.0.0.1:9";
	m.instance_id = "x";
	m.id = 2;
	in.member = &m;
	in.cluster_id = "ffffffffffffffffffffffffffffffff";
	a = call(&f, 3, RPC_NODE_JOIN, &in);
	CHECK_INT(a.err.code, ERR_FAILED_PRECONDITION);
	CHECK_HAS(a.err.msg, in.cluster_id);
	CHECK_HAS(a.err.msg, node_cluster(f.at[1].n));
	in.cluster_id = "";
	a = call(&f, 3, RPC_NODE_JOIN, &in);
	CHECK_INT(a.err.code, ERR_ALREADY_EXISTS);
	close_fix(&f);
}

/* What a watcher has built. */
struct watcher {
	struct state *s;
	int leaders;
	bool done;
};

static void watched(const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__WatchStateEvent *e =
		(const Gfl__V1__WatchStateEvent *)msg;
	struct watcher *w = arg;
	struct state_result res;
	struct err err;

	if (e->what_case == GFL__V1__WATCH_STATE_EVENT__WHAT_STATE)
		CHECK_INT(state_decode(&w->s, e->state, &err), 0);
	else if (e->what_case == GFL__V1__WATCH_STATE_EVENT__WHAT_LEADER)
		w->leaders++;
	else
		CHECK_INT(state_apply_told(w->s, e->entry, &res, &err), 0);
}

static void watch_done(const struct err *err, const ProtobufCMessage *out,
		       void *arg)
{
	(void)err;
	(void)out;
	((struct watcher *)arg)->done = true;
}

TEST(a_watcher_that_applies_has_the_state_of_its_node)
{
	struct fix f;
	Gfl__V1__WatchStateRequest in = GFL__V1__WATCH_STATE_REQUEST__INIT;
	const struct rpc_opts opts = {0};
	struct watcher w = {0};
	Gfl__V1__State *a, *b;
	Gfl__V1__AttachTrainerResponse *t;

	start_three(&f);
	client_stream(f.client, f.at[2].url, RPC_NODE_WATCH_STATE, &in.base,
		      &opts, watched, watch_done, &w);
	UNTIL(&f, w.s && w.leaders);
	t = attach(&f, 3, "one");
	CHECK_INT(t->trainer_id, 3);
	rpc_free(&t->base);
	start_run(&f, 2, 40);
	UNTIL(&f, state_running(w.s));
	a = state_of(&f, 2);
	UNTIL(&f, w.s->applied >= a->applied);
	b = state_encode(w.s);
	if (w.s->applied == a->applied) {
		size_t len = gfl__v1__state__get_packed_size(a);
		uint8_t *x = mem_zero(1, len), *y;

		CHECK_INT(gfl__v1__state__get_packed_size(b), len);
		y = mem_zero(1, len);
		gfl__v1__state__pack(a, x);
		gfl__v1__state__pack(b, y);
		CHECK(!memcmp(x, y, len));
		free(x);
		free(y);
	}
	rpc_free(&a->base);
	rpc_free(&b->base);
	stop(&f, 2);
	UNTIL(&f, w.done);
	state_free(w.s);
	close_fix(&f);
}

/* A trainer's report; whether it is attached there. */
static bool report(struct fix *f, int id, int64_t trainer, int64_t run,
		   int64_t round, const char *state)
{
	Gfl__V1__ReportRequest in = GFL__V1__REPORT_REQUEST__INIT;
	Gfl__V1__TrainerReport r = GFL__V1__TRAINER_REPORT__INIT, *rs = &r;
	Gfl__V1__ReportResponse *out;
	bool attached;

	r.trainer_id = trainer;
	r.run = run;
	r.round = round;
	r.state = (char *)state;
	in.trainer_id = trainer;
	in.reports = &rs;
	in.n_reports = run ? 1 : 0;
	out = ask(f, id, RPC_NODE_REPORT, &in);
	attached = out->attached;
	rpc_free(&out->base);
	return attached;
}

static Gfl__V1__Run *show(struct fix *f, int id, int64_t run)
{
	Gfl__V1__ShowRunRequest in = GFL__V1__SHOW_RUN_REQUEST__INIT;

	in.id = run;
	return ask(f, id, RPC_NODE_SHOW_RUN, &in);
}

/* The rounds that the newest plan covers end before this one. */
static int64_t planned(struct fix *f, int id)
{
	Gfl__V1__State *s = state_of(f, id);
	int64_t end = 0;

	for (size_t i = 0; i < s->n_plans; i++)
		end = s->plans[i]->t0 + (int64_t)s->plans[i]->n_rounds;
	rpc_free(&s->base);
	return end;
}

TEST(a_run_is_planned_as_it_goes_and_ends_when_all_have_finished)
{
	struct fix f;
	int64_t run, round = 0;
	Gfl__V1__Run *r;

	start_three(&f);
	rpc_free(&attach(&f, 2, "two")->base);
	rpc_free(&attach(&f, 3, "three")->base);
	run = start_run(&f, 3, 40);
	while (round < 40) {
		UNTIL(&f, planned(&f, 2) > round);
		round = planned(&f, 2) < 40 ? planned(&f, 2) : 40;
		CHECK(report(&f, 2, 2, run, round, "training"));
		CHECK(report(&f, 3, 3, run, round, "training"));
	}
	CHECK_INT(planned(&f, 2), 40);
	CHECK(report(&f, 2, 2, run, 40, "finished"));
	CHECK(report(&f, 3, 3, run, 40, "finished"));
	for (bool over = false; !over;) {
		r = show(&f, 2, run);
		over = !strcmp(r->state, "finished");
		if (over) {
			CHECK_INT(r->n_reports, 2);
			CHECK_STR(r->reports[0]->state, "finished");
			CHECK_INT(r->reports[1]->round, 40);
		}
		rpc_free(&r->base);
	}
	close_fix(&f);
}

TEST(a_silent_trainer_is_down_and_the_rest_are_planned_anew)
{
	struct fix f;
	int64_t run, epoch;
	Gfl__V1__State *s;

	open_fix(&f);
	f.fail_after_ms = 1200;
	start(&f, 1, true);
	for (int i = 0; i < 3; i++) {
		char name[] = {'t', (char)('0' + i), 0};

		rpc_free(&attach(&f, 1, name)->base);
	}
	run = start_run(&f, 1, 400);
	UNTIL(&f, planned(&f, 1) > 0);
	s = state_of(&f, 1);
	epoch = s->epoch;
	rpc_free(&s->base);
	for (bool down = false; !down;) {
		CHECK(report(&f, 1, 1, run, 1, "training"));
		CHECK(report(&f, 1, 2, run, 1, "training"));
		s = state_of(&f, 1);
		down = s->epoch > epoch && s->n_plans > 1;
		if (down) {
			CHECK_INT(s->trainers[2]->liveness,
				  GFL__V1__LIVENESS__DOWN);
			CHECK_INT(s->plans[s->n_plans - 1]->epoch, s->epoch);
		}
		rpc_free(&s->base);
	}
	CHECK(!report(&f, 1, 3, 0, 0, ""));
	rpc_free(&attach(&f, 1, "t2")->base);
	CHECK(report(&f, 1, 3, 0, 0, ""));
	close_fix(&f);
}

static bool has_heard(struct fix *f, int id, int64_t trainer, int64_t round)
{
	Gfl__V1__ListRunsRequest in = GFL__V1__LIST_RUNS_REQUEST__INIT;
	Gfl__V1__ListRunsResponse *out = ask(f, id, RPC_NODE_LIST_RUNS, &in);
	bool heard = false;

	for (size_t i = 0; i < out->n_runs; i++)
		for (size_t k = 0; k < out->runs[i]->n_reports; k++) {
			const Gfl__V1__TrainerReport *r =
				out->runs[i]->reports[k];

			heard |= r->trainer_id == trainer && r->round == round;
		}
	rpc_free(&out->base);
	return heard;
}

TEST(a_new_leader_hears_what_only_the_old_one_knew)
{
	struct fix f;
	int64_t run;

	open_fix(&f);
	f.fail_after_ms = 120000;
	start(&f, 1, true);
	start(&f, 2, false);
	start(&f, 3, false);
	UNTIL_STATUS(&f, 1, st, st->voters == 3);
	rpc_free(&attach(&f, 2, "two")->base);
	rpc_free(&attach(&f, 3, "three")->base);
	run = start_run(&f, 3, 10);
	UNTIL(&f, planned(&f, 2) == 10);
	CHECK(report(&f, 2, 2, run, 10, "finished"));
	UNTIL(&f, has_heard(&f, 1, 2, 10));
	stop(&f, 1);
	UNTIL(&f, leader(&f, 2) > 1);
	UNTIL(&f, report(&f, 3, 3, run, 10, "finished"));
	UNTIL_STATUS(&f, 2, st, !st->run);
	close_fix(&f);
}

TEST(a_trainer_that_failed_is_planned_for_no_more)
{
	struct fix f;
	int64_t run;
	bool out = false;

	open_fix(&f);
	start(&f, 1, true);
	rpc_free(&attach(&f, 1, "one")->base);
	rpc_free(&attach(&f, 1, "two")->base);
	rpc_free(&attach(&f, 1, "three")->base);
	run = start_run(&f, 1, 400);
	UNTIL(&f, planned(&f, 1) > 0);
	CHECK(report(&f, 1, 2, run, 1, "failed"));
	UNTIL(&f, !report(&f, 1, 2, 0, 0, ""));
	rpc_free(&attach(&f, 1, "two")->base);
	while (!out) {
		Gfl__V1__State *s = state_of(&f, 1);
		struct state *all = NULL;
		struct err err;

		CHECK_INT(state_decode(&all, s, &err), 0);
		out = plans_epoch(&all->plans, run) == all->epoch;
		for (size_t i = 0; out && i < s->n_plans; i++)
			if (s->plans[i]->epoch == s->epoch)
				CHECK(!plan_partner(
					&all->plans.all[i]->rounds[0], 2));
		state_free(all);
		rpc_free(&s->base);
	}
	close_fix(&f);
}

TEST(a_trainer_that_is_down_for_long_is_detached)
{
	struct fix f;

	open_fix(&f);
	f.fail_after_ms = 200;
	f.remove_after_ms = 500;
	start(&f, 1, true);
	rpc_free(&attach(&f, 1, "one")->base);
	for (bool gone = false; !gone;) {
		Gfl__V1__State *s = state_of(&f, 1);

		gone = !s->n_trainers;
		rpc_free(&s->base);
	}
	close_fix(&f);
}

static int64_t send_text(struct fix *f, int via, int64_t to, const char *id,
			 const char *text)
{
	Gfl__V1__SendMessageRequest in = GFL__V1__SEND_MESSAGE_REQUEST__INIT;
	Gfl__V1__MessageItem m = GFL__V1__MESSAGE_ITEM__INIT;
	Gfl__V1__SendMessageResponse *out;
	int64_t cursor;

	m.to = to;
	m.id = (char *)id;
	m.type = 1;
	m.payload.data = (uint8_t *)text;
	m.payload.len = strlen(text);
	in.message = &m;
	out = ask(f, via, RPC_NODE_SEND_MESSAGE, &in);
	cursor = out->cursor;
	rpc_free(&out->base);
	return cursor;
}

static Gfl__V1__ReceiveMessagesResponse *receive(struct fix *f, int id,
						 int64_t after, int64_t wait_ms)
{
	Gfl__V1__ReceiveMessagesRequest in =
		GFL__V1__RECEIVE_MESSAGES_REQUEST__INIT;

	in.after = after;
	in.wait_ms = wait_ms;
	return ask(f, id, RPC_NODE_RECEIVE_MESSAGES, &in);
}

TEST(a_message_is_kept_once_until_its_reader_has_it)
{
	struct fix f;
	Gfl__V1__ReceiveMessagesResponse *got;
	int64_t cursor;

	start_three(&f);
	cursor = send_text(&f, 1, 3, "a", "hello");
	CHECK_INT(send_text(&f, 2, 3, "a", "hello"), cursor);
	send_text(&f, 2, 3, "", "second");
	stop(&f, 3);
	start(&f, 3, false);
	got = receive(&f, 3, 0, 0);
	CHECK_INT(got->n_messages, 2);
	CHECK_INT(got->messages[0]->cursor, cursor);
	CHECK(!memcmp(got->messages[0]->payload.data, "hello", 5));
	rpc_free(&got->base);
	got = receive(&f, 3, cursor, 0);
	CHECK_INT(got->n_messages, 1);
	rpc_free(&got->base);
	CHECK_INT(send_text(&f, 3, 3, "a", "hello"), cursor);
	got = receive(&f, 3, cursor + 100, 10);
	CHECK_INT(got->n_messages, 0);
	rpc_free(&got->base);
	close_fix(&f);
}

TEST(a_message_of_the_comm_manager_is_a_regular_one)
{
	Gfl__V1__ReceiveMessagesResponse *got;
	CommRequest in = COMM_REQUEST__INIT;
	CommResponse *out;
	struct fix f;

	open_fix(&f);
	start(&f, 1, true);
	in.client_id = 7;
	in.message.data = (uint8_t *)"\x80\4K\0.";
	in.message.len = 5;
	for (int i = 0; i < 2; i++) {
		out = ask(&f, 1,
			  i ? RPC_COMM_RECEIVE_MESSAGE : RPC_COMM_SEND_MESSAGE,
			  &in);
		CHECK_INT(out->client_id, 1);
		CHECK_INT(out->message.len, 0);
		rpc_free(&out->base);
	}
	got = receive(&f, 1, 0, 0);
	CHECK_INT(got->n_messages, 2);
	CHECK_INT(got->messages[1]->from, 7);
	CHECK_INT(got->messages[1]->type, 1);
	CHECK_INT(got->messages[1]->payload.len, 5);
	CHECK(!memcmp(got->messages[1]->payload.data, "\x80\4K\0.", 5));
	rpc_free(&got->base);
	close_fix(&f);
}

TEST(a_reader_is_held_until_a_message_comes)
{
	struct fix f;
	Gfl__V1__ReceiveMessagesRequest in =
		GFL__V1__RECEIVE_MESSAGES_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = 20000};
	struct answer a = {0};

	open_fix(&f);
	start(&f, 1, true);
	in.wait_ms = 15000;
	client_call(f.client, f.at[1].url, RPC_NODE_RECEIVE_MESSAGES, &in.base,
		    &opts, answered, &a);
	send_text(&f, 1, 1, "x", "now");
	UNTIL(&f, a.done);
	CHECK(a.out);
	CHECK_INT(((Gfl__V1__ReceiveMessagesResponse *)a.out)->n_messages, 1);
	rpc_free(a.out);
	close_fix(&f);
}

/* How many messages a reader gets, who acknowledges taken (or NULL). */
static size_t choose(struct fix *f, const char *taken, int32_t type, int max)
{
	Gfl__V1__ReceiveMessagesRequest in =
		GFL__V1__RECEIVE_MESSAGES_REQUEST__INIT;
	Gfl__V1__ReceiveMessagesResponse *got;
	size_t n;

	in.taken = (char **)&taken;
	in.n_taken = taken ? 1 : 0;
	in.types = &type;
	in.n_types = type ? 1 : 0;
	in.max = max;
	got = ask(f, 1, RPC_NODE_RECEIVE_MESSAGES, &in);
	n = got->n_messages;
	rpc_free(&got->base);
	return n;
}

TEST(a_message_that_is_acknowledged_by_its_id_leaves_those_before_it)
{
	struct fix f;
	Gfl__V1__ReceiveMessagesResponse *got;

	open_fix(&f);
	start(&f, 1, true);
	send_text(&f, 1, 1, "a", "first");
	send_text(&f, 1, 1, "b", "second");
	CHECK_INT(choose(&f, NULL, 1, 0), 2);
	CHECK_INT(choose(&f, NULL, 7, 0), 0);
	CHECK_INT(choose(&f, "b", 0, -1), 0);
	CHECK_INT(choose(&f, "b", 0, -1), 0);
	CHECK_INT(choose(&f, "unknown", 0, 0), 1);
	got = receive(&f, 1, 0, 0);
	CHECK_INT(got->n_messages, 1);
	CHECK_STR(got->messages[0]->id, "a");
	rpc_free(&got->base);
	send_text(&f, 1, 1, "b", "second");
	CHECK_INT(choose(&f, NULL, 0, 0), 1);
	close_fix(&f);
}

TEST(any_member_lists_the_cluster)
{
	struct fix f;
	GetNodesRequest in = GET_NODES_REQUEST__INIT;
	GetNodesResponse *out;

	start_three(&f);
	out = ask(&f, 3, RPC_GATEWAY_GET_NODES, &in);
	CHECK_INT(out->n_nodes, 3);
	CHECK_INT(out->leader_id, 1);
	CHECK_STR(out->nodes[1]->url, f.at[2].url);
	CHECK_STR(out->nodes[1]->ip_address, "127.0.0.1");
	CHECK_STR(out->nodes[0]->role, "leader");
	CHECK_STR(out->cluster_id, node_cluster(f.at[1].n));
	rpc_free(&out->base);
	close_fix(&f);
}
