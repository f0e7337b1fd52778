#include "test.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "proto/gateway.pb-c.h"
#include "registry/gateway.h"
#include "wire/client.h"

#define ONE "11111111111111111111111111111111"
#define TWO "22222222222222222222222222222222"
#define OURS "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* A gateway on a server of its own, and a client in the same loop. */
struct rig {
	struct loop *loop;
	struct db *db, *reader;
	struct server *server;
	struct gateway *gateway;
	struct client *client;
	struct rpc *stream;
	struct buf heard; /* "joined 1;left 1;": what the stream has told */
	bool failed;
};

static const struct lease_config usual = {.lease_ms = 10000,
					  .forget_ms = 10000,
					  .grant_ms = 10000,
					  .grants = true};

static struct err err;

static void on_failed(void *arg)
{
	((struct rig *)arg)->failed = true;
}

static void rig_open_db(struct rig *r, const struct lease_config *config)
{
	struct server_opts opts = {.listen = "127.0.0.1:0"};

	log_setup("gateway_test", LEVEL_ERROR, false);
	CHECK(!loop_open(&r->loop, &err));
	CHECK(!server_open(&r->server, r->loop, &opts, &err));
	CHECK(!gateway_open(&r->gateway, r->loop, r->server, r->db, config,
			    on_failed, r, &err));
	CHECK(!client_open(&r->client, r->loop, NULL, &err));
	r->heard = (struct buf)BUF_INIT(0);
	buf_puts(&r->heard, "");
}

static void rig_open(struct rig *r, const struct lease_config *config)
{
	*r = (struct rig){0};
	CHECK(!db_open(&r->db, "gateway.db", DB_GATEWAY, &err));
	rig_open_db(r, config);
	CHECK(!db_open_to_read(&r->reader, "gateway.db", DB_GATEWAY, &err));
}

static void rig_close(struct rig *r)
{
	client_close(r->client);
	gateway_close(r->gateway);
	server_close(r->server, 0);
	db_close(r->reader);
	db_close(r->db);
	loop_close(r->loop);
	buf_release(&r->heard);
}

static void turn(struct rig *r)
{
	uv_run(loop_uv(r->loop), UV_RUN_ONCE);
}

struct reply {
	bool done;
	int code;
	ProtobufCMessage *out;
};

static void on_reply(const struct err *e, const ProtobufCMessage *out,
		     void *arg)
{
	struct reply *reply = arg;

	reply->done = true;
	reply->code = e ? (int)e->code : 0;
	if (e)
		err = *e;
	else
		reply->out = rpc_copy(out);
}

static void call(struct rig *r, struct reply *reply, enum rpc_name name,
		 const ProtobufCMessage *in)
{
	struct rpc_opts opts = {.timeout_ms = 5000};

	*reply = (struct reply){0};
	client_call(r->client, server_url(r->server), name, in, &opts, on_reply,
		    reply);
}

/* The answer, or NULL with err set; rpc_free() it. */
static void *ask(struct rig *r, enum rpc_name name, const ProtobufCMessage *in)
{
	struct reply reply;

	call(r, &reply, name, in);
	while (!reply.done)
		turn(r);
	return reply.out;
}

static RegisterNodeRequest node(int id, const char *instance)
{
	RegisterNodeRequest in = REGISTER_NODE_REQUEST__INIT;

	in.node_id = id;
	in.url = (char *)"http://127.0.0.1:8901";
	in.instance_id = (char *)instance;
	return in;
}

static bool enter(struct rig *r, int id, const char *instance)
{
	RegisterNodeRequest in = node(id, instance);
	RegisterNodeResponse *out = ask(r, RPC_GATEWAY_REGISTER_NODE, &in.base);
	bool bootstrap;

	CHECK(out);
	bootstrap = out->is_bootstrap;
	rpc_free(&out->base);
	return bootstrap;
}

static void remove_node(struct rig *r, int id)
{
	RemoveNodeRequest in = REMOVE_NODE_REQUEST__INIT;

	in.node_id = id;
	rpc_free(ask(r, RPC_GATEWAY_REMOVE_NODE, &in.base));
}

static void on_event(const ProtobufCMessage *msg, void *arg)
{
	const NodeEvent *e = (const NodeEvent *)msg;
	struct rig *r = arg;

	buf_putf(&r->heard, "%s %d;", e->kind,
		 e->node ? (int)e->node->node_id : 0);
}

static void on_end(const struct err *e, const ProtobufCMessage *out, void *arg)
{
	(void)out, (void)arg;
	if (e)
		test_fail(__FILE__, __LINE__, "%s", e->msg);
}

static void hear(struct rig *r, const char *all)
{
	while (r->heard.len < strlen(all))
		turn(r);
	CHECK_STR(r->heard.p, all);
}

/* Node id is there, and its presence is the first that the stream tells. */
static void watch(struct rig *r, const char *present)
{
	WatchNodesRequest in = WATCH_NODES_REQUEST__INIT;
	struct rpc_opts opts = {0};

	in.snapshot = true;
	r->stream = client_stream(r->client, server_url(r->server),
				  RPC_GATEWAY_WATCH_NODES, &in.base, &opts,
				  on_event, on_end, r);
	hear(r, present);
}

static int64_t stored(struct rig *r)
{
	int64_t n;

	CHECK(!db_number(r->reader, "SELECT count(*) FROM member", 0, &n,
			 &err));
	return n;
}

TEST(gateway_answers_a_registration_only_when_it_is_durable)
{
	struct rig r;

	rig_open(&r, &usual);
	for (int id = 1; id <= 20; id++) {
		enter(&r, id, "");
		CHECK_INT(stored(&r), id);
	}
	rig_close(&r);
}

TEST(gateway_shows_no_reader_what_is_not_durable)
{
	GetNodesRequest all = GET_NODES_REQUEST__INIT;
	struct rig r;

	rig_open(&r, &usual);
	for (int id = 1; id <= 20; id++) {
		RegisterNodeRequest in = node(id, "");
		struct reply entered, seen;

		call(&r, &entered, RPC_GATEWAY_REGISTER_NODE, &in.base);
		call(&r, &seen, RPC_GATEWAY_GET_NODES, &all.base);
		while (!seen.done)
			turn(&r);
		CHECK(stored(&r) >=
		      (int64_t)((GetNodesResponse *)seen.out)->n_nodes);
		while (!entered.done)
			turn(&r);
		rpc_free(entered.out);
		rpc_free(seen.out);
	}
	rig_close(&r);
}

TEST(gateway_tells_watchers_what_happens_in_order)
{
	UpdateLeaderRequest lead = UPDATE_LEADER_REQUEST__INIT;
	struct rig r;

	rig_open(&r, &usual);
	enter(&r, 1, ONE);
	watch(&r, "present 1;");
	enter(&r, 2, TWO);
	lead.leader_id = 2;
	lead.term = 1;
	rpc_free(ask(&r, RPC_GATEWAY_UPDATE_LEADER, &lead.base));
	rpc_free(ask(&r, RPC_GATEWAY_UPDATE_LEADER, &lead.base)); /* no news */
	remove_node(&r, 2);
	hear(&r, "present 1;joined 2;leader 2;left 2;");
	rig_close(&r);
}

TEST(gateway_tells_a_watcher_that_comes_at_the_same_time_once_and_when_durable)
{
	WatchNodesRequest all = WATCH_NODES_REQUEST__INIT;
	struct rpc_opts opts = {0};
	struct rig r;

	rig_open(&r, &usual);
	all.snapshot = true;
	for (int id = 1; id <= 10; id++) {
		RegisterNodeRequest in = node(id, "");
		struct reply entered;
		char once[64];

		buf_reset(&r.heard);
		call(&r, &entered, RPC_GATEWAY_REGISTER_NODE, &in.base);
		r.stream = client_stream(r.client, server_url(r.server),
					 RPC_GATEWAY_WATCH_NODES, &all.base,
					 &opts, on_event, on_end, &r);
		snprintf(once, sizeof(once), " %d;", id);
		while (!r.heard.p || !strstr(r.heard.p, once))
			turn(&r);
		CHECK_INT(stored(&r), id);
		while (!entered.done)
			turn(&r);
		rpc_free(entered.out);
		enter(&r, 100, ""); /* "joined" or "changed": the last word */
		while (!strstr(r.heard.p, " 100;"))
			turn(&r);
		CHECK(!strstr(strstr(r.heard.p, once) + 1, once));
		client_cancel(r.stream);
		remove_node(&r, 100);
	}
	rig_close(&r);
}

TEST(gateway_notices_a_death_while_a_dead_node_waits_to_be_forgotten)
{
	struct lease_config config = {
		.lease_ms = 600, .forget_ms = 100000, .grant_ms = 1000};
	struct rig r;

	rig_open(&r, &config);
	enter(&r, 1, ONE);
	watch(&r, "present 1;expired 1;");
	enter(&r, 2, TWO);
	hear(&r, "present 1;expired 1;joined 2;expired 2;");
	CHECK_INT(stored(&r), 2);
	rig_close(&r);
}

TEST(gateway_forgets_a_dead_node_in_its_file_too)
{
	struct lease_config config = {
		.lease_ms = 600, .forget_ms = 1, .grant_ms = 1000};
	struct rig r;

	rig_open(&r, &config);
	enter(&r, 1, ONE);
	watch(&r, "present 1;expired 1;left 1;");
	CHECK_INT(stored(&r), 0);
	rig_close(&r);
}

TEST(gateway_takes_up_where_it_left)
{
	ConfirmBootstrapRequest confirm = CONFIRM_BOOTSTRAP_REQUEST__INIT;
	UpdateLeaderRequest lead = UPDATE_LEADER_REQUEST__INIT;
	GetNodesRequest all = GET_NODES_REQUEST__INIT;
	GetNodesResponse *out;
	struct rig r;

	rig_open(&r, &usual);
	CHECK(enter(&r, 7, ONE));
	rig_close(&r);

	rig_open(&r, &usual);
	CHECK(!enter(&r, 8, TWO)); /* the grant is still held */
	confirm.node_id = 7;
	confirm.instance_id = (char *)ONE;
	confirm.cluster_id = (char *)OURS;
	rpc_free(ask(&r, RPC_GATEWAY_CONFIRM_BOOTSTRAP, &confirm.base));
	lead.leader_id = 8;
	lead.term = 9;
	rpc_free(ask(&r, RPC_GATEWAY_UPDATE_LEADER, &lead.base));
	rig_close(&r);

	rig_open(&r, &usual);
	CHECK(!enter(&r, 7, ONE)); /* and spent now */
	out = ask(&r, RPC_GATEWAY_GET_NODES, &all.base);
	CHECK_INT(out->n_nodes, 2);
	CHECK_STR(out->nodes[0]->instance_id, ONE);
	CHECK_STR(out->cluster_id, OURS);
	CHECK_INT(out->leader_id, 8);
	CHECK_INT(out->leader_term, 9);
	rpc_free(&out->base);
	rig_close(&r);
}

TEST(gateway_whose_file_is_full_answers_so_and_asks_to_be_stopped)
{
	RegisterNodeRequest in = node(1, ONE);
	char long_url[300];
	struct rig r = {0};
	int64_t pages;
	char *sql;

	snprintf(long_url, sizeof(long_url), "http://%0200d:1", 0);
	in.url = long_url;
	rig_open(&r, &usual);
	enter(&r, 1, ONE);
	rig_close(&r);

	r = (struct rig){0};
	CHECK(!db_open(&r.db, "gateway.db", DB_GATEWAY, &err));
	CHECK(!db_number(r.db, "PRAGMA page_count", 0, &pages, &err));
	sql = mem_fmt("PRAGMA max_page_count = %d", (int)pages);
	CHECK(!db_exec(r.db, sql, &err));
	free(sql);
	rig_open_db(&r, &usual);
	for (in.node_id = 2; in.node_id < 50; in.node_id++) {
		void *out;

		in.instance_id = (char *)"";
		out = ask(&r, RPC_GATEWAY_REGISTER_NODE, &in.base);
		if (!out)
			break;
		rpc_free(out);
	}
	CHECK(err.code == ERR_RESOURCE_EXHAUSTED);
	CHECK_HAS(err.msg, "gateway.db");
	CHECK(r.failed && gateway_failed(r.gateway));
	rig_close(&r);
}
