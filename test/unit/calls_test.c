/* Client and server together, each as it is. */
#include "test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "proto/gateway.pb-c.h"
#include "proto/trainer.pb-c.h"
#include "wire/client.h"
#include "wire/server.h"

struct bed {
	struct loop *loop;
	struct client *c;
	struct server *s;
	const char *url;
	struct err err; /* of the last call */
	int done, want, each, cancelled;
	bool forwarded;
	int64_t left_ms; /* of the deadline that the server saw */
	char text[64];
	struct rpc *rpc;
	struct call *held;
};

static void bed_open(struct bed *b)
{
	struct server_opts opts = {.listen = "127.0.0.1:0"};

	memset(b, 0, sizeof(*b));
	CHECK(!loop_open(&b->loop, NULL));
	CHECK(!client_open(&b->c, b->loop, NULL, NULL));
	CHECK(!server_open(&b->s, b->loop, &opts, NULL));
	b->url = server_url(b->s);
}

static void bed_close(struct bed *b)
{
	client_close(b->c);
	server_close(b->s, 0);
	loop_close(b->loop);
}

static void on_done(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct bed *b = arg;

	b->err = err ? *err : (struct err){0};
	if (out && out->descriptor == &heartbeat_response__descriptor)
		snprintf(b->text, sizeof(b->text), "%s",
			 ((const HeartbeatResponse *)out)->status);
	b->rpc = NULL;
	if (++b->done == b->want)
		loop_stop(b->loop);
}

static void run(struct bed *b, int calls)
{
	b->want = b->done + calls;
	loop_run(b->loop);
	CHECK_INT(b->done, b->want);
}

static void beat(struct bed *b, const struct rpc_opts *opts, int id)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;

	in.node_id = id;
	b->rpc = client_call(b->c, b->url, RPC_GATEWAY_HEARTBEAT, &in.base,
			     opts, on_done, b);
}

static const struct rpc_opts soon = {.timeout_ms = 5000};

static void serve_beat(struct call *call, const ProtobufCMessage *in, void *arg)
{
	int id = ((const HeartbeatRequest *)in)->node_id;
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;
	struct bed *b = arg;
	struct err err;

	b->forwarded = call_forwarded(call);
	b->left_ms = call_deadline_ms(call) - clock_ms();
	out.status = (char *)"received";
	if (id > 0) {
		call_reply(call, &out.base);
		return;
	}
	err_set(&err, ERR_NOT_FOUND, "no node %d \xe2\x80\x94 100%%", id);
	call_fail(call, &err);
}

TEST(answers_and_errors_arrive)
{
	struct rpc_opts opts = {.timeout_ms = 5000, .forwarded = true};
	struct bed b;

	bed_open(&b);
	server_handle(b.s, RPC_GATEWAY_HEARTBEAT, serve_beat, &b);
	beat(&b, &soon, 7);
	run(&b, 1);
	CHECK_STR(b.err.msg, "");
	CHECK_STR(b.text, "received");
	CHECK(!b.forwarded);
	CHECK(b.left_ms > 0 && b.left_ms <= 5000);
	beat(&b, &opts, -1);
	run(&b, 1);
	CHECK_INT(b.err.code, ERR_NOT_FOUND);
	CHECK_STR(b.err.msg, "no node -1 \xe2\x80\x94 100%");
	CHECK(b.forwarded);
	bed_close(&b);
}

TEST(a_thousand_calls_share_their_connections)
{
	struct bed b;

	bed_open(&b);
	server_handle(b.s, RPC_GATEWAY_HEARTBEAT, serve_beat, &b);
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 100; i++)
			beat(&b, &soon, 1 + i);
		run(&b, 100);
		CHECK_STR(b.err.msg, "");
	}
	bed_close(&b);
}

TEST(a_method_that_is_not_served_is_unimplemented)
{
	struct bed b;

	bed_open(&b);
	beat(&b, &soon, 1);
	run(&b, 1);
	CHECK_INT(b.err.code, ERR_UNIMPLEMENTED);
	bed_close(&b);
}

static void on_cancelled(struct call *call, void *arg)
{
	struct bed *b = arg;

	(void)call;
	b->held = NULL;
	b->cancelled++;
	loop_stop(b->loop);
}

static void hold(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct bed *b = arg;

	(void)in;
	b->held = call;
	call_on_cancel(call, on_cancelled, b);
	if (b->rpc && !b->want) {
		client_cancel(b->rpc);
		b->rpc = NULL;
	}
}

TEST(the_server_sees_that_a_call_was_cancelled)
{
	struct bed b;

	bed_open(&b);
	server_handle(b.s, RPC_GATEWAY_HEARTBEAT, hold, &b);
	beat(&b, &soon, 1);
	loop_run(b.loop);
	CHECK_INT(b.cancelled, 1);
	CHECK_INT(b.done, 0);
	bed_close(&b);
}

TEST(a_deadline_ends_the_call_on_both_sides)
{
	struct rpc_opts opts = {.timeout_ms = 500}; /* to be sent */
	struct bed b;

	bed_open(&b);
	server_handle(b.s, RPC_GATEWAY_HEARTBEAT, hold, &b);
	b.want = 2;
	beat(&b, &opts, 1);
	while (!b.cancelled || !b.done)
		loop_run(b.loop);
	CHECK_INT(b.err.code, ERR_DEADLINE_EXCEEDED);
	bed_close(&b);
}

static void send_thousand(struct call *call, const ProtobufCMessage *in,
			  void *arg)
{
	NodeEvent out = NODE_EVENT__INIT;
	bool end = ((const WatchNodesRequest *)in)->snapshot;

	for (int i = 0; i < 1000; i++) {
		out.registry_version = i;
		CHECK(!call_send(call, &out.base));
	}
	if (end)
		call_end(call);
	else
		hold(call, in, arg);
}

static void on_event(const ProtobufCMessage *out, void *arg)
{
	struct bed *b = arg;

	CHECK_INT(((const NodeEvent *)out)->registry_version, b->each);
	if (++b->each == 1000 && !b->want)
		loop_stop(b->loop);
}

static void watch(struct bed *b, bool to_the_end)
{
	WatchNodesRequest in = WATCH_NODES_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = 0};

	in.snapshot = to_the_end;
	b->rpc = client_stream(b->c, b->url, RPC_GATEWAY_WATCH_NODES, &in.base,
			       &opts, on_event, on_done, b);
}

TEST(a_stream_has_all_messages_in_order_and_an_end)
{
	struct bed b;

	bed_open(&b);
	server_handle(b.s, RPC_GATEWAY_WATCH_NODES, send_thousand, &b);
	watch(&b, true);
	run(&b, 1);
	CHECK_STR(b.err.msg, "");
	CHECK_INT(b.each, 1000);
	bed_close(&b);
}

TEST(a_stream_that_is_held_can_be_left)
{
	struct bed b;

	bed_open(&b);
	server_handle(b.s, RPC_GATEWAY_WATCH_NODES, send_thousand, &b);
	watch(&b, false);
	b.rpc = NULL; /* hold() shall not cancel it */
	loop_run(b.loop);
	CHECK_INT(b.each, 1000);
	CHECK(b.held);
	client_close(b.c);
	CHECK(!client_open(&b.c, b.loop, NULL, NULL));
	loop_run(b.loop);
	CHECK_INT(b.cancelled, 1);
	bed_close(&b);
}

static void serve_exchange(struct call *call, const ProtobufCMessage *in,
			   void *arg)
{
	Gfl__V1__ExchangeResponse out = GFL__V1__EXCHANGE_RESPONSE__INIT;

	(void)arg;
	out.values = ((const Gfl__V1__ExchangeRequest *)in)->values;
	call_reply(call, &out.base);
}

static void on_exchanged(const struct err *err, const ProtobufCMessage *out,
			 void *arg)
{
	const Gfl__V1__ExchangeResponse *r =
		(const Gfl__V1__ExchangeResponse *)out;
	struct bed *b = arg;
	uint64_t bytes;
	int64_t us;

	CHECK(!err);
	for (size_t i = 0; i < r->values.len; i++)
		CHECK(r->values.data[i] == (uint8_t)(i * 31 >> 7));
	client_timing(b->c, &bytes, &us);
	CHECK(bytes >= r->values.len);
	CHECK(us >= 0);
	on_done(err, out, arg);
}

TEST(tensors_come_back_as_they_went)
{
	Gfl__V1__ExchangeRequest in = GFL__V1__EXCHANGE_REQUEST__INIT;
	size_t sizes[] = {0, 1, 16000, 70000, 1 << 20, 5 << 20};
	struct bed b;

	bed_open(&b);
	server_handle(b.s, RPC_TRAINER_EXCHANGE, serve_exchange, &b);
	in.values.data = mem_zero(5 << 20, 1);
	for (size_t i = 0; i < 5 << 20; i++)
		in.values.data[i] = (uint8_t)(i * 31 >> 7);
	for (int i = 0; i < 6; i++) {
		in.values.len = sizes[i];
		client_call(b.c, b.url, RPC_TRAINER_EXCHANGE, &in.base, &soon,
			    on_exchanged, &b);
	}
	run(&b, 6);
	free(in.values.data);
	bed_close(&b);
}

/* Serve in a process of its own; its URL comes through a pipe. */
static pid_t serve(char url[64])
{
	int fds[2];
	ssize_t n;
	pid_t pid;

	CHECK(!pipe(fds));
	pid = fork();
	if (!pid) {
		struct bed b;

		bed_open(&b);
		server_handle(b.s, RPC_GATEWAY_HEARTBEAT, serve_beat, &b);
		server_handle(b.s, RPC_GATEWAY_WATCH_NODES, send_thousand, &b);
		CHECK(write(fds[1], b.url, strlen(b.url)) > 0);
		while (true) /* a hook may stop it */
			loop_run(b.loop);
	}
	close(fds[1]);
	n = read(fds[0], url, 63);
	CHECK(n > 0);
	url[n] = '\0';
	close(fds[0]);
	return pid;
}

static bool until_tenth(const ProtobufCMessage *out, void *arg)
{
	int *seen = arg;

	(void)out;
	return ++*seen != 10;
}

TEST(a_program_without_a_loop_can_call)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;
	WatchNodesRequest watched = WATCH_NODES_REQUEST__INIT;
	ProtobufCMessage *out = NULL;
	struct err err;
	int seen = 0;
	char url[64];
	pid_t pid = serve(url);

	in.node_id = 1;
	CHECK_INT(client_now(NULL, url, RPC_GATEWAY_HEARTBEAT, &in.base, 0,
			     &out, &err),
		  0);
	CHECK_STR(((HeartbeatResponse *)out)->status, "received");
	rpc_free(out);
	CHECK_INT(client_stream_now(NULL, url, RPC_GATEWAY_WATCH_NODES,
				    &watched.base, 0, until_tenth, &seen, &err),
		  0);
	CHECK_INT(seen, 10);
	watched.snapshot = true;
	seen = 10;
	CHECK_INT(client_stream_now(NULL, url, RPC_GATEWAY_WATCH_NODES,
				    &watched.base, 5000, until_tenth, &seen,
				    &err),
		  0);
	CHECK_INT(seen, 1010);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK_INT(client_now(NULL, url, RPC_GATEWAY_HEARTBEAT, &in.base, 1000,
			     &out, &err),
		  ERR_UNAVAILABLE);
	CHECK_HAS(err.msg, "Connection refused");
}

TEST(a_stream_whose_server_is_killed_ends_unavailable)
{
	WatchNodesRequest in = WATCH_NODES_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = 0};
	char url[64];
	pid_t pid = serve(url);
	struct bed b;

	bed_open(&b);
	b.rpc = client_stream(b.c, url, RPC_GATEWAY_WATCH_NODES, &in.base,
			      &opts, on_event, on_done, &b);
	loop_run(b.loop);
	CHECK_INT(b.each, 1000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	run(&b, 1);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK_HAS(b.err.msg, "lost the connection to http://127.0.0.1:");
	bed_close(&b);
}
