/* Linearizable reads: Diss. 6.4. */
#include "test.h"

#include "../sim/raft_trace.h"

static struct trace t;

static int ask(int id, int64_t ctx)
{
	struct err err;

	return raft_read(at(&t, id), now_ms(&t), ctx, &err);
}

/* What the host would send and take, but reads stay for the test. */
static void messages(int id)
{
	struct raft_msg m;

	while (raft_next_msg(at(&t, id), &m))
		net_send(&t.w, &m);
}

static bool answer(int id, struct raft_read *rd)
{
	return raft_next_read(at(&t, id), rd);
}

/* One message, of which the leader's answer is not taken by the harness. */
static void reply_arrives(int from, int type)
{
	struct event *e = mail(&t, from, 1, type);
	struct err err;

	CHECK(e != NULL);
	CHECK(!raft_step(at(&t, 1), now_ms(&t), &e->msg, &err));
	unmail(&t, e);
}

TEST(a_read_waits_for_a_majority_and_for_its_entry)
{
	struct raft_read rd;

	trace_init(&t, 3);
	elect(&t, 1);
	CHECK(!ask(1, 42));
	messages(1);
	CHECK(!answer(1, &rd));
	arrive(&t, 1, 2, RAFT_HEARTBEAT, false);
	reply_arrives(2, RAFT_HEARTBEAT_REPLY);
	CHECK(answer(1, &rd));
	CHECK(rd.ctx == 42 && rd.index == 2 && !rd.refused);
	CHECK(!answer(1, &rd));
	trace_end(&t);
}

TEST(a_reply_to_an_earlier_round_confirms_nothing)
{
	struct raft_read rd;

	trace_init(&t, 3);
	elect(&t, 1);
	heartbeat(&t, 1);
	arrive(&t, 1, 2, RAFT_HEARTBEAT, false);
	CHECK(!ask(1, 42));
	messages(1);
	reply_arrives(2, RAFT_HEARTBEAT_REPLY);
	CHECK(!answer(1, &rd));
	messages(1); /* now its own round goes out */
	lose(&t, 1, 3, 0);
	while (arrive(&t, 1, 2, RAFT_HEARTBEAT, false))
		;
	reply_arrives(2, RAFT_HEARTBEAT_REPLY);
	CHECK(answer(1, &rd));
	trace_end(&t);
}

/* A prototype took the refusal of an old append for a sign of life. */
TEST(an_append_reply_confirms_no_read)
{
	struct raft_msg m = {.type = RAFT_APPEND_REPLY,
			     .from = 2,
			     .to = 1,
			     .term = 2,
			     .index = 9,
			     .reject = true};
	struct raft_read rd;
	struct err err;

	trace_init(&t, 3);
	elect(&t, 1);
	CHECK(!ask(1, 42));
	messages(1);
	CHECK(!raft_step(at(&t, 1), now_ms(&t), &m, &err));
	m.term = 1;
	CHECK(!raft_step(at(&t, 1), now_ms(&t), &m, &err));
	CHECK(!answer(1, &rd));
	trace_end(&t);
}

/* Until it has committed in its term a leader does not know what is. */
TEST(a_new_leader_reads_after_its_own_entry)
{
	struct raft_read rd;

	trace_init(&t, 3);
	elect_quietly(&t, 1);
	CHECK(!ask(1, 42));
	messages(1);
	arrive(&t, 1, 2, RAFT_HEARTBEAT, false);
	reply_arrives(2, RAFT_HEARTBEAT_REPLY);
	CHECK(!answer(1, &rd));
	messages(1);
	arrive(&t, 1, 2, RAFT_APPEND, false);
	sync_disk(&t, 2);
	reply_arrives(2, RAFT_APPEND_REPLY);
	CHECK(!answer(1, &rd));
	while (raft_next_apply(at(&t, 1)))
		;
	CHECK(answer(1, &rd));
	CHECK(!rd.refused && rd.index == 2);
	t.w.broken[0] = 0;
	trace_end(&t);
}

TEST(reads_are_refused_when_leadership_is_lost)
{
	struct raft_msg m = {
		.type = RAFT_HEARTBEAT, .from = 2, .to = 1, .term = 3};
	struct raft_read rd;
	struct err err;

	trace_init(&t, 3);
	elect(&t, 1);
	CHECK_INT(ask(2, 41), ERR_UNAVAILABLE);
	CHECK(!ask(1, 42));
	CHECK(!ask(1, 43));
	CHECK(!raft_step(at(&t, 1), now_ms(&t), &m, &err));
	CHECK(answer(1, &rd) && rd.ctx == 42 && rd.refused);
	CHECK(answer(1, &rd) && rd.ctx == 43 && rd.refused);
	CHECK(!answer(1, &rd));
	trace_end(&t);
}

TEST(many_reads_share_a_round)
{
	struct raft_read rd;

	trace_init(&t, 3);
	elect(&t, 1);
	lose(&t, 0, 0, 0);
	for (int i = 0; i < 100; i++) {
		CHECK(!ask(1, i));
		messages(1);
	}
	CHECK_INT(mails(&t, 1, 2, RAFT_HEARTBEAT), 1);
	arrive(&t, 1, 2, RAFT_HEARTBEAT, false);
	reply_arrives(2, RAFT_HEARTBEAT_REPLY);
	CHECK(answer(1, &rd));
	CHECK(!answer(1, &rd)); /* the rest came after it was sent */
	messages(1);
	arrive(&t, 1, 2, RAFT_HEARTBEAT, false);
	reply_arrives(2, RAFT_HEARTBEAT_REPLY);
	for (int i = 1; i < 100; i++)
		CHECK(answer(1, &rd) && rd.ctx == i);
	trace_end(&t);
}

TEST(a_cluster_of_one_reads_alone)
{
	struct raft_read rd;

	trace_init(&t, 1);
	elect(&t, 1);
	CHECK(!ask(1, 42));
	CHECK(answer(1, &rd) && !rd.refused && rd.index == 2);
	trace_end(&t);
}

TEST(reads_that_wait_are_bounded)
{
	struct raft_config c = {.id = 1, .max_reads = 2};
	struct raft *r;
	struct err err;

	CHECK(!raft_open(&r, &c, &err));
	CHECK(!raft_start(r, 0, &err));
	CHECK(!raft_bootstrap(r, 0, "", 0, &err));
	for (struct raft_write wr; raft_next_write(r, &wr);)
		raft_written(r, 0, wr.seq);
	CHECK(!raft_read(r, 0, 1, &err));
	CHECK(!raft_read(r, 0, 2, &err));
	CHECK_INT(raft_read(r, 0, 3, &err), ERR_RESOURCE_EXHAUSTED);
	raft_close(r);
}
