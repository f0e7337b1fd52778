/* Calls that may not be made twice, and networks that lose their answers. */
#include "test.h"

#include <unistd.h>

#include "base/clock.h"
#include "proto/gateway.pb-c.h"
#include "proxy.h"
#include "wire/client.h"
#include "world.h"

#define REMOVE "/GatewayService/RemoveNode"
#define ID_A "gfl-request-id: 00112233445566778899aabbccddeeff"
#define ID_B "gfl-request-id: 00112233445566778899aabbccddeefe"
#define SEVEN "{\"nodeId\":7}"

/* Answers at once: with how often it was called, or an error. */
static void on_remove(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const RemoveNodeRequest *in = (const RemoveNodeRequest *)msg;
	RemoveNodeResponse out = REMOVE_NODE_RESPONSE__INIT;
	struct world *w = arg;
	struct err err;

	w->calls++;
	if (in->node_id < 0) {
		err_set(&err, ERR_NOT_FOUND, "the %d.", w->calls);
		call_fail(call, &err);
		return;
	}
	out.node_id = w->calls;
	call_reply(call, &out.base);
}

static void answer_removed(struct world *w)
{
	RemoveNodeResponse out = REMOVE_NODE_RESPONSE__INIT;
	struct call *call = w->kept;

	out.node_id = w->calls;
	w->kept = NULL;
	call_reply(call, &out.base);
}

static void open_with(struct world *w, server_fn *fn)
{
	world_open(w, (struct server_opts){0});
	server_handle(w->server, RPC_GATEWAY_REMOVE_NODE, fn, w);
}

static void remove_once(struct world *w, const char *body, const char *id,
			const char *part)
{
	int fd = dial(w);

	post(w, fd, REMOVE, JSON, body, id);
	hear_part(w, fd, part);
	close(fd);
}

TEST(a_repeated_id_gets_the_same_answer)
{
	struct world w;

	open_with(&w, on_remove);
	for (int i = 0; i < 3; i++)
		remove_once(&w, SEVEN, ID_A "\r\n", "{\"nodeId\":1}");
	remove_once(&w, SEVEN, ID_B "\r\n", "{\"nodeId\":2}");
	remove_once(&w, SEVEN, ID_A "; repeated\r\n", "{\"nodeId\":1}");
	remove_once(&w, SEVEN, "", "{\"nodeId\":3}");
	remove_once(&w, SEVEN, "", "{\"nodeId\":4}");
	world_close(&w);
}

TEST(a_repeated_id_gets_the_same_error)
{
	struct world w;

	open_with(&w, on_remove);
	for (int i = 0; i < 3; i++)
		remove_once(&w, "{\"nodeId\":-1}", ID_A "\r\n", "the 1.");
	CHECK_INT(w.calls, 1);
	world_close(&w);
}

TEST(an_id_is_for_one_request)
{
	struct world w;

	open_with(&w, on_remove);
	remove_once(&w, SEVEN, ID_A "\r\n", "{\"nodeId\":1}");
	remove_once(&w, "{\"nodeId\":8}", ID_A "\r\n",
		    "was given to another request");
	remove_once(&w, SEVEN, "gfl-request-id: 0011\r\n",
		    "is not 32 hex digits");
	remove_once(&w, SEVEN, ID_A "x\r\n", "is not 32 hex digits");
	CHECK_INT(w.calls, 1);
	world_close(&w);
}

TEST(who_asks_again_for_what_is_not_known_carries_out_nothing)
{
	struct world w;

	open_with(&w, on_remove);
	remove_once(&w, SEVEN, ID_A "; repeated\r\n",
		    "whether RemoveNode was carried out is not known here");
	CHECK_INT(w.calls, 0);
	world_close(&w);
}

TEST(a_repetition_joins_the_call_that_is_under_way)
{
	struct world w;
	int fds[4];

	open_with(&w, hold);
	for (int i = 0; i < 4; i++) {
		fds[i] = dial(&w);
		post(&w, fds[i], REMOVE, JSON, SEVEN, ID_A "\r\n");
	}
	UNTIL(&w, w.kept);
	close(fds[0]); /* the first, perhaps */
	close(fds[3]);
	for (int i = 0; i < 20; i++)
		world_turn(&w);
	CHECK_INT(w.cancels, 0);
	answer_removed(&w);
	hear_part(&w, fds[1], "\"nodeId\":");
	hear_part(&w, fds[2], "\"nodeId\":");
	close(fds[1]);
	close(fds[2]);
	world_close(&w);
}

TEST(a_call_goes_on_when_its_client_is_gone)
{
	struct world w;
	int fd;

	open_with(&w, hold);
	fd = dial(&w);
	post(&w, fd, REMOVE, JSON, SEVEN, ID_A "\r\n");
	UNTIL(&w, w.kept);
	close(fd);
	for (int i = 0; i < 20; i++)
		world_turn(&w);
	CHECK_INT(w.cancels, 0);
	answer_removed(&w);
	remove_once(&w, SEVEN, ID_A "\r\n", "{\"nodeId\":1}");
	CHECK_INT(w.calls, 1);
	world_close(&w);
}

TEST(a_call_without_a_client_still_has_its_deadline)
{
	struct world w;
	int fd;

	open_with(&w, hold);
	fd = dial(&w);
	post(&w, fd, REMOVE, JSON, SEVEN,
	     ID_A "\r\nconnect-timeout-ms: 50\r\n");
	UNTIL(&w, w.kept);
	close(fd);
	UNTIL(&w, w.cancels == 1);
	remove_once(&w, SEVEN, ID_A "\r\n", "the deadline has passed");
	CHECK_INT(w.calls, 1);
	world_close(&w);
}

TEST(a_repetition_has_its_own_deadline)
{
	struct world w;
	int fd;

	open_with(&w, hold);
	fd = dial(&w);
	post(&w, fd, REMOVE, JSON, SEVEN, ID_A "\r\n");
	UNTIL(&w, w.kept);
	remove_once(&w, SEVEN, ID_A "\r\nconnect-timeout-ms: 20\r\n",
		    "the deadline has passed");
	answer_removed(&w);
	hear_part(&w, fd, "{\"nodeId\":1}");
	close(fd);
	world_close(&w);
}

TEST(a_call_without_a_client_is_cancelled_when_the_server_closes)
{
	struct world w;
	int fd;

	open_with(&w, hold);
	fd = dial(&w);
	post(&w, fd, REMOVE, JSON, SEVEN, ID_A "\r\n");
	UNTIL(&w, w.kept);
	close(fd);
	for (int i = 0; i < 20; i++)
		world_turn(&w);
	CHECK_INT(w.cancels, 0);
	world_close(&w);
	CHECK_INT(w.cancels, 1);
}

/* ---- our client ---- */

struct trip {
	struct world w;
	struct proxy proxy;
	struct client *c;
	struct err err;
	int node_id;
	bool done;
};

static void on_done(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct trip *t = arg;

	t->done = true;
	t->err = err ? *err : (struct err){0};
	if (out && out->descriptor == &remove_node_response__descriptor)
		t->node_id = ((const RemoveNodeResponse *)out)->node_id;
}

static void trip_open(struct trip *t, server_fn *fn)
{
	*t = (struct trip){0};
	CHECK(!loop_open(&t->w.loop, NULL));
	proxy_open(&t->proxy, t->w.loop);
	CHECK(!server_open(&t->w.server, t->w.loop,
			   &(struct server_opts){.listen = "127.0.0.1:0",
						 .advertise = t->proxy.url},
			   NULL));
	t->proxy.to_port = server_port(t->w.server);
	server_handle(t->w.server, RPC_GATEWAY_REMOVE_NODE, fn, &t->w);
	CHECK(!client_open(&t->c, t->w.loop, NULL, NULL));
}

static void trip_close(struct trip *t)
{
	client_close(t->c);
	proxy_close(&t->proxy);
	world_close(&t->w);
}

static void trip_call(struct trip *t, bool retry, int64_t try_ms)
{
	RemoveNodeRequest in = REMOVE_NODE_REQUEST__INIT;
	struct rpc_opts opts = {
		.timeout_ms = 60000, .retry = retry, .try_ms = try_ms};

	t->done = false;
	client_call(t->c, t->proxy.url, RPC_GATEWAY_REMOVE_NODE, &in.base,
		    &opts, on_done, t);
}

TEST(a_call_whose_answer_is_lost_is_carried_out_once)
{
	struct trip t;

	trip_open(&t, hold);
	trip_call(&t, true, 0);
	UNTIL(&t.w, t.w.kept); /* the server has read it */
	proxy_cut(&t.proxy);
	UNTIL(&t.w, t.proxy.accepted == 2);
	answer_removed(&t.w);
	UNTIL(&t.w, t.done);
	CHECK_STR(t.err.msg, "");
	CHECK_INT(t.node_id, 1);
	CHECK_INT(t.w.calls, 1);
	trip_close(&t);
}

TEST(the_answer_of_a_lost_call_may_come_before_it_is_asked_for_again)
{
	struct trip t;

	trip_open(&t, hold);
	trip_call(&t, true, 0);
	UNTIL(&t.w, t.w.kept);
	proxy_cut(&t.proxy);
	for (int i = 0; i < 20; i++)
		world_turn(&t.w);
	answer_removed(&t.w);
	UNTIL(&t.w, t.done);
	CHECK_INT(t.node_id, 1);
	CHECK_INT(t.w.calls, 1);
	trip_close(&t);
}

TEST(without_retry_a_lost_call_is_unavailable_and_not_made_again)
{
	struct trip t;

	trip_open(&t, on_remove);
	trip_call(&t, false, 0); /* its connection is kept */
	UNTIL(&t.w, t.done);
	server_handle(t.w.server, RPC_GATEWAY_REMOVE_NODE, hold, &t.w);
	trip_call(&t, false, 0);
	UNTIL(&t.w, t.w.kept);
	proxy_cut(&t.proxy);
	UNTIL(&t.w, t.done);
	CHECK_INT(t.err.code, ERR_UNAVAILABLE);
	CHECK_INT(t.w.calls, 2);
	answer_removed(&t.w);
	trip_close(&t);
}

TEST(a_call_that_did_not_get_through_is_not_known)
{
	struct trip t;

	trip_open(&t, on_remove);
	t.proxy.refusing = true; /* it takes the connection, and cuts it */
	trip_call(&t, true, 0);
	UNTIL(&t.w, t.proxy.accepted == 1);
	t.proxy.refusing = false;
	UNTIL(&t.w, t.done);
	CHECK_INT(t.err.code, ERR_UNKNOWN);
	CHECK_HAS(t.err.msg, "whether RemoveNode was carried out is not known");
	CHECK_INT(t.w.calls, 0);
	trip_close(&t);
}

TEST(a_slow_attempt_is_given_up_for_another)
{
	struct trip t;

	trip_open(&t, hold);
	trip_call(&t, true, 60);
	UNTIL(&t.w, t.proxy.accepted == 3);
	CHECK(!t.done);
	answer_removed(&t.w);
	UNTIL(&t.w, t.done);
	CHECK_INT(t.node_id, 1);
	CHECK_INT(t.w.calls, 1);
	trip_close(&t);
}

/* Silent at first, then it answers. */
static void slow_beat(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct world *w = arg;

	if (!w->calls)
		hold(call, in, arg);
	else
		heartbeat(call, in, arg);
}

TEST(what_may_be_repeated_gets_a_time_for_each_attempt)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;
	struct rpc_opts opts = {
		.timeout_ms = 60000, .retry = true, .try_ms = 400};
	int64_t began = clock_ms();
	struct trip t;

	trip_open(&t, hold);
	server_handle(t.w.server, RPC_GATEWAY_HEARTBEAT, slow_beat, &t.w);
	t.done = false;
	client_call(t.c, t.proxy.url, RPC_GATEWAY_HEARTBEAT, &in.base, &opts,
		    on_done, &t);
	UNTIL(&t.w, t.done);
	CHECK_INT(t.err.code, 0);
	CHECK_INT(t.w.calls, 2);
	CHECK(clock_ms() - began < 50000);
	trip_close(&t);
}
