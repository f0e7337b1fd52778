/* Streams of one member to another that is a script. */
#include "test.h"

#include "raft/transport.h"
#include "proto/raft.pb-c.h"
#include "wire/duplex.h"
#include "world.h"

#define CLUSTER_ID "0123456789abcdef0123456789abcdef"

struct bed {
	struct world w; /* of the peer, whose loop both have */
	struct server *server;
	struct client *client;
	struct transport *t;
	int streams, heard, messages, lost, gone;
	enum err_code refuse; /* what the peer says to the first stream */
	bool mute;
};

static void on_gone(struct call *call, void *arg)
{
	struct bed *b = arg;

	(void)call;
	b->gone++;
}

static void on_message(struct call *call, const ProtobufCMessage *msg,
		       void *arg)
{
	Gfl__V1__RaftStepResponse none = GFL__V1__RAFT_STEP_RESPONSE__INIT;
	struct bed *b = arg;
	struct err err;

	CHECK(msg);
	b->heard++;
	b->messages += (int)((const Gfl__V1__RaftStepRequest *)msg)->n_messages;
	if (b->mute)
		return;
	call_send(call, &none.base);
	if (!b->refuse || b->streams > 1)
		return;
	err_set(&err, b->refuse, "no more");
	call_fail(call, &err);
}

static void on_stream(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	struct bed *b = arg;

	(void)msg;
	b->streams++;
	call_on_cancel(call, on_gone, b);
	call_on_message(call, on_message, b);
}

static int on_msg(const struct raft_msg *msg, void *arg, struct err *err)
{
	(void)msg, (void)arg, (void)err;
	return 0;
}

static void on_lost(int64_t id, void *arg)
{
	struct bed *b = arg;

	CHECK_INT(id, 2);
	b->lost++;
}

static const char *url_of(int64_t id, void *arg)
{
	struct bed *b = arg;

	return id == 2 ? server_url(b->w.server) : NULL;
}

static void bed_open(struct bed *b)
{
	const struct server_opts opts = {.listen = "127.0.0.1:0"};
	struct transport_config cfg = {
		.node_id = 1,
		.cluster_id = CLUSTER_ID,
		.timeout_ms = b->mute ? 200 : 60000,
		.on_msg = on_msg,
		.on_lost = on_lost,
		.url_of = url_of,
		.arg = b,
	};
	struct err err;

	world_open(&b->w, opts);
	server_handle(b->w.server, RPC_RAFT_STEP, on_stream, b);
	CHECK(!client_open(&b->client, b->w.loop, NULL, &err));
	CHECK(!server_open(&b->server, b->w.loop, &opts, &err));
	cfg.loop = b->w.loop;
	cfg.client = b->client;
	cfg.server = b->server;
	transport_open(&b->t, &cfg);
}

static void bed_close(struct bed *b)
{
	server_close(b->server, 0);
	transport_close(b->t);
	client_close(b->client);
	world_close(&b->w);
}

static void send_round(struct bed *b, int64_t round, bool hurry)
{
	const struct raft_msg msg = {
		.type = RAFT_HEARTBEAT,
		.from = 1,
		.to = 2,
		.term = 1,
		.context = round,
	};

	transport_send(b->t, &msg);
	transport_flush(b->t, hurry);
}

static void send_one(struct bed *b)
{
	send_round(b, 1, false);
}

static void send_news(struct bed *b, bool hurry)
{
	send_round(b, 0, hurry);
}

TEST(messages_of_many_turns_travel_on_one_stream)
{
	struct bed b = {0};

	bed_open(&b);
	for (int i = 1; i <= 20; i++) {
		send_one(&b);
		UNTIL(&b.w, b.heard == i);
	}
	CHECK_INT(b.streams, 1);
	CHECK_INT(b.lost, 0);
	bed_close(&b);
}

/* A server ends a stream on which nothing came for a minute so. */
TEST(a_stream_that_ends_because_it_was_idle_is_opened_again_at_once)
{
	struct bed b = {.refuse = ERR_DEADLINE_EXCEEDED};

	bed_open(&b);
	send_one(&b);
	UNTIL(&b.w, b.heard == 1);
	while (b.streams == 1) { /* until it has seen the end */
		send_one(&b);
		world_turn(&b.w);
	}
	CHECK_INT(b.lost, 0);
	bed_close(&b);
}

TEST(a_stream_that_fails_loses_the_peer_and_is_opened_again)
{
	struct bed b = {.refuse = ERR_FAILED_PRECONDITION};

	bed_open(&b);
	send_one(&b);
	UNTIL(&b.w, b.lost == 1);
	while (b.streams == 1) { /* after a pause */
		send_one(&b);
		world_turn(&b.w);
	}
	CHECK_INT(b.lost, 1);
	bed_close(&b);
}

TEST(a_peer_that_takes_nothing_is_lost_in_time)
{
	struct bed b = {.mute = true};

	bed_open(&b);
	send_one(&b);
	UNTIL(&b.w, b.lost == 1);
	UNTIL(&b.w, b.gone == 1);
	CHECK_INT(b.heard, 1);
	bed_close(&b);
}

TEST(a_peer_at_another_url_is_sent_to_there)
{
	struct bed b = {0};

	bed_open(&b);
	send_one(&b);
	UNTIL(&b.w, b.heard == 1);
	transport_url_changed(b.t, 2);
	UNTIL(&b.w, b.gone == 1);
	send_one(&b);
	UNTIL(&b.w, b.heard == 2);
	CHECK_INT(b.streams, 2);
	CHECK_INT(b.lost, 0);
	bed_close(&b);
}

TEST(news_of_a_commit_travel_with_what_comes_next)
{
	struct bed b = {0};

	bed_open(&b);
	send_news(&b, false);
	send_one(&b);
	UNTIL(&b.w, b.messages == 2);
	CHECK_INT(b.heard, 1);
	bed_close(&b);
}

TEST(news_of_a_commit_go_alone_if_nothing_comes_or_in_a_hurry)
{
	struct bed b = {0};

	bed_open(&b);
	send_news(&b, false);
	UNTIL(&b.w, b.heard == 1);
	send_news(&b, true);
	send_one(&b);
	UNTIL(&b.w, b.messages == 3);
	CHECK_INT(b.heard, 3);
	bed_close(&b);
}

TEST(what_a_turn_brings_above_the_bound_is_lost_and_the_peer_is_not)
{
	const struct raft_msg msg = {
		.type = RAFT_HEARTBEAT, .from = 1, .to = 2, .context = 1};
	struct bed b = {0};

	bed_open(&b);
	for (int i = 0; i < 1500; i++)
		transport_send(b.t, &msg);
	transport_flush(b.t, false);
	UNTIL(&b.w, b.heard == 1);
	CHECK_INT(b.messages, 1024);
	send_one(&b);
	UNTIL(&b.w, b.heard == 2);
	CHECK_INT(b.messages, 1025);
	CHECK_INT(b.lost, 0);
	bed_close(&b);
}

/* ---- who speaks to us ---- */

static void on_end(const struct err *err, const ProtobufCMessage *out,
		   void *arg)
{
	bool *over = arg;

	(void)out;
	if (err)
		test_fail(__FILE__, __LINE__, "%s", err->msg);
	*over = true;
}

static struct duplex *speak(struct bed *b, bool *over)
{
	const struct rpc_opts opts = {.timeout_ms = 60000};

	return duplex_open(b->w.loop, server_url(b->server),
			   &rpc_methods[RPC_RAFT_STEP], &opts, NULL, on_end,
			   over);
}

static void hear_from(struct duplex *d, int64_t from, char *url)
{
	Gfl__V1__RaftStepRequest req = GFL__V1__RAFT_STEP_REQUEST__INIT;

	req.cluster_id = CLUSTER_ID;
	req.from = from;
	req.from_url = url;
	CHECK(duplex_send(d, &req.base));
}

TEST(a_peer_is_sent_to_where_it_last_said_that_it_is)
{
	struct bed b = {0}, other = {0};
	bool over = false;
	struct duplex *d;

	bed_open(&b);
	bed_open(&other);
	d = speak(&b, &over);
	hear_from(d, 2, (char *)server_url(other.w.server));
	duplex_finish(d);
	UNTIL(&b.w, over);
	send_one(&b);
	while (other.heard == 0) {
		world_turn(&b.w);
		world_turn(&other.w);
	}
	CHECK_INT(b.heard, 0);
	bed_close(&other);
	bed_close(&b);
}

TEST(a_url_that_is_none_is_not_used)
{
	char *far = mem_fmt("http://%0600d", 1);
	struct bed b = {0};
	bool over = false;
	struct duplex *d;

	bed_open(&b);
	d = speak(&b, &over);
	hear_from(d, 2, "gopher://127.0.0.1:1");
	hear_from(d, 2, far);
	duplex_finish(d);
	UNTIL(&b.w, over);
	send_one(&b);
	UNTIL(&b.w, b.heard == 1);
	CHECK_INT(b.lost, 0);
	free(far);
	bed_close(&b);
}

/* As many as a cluster can have members. */
TEST(strangers_leave_room_for_members)
{
	struct bed b = {0};
	bool over = false;
	struct duplex *d;

	bed_open(&b);
	d = speak(&b, &over);
	for (int64_t id = 3; id < 3 + RAFT_MEMBERS_MAX; id++)
		hear_from(d, id, "http://127.0.0.1:1");
	duplex_finish(d);
	UNTIL(&b.w, over);
	send_one(&b);
	UNTIL(&b.w, b.heard == 1);
	bed_close(&b);
}
