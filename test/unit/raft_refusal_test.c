/* What a member refuses, from its host and from its peers, and what it says. */
#define TEST_SECONDS 20
#include "raft_cluster.h"

#include "proto/raft.pb-c.h"
#include "wire/duplex.h"

/* ---- from its host ---- */

static struct raft_status status_of(const struct member *m)
{
	struct raft_status s;

	raft_status(driver_raft(m->driver), &s);
	return s;
}

static void on_read(const struct err *err, void *arg)
{
	struct answer *a = arg;

	a->done = true;
	a->err.code = ERR_OK;
	if (err)
		a->err = *err;
	cluster_check(a->c);
}

TEST(half_a_session_is_refused)
{
	static const int64_t half[][2] = {{1, 0}, {0, 1}, {-1, 1}, {1, -1}};
	struct cluster c;
	struct err err;

	start_one(&c);
	for (size_t i = 0; i < 4; i++) {
		struct driver_proposal p = text_of("a");

		p.client = half[i][0];
		p.seq = half[i][1];
		CHECK_INT(driver_propose(c.m[1].driver, &p, on_answer, NULL,
					 &err),
			  ERR_INVALID_ARGUMENT);
		CHECK_INT(driver_change(c.m[1].driver, 2, RAFT_LEARNER, &p,
					on_answer, NULL, &err),
			  ERR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, "a client and a number");
	}
	CHECK_INT(propose(&c, 1, 1, "b").err.code, 0);
	CHECK_STR(c.m[1].applied.p, "b");
	cluster_close(&c);
}

TEST(a_change_that_is_repeated_is_made_once)
{
	struct driver_proposal p = text_of("");
	struct cluster c;
	int64_t index[2];
	struct err err;

	p.client = p.seq = 1;
	start_one(&c);
	for (int i = 0; i < 2; i++) {
		struct answer *a = next_answer(&c);

		must(driver_change(c.m[1].driver, 2, RAFT_LEARNER, &p,
				   on_answer, a, &err),
		     &err);
		run_answers(&c);
		CHECK_INT(a->err.code, 0);
		index[i] = a->result.index;
	}
	CHECK_INT(index[0], index[1]);
	CHECK_INT(status_of(&c.m[1]).last, index[0]);
	cluster_close(&c);
}

TEST(without_a_leader_nothing_is_done)
{
	struct driver_proposal p = text_of("a");
	struct cluster c;
	struct driver *d;
	struct err err;

	cluster_open(&c);
	must(member_start(&c, 1, &err), &err);
	d = c.m[1].driver;
	CHECK_INT(driver_propose(d, &p, on_answer, NULL, &err),
		  ERR_FAILED_PRECONDITION);
	CHECK_STR(err.msg, "node 1 is not the leader: nobody is");
	CHECK_INT(driver_read(d, on_read, NULL, &err), ERR_FAILED_PRECONDITION);
	CHECK_INT(driver_transfer(d, 0, &err), ERR_FAILED_PRECONDITION);
	CHECK_INT(driver_change(d, 2, RAFT_LEARNER, &p, on_answer, NULL, &err),
		  ERR_FAILED_PRECONDITION);
	cluster_close(&c);
}

/* Who is to lead next is away: until that is given up nothing new begins, but
 * who leads can still be read from. */
TEST(while_leadership_is_handed_over_nothing_is_proposed)
{
	struct driver_proposal p = text_of("a");
	struct cluster c;
	struct driver *d;
	struct answer *a;
	struct err err;

	cluster_open(&c);
	c.patient = true; /* a busy machine is to elect nobody else */
	found(&c);
	grow_to_three(&c);
	member_stop(&c.m[2]);
	d = c.m[1].driver;
	must(driver_transfer(d, 2, &err), &err);
	CHECK_INT(driver_propose(d, &p, on_answer, NULL, &err),
		  ERR_UNAVAILABLE);
	CHECK_STR(err.msg, "leadership is being handed to node 2");
	a = next_answer(&c);
	must(driver_read(d, on_read, a, &err), &err);
	run_answers(&c);
	CHECK_INT(a->err.code, 0);
	cluster_close(&c);
}

TEST(a_read_without_a_majority_is_told_so)
{
	struct member *leader;
	struct cluster c;
	struct answer *a;
	struct err err;

	start_three(&c);
	leader = cluster_leader(&c);
	for (int i = 1; i <= MEMBERS; i++)
		if (&c.m[i] != leader)
			member_stop(&c.m[i]);
	a = next_answer(&c);
	must(driver_read(leader->driver, on_read, a, &err), &err);
	run_answers(&c);
	CHECK_INT(a->err.code, ERR_UNAVAILABLE);
	CHECK_HAS(a->err.msg, "read again");
	cluster_close(&c);
}

/* ---- from its peers ---- */

static void on_taken(const ProtobufCMessage *out, void *arg)
{
	struct answer *a = arg;

	(void)out;
	a->result.id++;
}

static void on_over(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct answer *a = arg;

	(void)out;
	a->done = true;
	if (err)
		a->err = *err;
	cluster_check(a->c);
}

static struct duplex *send_one(struct cluster *c, struct answer *a,
			       int64_t from, Gfl__V1__RaftMessage *m)
{
	Gfl__V1__RaftStepRequest req = GFL__V1__RAFT_STEP_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = 60000};
	struct duplex *d = duplex_open(c->loop, server_url(c->m[1].server),
				       &rpc_methods[RPC_RAFT_STEP], &opts,
				       on_taken, on_over, a);

	req.cluster_id = CLUSTER_ID;
	req.from = from;
	req.from_url = "";
	req.messages = &m;
	req.n_messages = 1;
	CHECK(duplex_send(d, &req.base));
	return d;
}

static void check_refused(struct cluster *c, int64_t from,
			  Gfl__V1__RaftMessage m, const char *says)
{
	struct answer *a = next_answer(c);

	send_one(c, a, from, &m);
	run_answers(c);
	CHECK_INT(a->err.code, ERR_INVALID_ARGUMENT);
	CHECK_HAS(a->err.msg, says);
	CHECK_INT(a->result.id, 0);
}

TEST(bad_messages_of_peers_are_refused_with_the_reason)
{
	Gfl__V1__RaftMessage good = GFL__V1__RAFT_MESSAGE__INIT, m;
	Gfl__V1__RaftEntry entry = GFL__V1__RAFT_ENTRY__INIT, *e = &entry;
	struct raft_status before;
	struct cluster c;

	start_one(&c);
	before = status_of(&c.m[1]);
	good.type = RAFT_HEARTBEAT;
	good.from = 2;
	good.to = 1;
	good.term = 1;
	check_refused(&c, 0, good, "node id 0 is not that of a peer");
	check_refused(&c, 1, good, "node id 1 is not that of a peer");
	check_refused(&c, 3, good, "node 3 sent a message of node 2");
	m = good;
	m.commit = 1ULL << 63;
	check_refused(&c, 2, m, "a number out of range");
	m = good;
	m.type = 256;
	check_refused(&c, 2, m, "a number out of range");
	m = good;
	m.type = RAFT_APPEND;
	m.entries = &e;
	m.n_entries = 1;
	entry.type = 256;
	check_refused(&c, 2, m, "a number out of range");
	m = good;
	m.type = RAFT_PIECE;
	m.context = (1ULL << 30) + 1;
	check_refused(&c, 2, m, "a snapshot of 1073741825 bytes is above ");
	CHECK_INT(status_of(&c.m[1]).term, before.term);
	CHECK_INT(status_of(&c.m[1]).last, before.last);
	CHECK(c.m[1].leads && !c.m[1].failed.code);
	cluster_close(&c);
}

static bool first_failed(struct cluster *c)
{
	return c->m[1].failed.code != 0;
}

/* It is of another cluster, or one of the two has lost what it had: neither is
 * to go on. */
TEST(a_leader_without_what_was_committed_ends_the_member)
{
	Gfl__V1__RaftMessage m = GFL__V1__RAFT_MESSAGE__INIT;
	Gfl__V1__RaftEntry entry = GFL__V1__RAFT_ENTRY__INIT, *e = &entry;
	struct raft_status before;
	struct cluster c;
	struct answer *a;

	start_one(&c);
	before = status_of(&c.m[1]);
	m.type = RAFT_APPEND;
	m.from = 2;
	m.to = 1;
	m.term = entry.term = 9;
	m.entries = &e;
	m.n_entries = 1;
	entry.index = 1;
	entry.type = RAFT_NORMAL;
	a = next_answer(&c);
	send_one(&c, a, 2, &m);
	cluster_run(&c, first_failed);
	CHECK_INT(c.m[1].failed.code, ERR_DATA_LOSS);
	run_answers(&c);
	CHECK_INT(a->err.code, ERR_DATA_LOSS);
	CHECK_STR(a->err.msg, c.m[1].failed.msg);
	CHECK(status_of(&c.m[1]).failed);
	CHECK_INT(status_of(&c.m[1]).last, before.last);
	cluster_close(&c);
}

TEST(a_stream_that_its_peer_ends_is_ended_well)
{
	Gfl__V1__RaftMessage m = GFL__V1__RAFT_MESSAGE__INIT;
	struct cluster c;
	struct answer *a;
	struct duplex *d;

	start_one(&c);
	a = next_answer(&c);
	m.type = RAFT_HEARTBEAT_REPLY;
	m.from = 2;
	m.to = m.term = 1;
	d = send_one(&c, a, 2, &m);
	while (!a->result.id)
		uv_run(loop_uv(c.loop), UV_RUN_ONCE);
	duplex_finish(d);
	run_answers(&c);
	CHECK_INT(a->err.code, 0);
	CHECK_INT(a->result.id, 1);
	cluster_close(&c);
}
