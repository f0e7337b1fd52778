#define TEST_SECONDS 30
#include "node/node.h"

#include "test.h"

#include <sqlite3.h>

#include "base/loop.h"
#include "base/mem.h"
#include "node/node_impl.h"
#include "store/schema.h"
#include "wire/client.h"

/* What the receiver of a test does with a batch. */
struct turn {
	enum err_code code; /* of the message behind the first `takes` */
	size_t takes;
	bool mute; /* it takes them, but its answer is lost */
};

/* A node, a member that is none but answers as it is told, and a client. */
struct fix {
	struct loop *loop;
	struct client *client;
	struct node *n;
	struct server *receiver;
	const struct turn *turns; /* then it takes all */
	size_t nturns, turn;
	size_t got, largest; /* messages taken, and of one request */
	size_t batches, bytes_max;
	int64_t last_seq;
	uint64_t origin;
	int64_t expire_ms; /* of what is queued */
	char *id;          /* or NULL */
	char text[4096];   /* payloads taken, in order */
	bool ready;
};

#define UNTIL(f, cond)  \
	while (!(cond)) \
	uv_run(loop_uv((f)->loop), UV_RUN_ONCE)

static void take(struct fix *f, const Gfl__V1__MessageItem *m)
{
	size_t len = strlen(f->text);

	if (m->seq <= f->last_seq) /* as a receiver tells a repetition */
		return;
	f->last_seq = m->seq;
	f->got++;
	if (m->payload.len < 8)
		snprintf(f->text + len, sizeof(f->text) - len, "%.*s",
			 (int)m->payload.len, (char *)m->payload.data);
}

static void on_batch(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__SendMessagesRequest *in =
		(const Gfl__V1__SendMessagesRequest *)msg;
	Gfl__V1__SendMessagesResponse out =
		GFL__V1__SEND_MESSAGES_RESPONSE__INIT;
	Gfl__V1__MessageOutcome *one = mem_zero(in->n_messages, sizeof(*one));
	Gfl__V1__MessageOutcome **at = mem_zero(in->n_messages, sizeof(*at));
	struct fix *f = arg;
	const struct turn all = {.takes = SIZE_MAX};
	const struct turn *t =
		f->turn < f->nturns ? &f->turns[f->turn++] : &all;
	struct err err;
	size_t bytes = 0;

	f->batches++;
	f->origin = in->origin;
	if (in->n_messages > f->largest)
		f->largest = in->n_messages;
	for (size_t i = 0; i < in->n_messages; i++) {
		gfl__v1__message_outcome__init(&one[i]);
		at[i] = &one[i];
		bytes += in->messages[i]->payload.len;
		if (i < t->takes)
			take(f, in->messages[i]);
		else if (i == t->takes || t->code == ERR_RESOURCE_EXHAUSTED)
			one[i].code = (int32_t)t->code;
	}
	if (bytes > f->bytes_max)
		f->bytes_max = bytes;
	out.outcomes = at;
	out.n_outcomes = in->n_messages;
	err_set(&err, ERR_UNAVAILABLE, "lost");
	if (t->mute)
		call_fail(call, &err);
	else
		call_reply(call, &out.base);
	free(at);
	free(one);
}

static void on_ready(void *arg)
{
	((struct fix *)arg)->ready = true;
}

static void on_end(const struct err *err, void *arg)
{
	(void)arg;
	test_fail(__FILE__, __LINE__, "it ended: %s", err ? err->msg : "left");
}

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

static struct answer call(struct fix *f, enum rpc_name name, const void *in)
{
	const struct rpc_opts opts = {.timeout_ms = 10000};
	struct answer a = {0};

	client_call(f->client, node_url(f->n), name, in, &opts, answered, &a);
	UNTIL(f, a.done);
	return a;
}

static void open_node(struct fix *f, bool bootstrap)
{
	const struct node_config cfg = {
		.loop = f->loop,
		.db_path = "n1.db",
		.server = {.listen = "127.0.0.1:0"},
		.node_id = 1,
		.bootstrap = bootstrap,
		.election_min_ms = 150,
		.election_max_ms = 300,
		.heartbeat_ms = 50,
		.fail_after_ms = 60000,
		.remove_after_ms = 600000,
		.max_voters = 1,
		.on_ready = on_ready,
		.on_end = on_end,
		.arg = f,
	};
	struct err err;

	f->ready = false;
	CHECK_INT(node_open(&f->n, &cfg, &err), 0);
	UNTIL(f, f->ready);
}

/* Node 2 is a member at the receiver's URL, and never votes. */
static void add_receiver(struct fix *f)
{
	Gfl__V1__JoinRequest in = GFL__V1__JOIN_REQUEST__INIT;
	Gfl__V1__Member m = GFL__V1__MEMBER__INIT;
	struct answer a;

	m.id = 2;
	m.url = (char *)server_url(f->receiver);
	m.instance_id = "00000000000000000000000000000002";
	in.member = &m;
	do
		a = call(f, RPC_NODE_JOIN, &in);
	while (a.err.code == ERR_UNAVAILABLE);
	CHECK_INT(a.err.code, 0);
	rpc_free(a.out);
}

static void open_fix(struct fix *f, const struct turn *turns, size_t n)
{
	const struct server_opts opts = {.listen = "127.0.0.1:0"};
	struct err err;

	memset(f, 0, sizeof(*f));
	f->turns = turns;
	f->nturns = n;
	CHECK_INT(loop_open(&f->loop, &err), 0);
	CHECK_INT(client_open(&f->client, f->loop, NULL, &err), 0);
	CHECK_INT(server_open(&f->receiver, f->loop, &opts, &err), 0);
	server_handle(f->receiver, RPC_NODE_SEND_MESSAGES, on_batch, f);
	open_node(f, true);
	add_receiver(f);
}

static void close_fix(struct fix *f)
{
	node_close(f->n);
	client_close(f->client);
	server_close(f->receiver, 0);
	loop_close(f->loop);
}

/* Queue n messages of len bytes, which begin with a, b, c …; their outcomes,
 * to be freed. */
static Gfl__V1__SendMessagesResponse *queue(struct fix *f, size_t n, size_t len)
{
	Gfl__V1__SendMessagesRequest in = GFL__V1__SEND_MESSAGES_REQUEST__INIT;
	Gfl__V1__MessageItem *items = mem_zero(n, sizeof(*items));
	Gfl__V1__MessageItem **at = mem_zero(n, sizeof(*at));
	struct answer a;

	for (size_t i = 0; i < n; i++) {
		gfl__v1__message_item__init(&items[i]);
		at[i] = &items[i];
		items[i].to = 2;
		items[i].type = 1;
		items[i].expire_ms = f->expire_ms;
		if (f->id)
			items[i].id = f->id;
		items[i].payload.len = len;
		items[i].payload.data = mem_zero(len, 1);
		items[i].payload.data[0] = (uint8_t)('a' + i % 26);
	}
	in.messages = at;
	in.n_messages = n;
	in.queue = true;
	a = call(f, RPC_NODE_SEND_MESSAGES, &in);
	CHECK_INT(a.err.code, 0);
	for (size_t i = 0; i < n; i++)
		free(items[i].payload.data);
	free(at);
	free(items);
	return (Gfl__V1__SendMessagesResponse *)a.out;
}

static void queue_well(struct fix *f, size_t n, size_t len)
{
	Gfl__V1__SendMessagesResponse *out = queue(f, n, len);

	CHECK_INT(out->n_outcomes, n);
	for (size_t i = 0; i < n; i++) {
		CHECK_STR(out->outcomes[i]->error, "");
		CHECK_INT(out->outcomes[i]->code, 0);
		CHECK(out->outcomes[i]->queued > 0);
	}
	rpc_free(&out->base);
}

static Gfl__V1__NodeStatus *status(struct fix *f)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;

	return (Gfl__V1__NodeStatus *)call(f, RPC_NODE_GET_STATUS, &in).out;
}

/* Until the outbox is empty; then so many were given up. */
static void drain(struct fix *f, int64_t expired)
{
	for (;;) {
		Gfl__V1__NodeStatus *st = status(f);
		int64_t waiting = st->outbox, gone = st->expired;

		rpc_free(&st->base);
		if (waiting)
			continue;
		CHECK_INT(gone, expired);
		return;
	}
}

TEST(what_the_receiver_has_no_room_for_comes_again_in_order)
{
	const struct turn turns[] = {
		{ERR_RESOURCE_EXHAUSTED, 2, false},
		{ERR_RESOURCE_EXHAUSTED, 0, false},
		{ERR_RESOURCE_EXHAUSTED, 1, false},
	};
	struct fix f;

	open_fix(&f, turns, 3);
	queue_well(&f, 5, 1);
	drain(&f, 0);
	CHECK_STR(f.text, "abcde");
	close_fix(&f);
}

TEST(a_message_that_is_refused_for_good_does_not_hold_up_the_others)
{
	const struct turn turns[] = {{ERR_INVALID_ARGUMENT, 2, false}};
	struct fix f;

	open_fix(&f, turns, 1);
	queue_well(&f, 5, 1);
	drain(&f, 1);
	CHECK_STR(f.text, "abde");
	close_fix(&f);
}

TEST(a_batch_whose_answer_is_lost_comes_again_with_the_same_numbers)
{
	const struct turn turns[] = {{0, 3, true}, {0, 3, true}};
	struct fix f;

	open_fix(&f, turns, 2);
	queue_well(&f, 3, 1);
	drain(&f, 0);
	CHECK_STR(f.text, "abc");
	close_fix(&f);
}

TEST(what_expires_goes_and_what_comes_later_is_delivered)
{
	struct turn away[1000];
	struct fix f;

	for (size_t i = 0; i < 1000; i++)
		away[i] = (struct turn){0, 0, true};
	open_fix(&f, away, 1000);
	f.expire_ms = 1;
	queue_well(&f, 2, 1);
	drain(&f, 2);
	f.expire_ms = 0;
	queue_well(&f, 3, 1);
	UNTIL(&f, f.turn > 3); /* it pauses */
	f.expire_ms = 1;
	queue_well(&f, 1, 1);
	while (f.turn < 1000) {
		Gfl__V1__NodeStatus *st = status(&f);
		bool gone = st->expired == 3;

		rpc_free(&st->base);
		if (gone)
			break;
	}
	f.nturns = 0;
	drain(&f, 3);
	CHECK_STR(f.text, "abc");
	close_fix(&f);
}

TEST(an_id_that_expired_may_be_sent_again)
{
	const struct turn away[] = {{0, 0, true}};
	struct fix f;

	open_fix(&f, away, 1);
	f.id = "m-1";
	f.expire_ms = 1;
	queue_well(&f, 1, 1);
	drain(&f, 1);
	f.expire_ms = 0;
	queue_well(&f, 1, 1);
	queue_well(&f, 1, 1);
	drain(&f, 1);
	CHECK_STR(f.text, "a");
	CHECK_INT(f.got, 1);
	close_fix(&f);
}

TEST(its_origin_and_its_numbers_go_on_after_a_restart)
{
	struct fix f;
	uint64_t origin;

	open_fix(&f, NULL, 0);
	queue_well(&f, 2, 1);
	drain(&f, 0);
	origin = f.origin;
	node_close(f.n);
	open_node(&f, false);
	queue_well(&f, 3, 1);
	drain(&f, 0);
	CHECK_STR(f.text, "ababc");
	CHECK(f.origin == origin);
	close_fix(&f);
}

TEST(batches_are_bounded_in_number_and_bytes)
{
	struct fix f;

	open_fix(&f, NULL, 0);
	queue_well(&f, 1000, 1);
	queue_well(&f, 500, 1);
	queue_well(&f, 40, 100000);
	drain(&f, 0);
	CHECK_INT(f.got, 1540);
	CHECK(f.largest <= 1000);
	CHECK(f.bytes_max <= 1 << 20);
	close_fix(&f);
}

/* All but five of those that it may hold, for a node that is not there. */
static void fill_outbox(void)
{
	sqlite3 *db;

	CHECK_INT(sqlite3_open("n1.db", &db), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db,
			       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
			       " SELECT i + 1 FROM n WHERE i < 99995)"
			       "INSERT INTO outbox SELECT 3, i, i, 0, 0, 1,"
			       " x'', 0, 9000000000000000000 FROM n",
			       NULL, NULL, NULL),
		  SQLITE_OK);
	sqlite3_close(db);
}

TEST(a_batch_keeps_its_order_when_the_outbox_runs_full)
{
	const struct turn away[] = {{0, 0, true}};
	Gfl__V1__SendMessagesResponse *out;
	struct fix f;
	size_t i;

	open_fix(&f, away, 1);
	node_close(f.n);
	fill_outbox();
	open_node(&f, false);
	out = queue(&f, 20, 1);
	for (i = 0; i < 20 && !out->outcomes[i]->code; i++)
		;
	CHECK_INT(i, 5);
	for (; i < 20; i++) {
		CHECK_INT(out->outcomes[i]->code, ERR_RESOURCE_EXHAUSTED);
		CHECK_STR(out->outcomes[i]->error,
			  "the outbox of node 1 is full: 100000 messages");
	}
	rpc_free(&out->base);
	UNTIL(&f, f.got == 5);
	CHECK_STR(f.text, "abcde");
	close_fix(&f);
}

TEST(requests_that_make_no_sense_are_refused)
{
	Gfl__V1__SendMessagesRequest in = GFL__V1__SEND_MESSAGES_REQUEST__INIT;
	Gfl__V1__WaitTakenRequest wait = GFL__V1__WAIT_TAKEN_REQUEST__INIT;
	Gfl__V1__MessageItem item = GFL__V1__MESSAGE_ITEM__INIT;
	Gfl__V1__MessageItem *many[1001];
	struct fix f;

	open_fix(&f, NULL, 0);
	for (size_t i = 0; i < 1001; i++)
		many[i] = &item;
	in.messages = many;
	in.n_messages = 1001;
	CHECK_INT(call(&f, RPC_NODE_SEND_MESSAGES, &in).err.code,
		  ERR_INVALID_ARGUMENT);
	in.n_messages = 1;
	in.cluster_id = "ffffffffffffffffffffffffffffffff";
	CHECK_INT(call(&f, RPC_NODE_SEND_MESSAGES, &in).err.code,
		  ERR_FAILED_PRECONDITION);
	in.cluster_id = "";
	in.origin = UINT64_MAX;
	CHECK_INT(call(&f, RPC_NODE_SEND_MESSAGES, &in).err.code,
		  ERR_INVALID_ARGUMENT);
	wait.prefix = "no hex";
	CHECK_INT(call(&f, RPC_NODE_WAIT_TAKEN, &wait).err.code,
		  ERR_INVALID_ARGUMENT);
	wait.prefix = "";
	wait.to = 9;
	CHECK_INT(call(&f, RPC_NODE_WAIT_TAKEN, &wait).err.code, ERR_NOT_FOUND);
	close_fix(&f);
}

/* The file of a node before there were outboxes. */
static void make_old_file(void)
{
	const char *const steps[] = {raft_store_schema, life_schema,
				     inbox_schema, tables_schema};
	struct db *db;
	struct err err;

	CHECK_INT(db_open(&db, "n1.db", DB_NODE, &err), 0);
	CHECK_INT(schema_apply(db, steps, 4, &err), 0);
	CHECK_INT(db_exec(db,
			  "INSERT INTO inbox (cursor, id, sender, receiver,"
			  " type, payload, sent_ms, taken) VALUES"
			  " (5, 'a', 0, 1, 1, x'', 1, 1),"
			  " (6, 'b', 2, 1, 7, x'62', 1, 0),"
			  " (9, 'c', 0, 1, 1, x'', 1, 1)",
			  &err),
		  0);
	db_close(db);
}

static int64_t cursor_of(struct fix *f, const char *id)
{
	Gfl__V1__SendMessageRequest in = GFL__V1__SEND_MESSAGE_REQUEST__INIT;
	Gfl__V1__MessageItem m = GFL__V1__MESSAGE_ITEM__INIT;
	Gfl__V1__SendMessageResponse *out;
	int64_t cursor;

	m.id = (char *)id;
	m.type = 1;
	in.message = &m;
	out = (Gfl__V1__SendMessageResponse *)call(f, RPC_NODE_SEND_MESSAGE,
						   &in)
		      .out;
	CHECK(out);
	cursor = out->cursor;
	rpc_free(&out->base);
	return cursor;
}

TEST(a_file_from_before_outboxes_keeps_its_messages_ids_and_cursors)
{
	Gfl__V1__ReceiveMessagesRequest in =
		GFL__V1__RECEIVE_MESSAGES_REQUEST__INIT;
	Gfl__V1__ReceiveMessagesResponse *out;
	struct fix f;

	make_old_file();
	open_fix(&f, NULL, 0);
	CHECK_INT(cursor_of(&f, "a"), 5);
	CHECK_INT(cursor_of(&f, "b"), 6);
	CHECK_INT(cursor_of(&f, "d"), 10);
	out = (Gfl__V1__ReceiveMessagesResponse *)call(
		      &f, RPC_NODE_RECEIVE_MESSAGES, &in)
		      .out;
	CHECK_INT(out->n_messages, 2);
	CHECK_INT(out->messages[0]->cursor, 6);
	CHECK_INT(out->messages[0]->from, 2);
	CHECK_INT(out->messages[0]->type, 7);
	CHECK_STR(out->messages[1]->id, "d");
	rpc_free(&out->base);
	close_fix(&f);
}

/* What is left in the inbox when a reader says that it has all up to the first
 * cursor of `box`. */
static size_t left(struct fix *f, const char *box)
{
	Gfl__V1__ReceiveMessagesRequest in =
		GFL__V1__RECEIVE_MESSAGES_REQUEST__INIT;
	Gfl__V1__ReceiveMessagesResponse *out;
	size_t n;

	in.after = 1;
	in.box = (char *)box;
	out = (Gfl__V1__ReceiveMessagesResponse *)call(
		      f, RPC_NODE_RECEIVE_MESSAGES, &in)
		      .out;
	n = out->n_messages;
	rpc_free(&out->base);
	return n;
}

TEST(the_cursor_of_another_inbox_acknowledges_nothing)
{
	struct fix f;

	open_fix(&f, NULL, 0);
	CHECK_INT(cursor_of(&f, "a"), 1);
	CHECK_INT(cursor_of(&f, "b"), 2);
	CHECK_INT(left(&f, "0123456789abcdef"), 2);
	CHECK_INT(left(&f, ""), 1);
	close_fix(&f);
}
