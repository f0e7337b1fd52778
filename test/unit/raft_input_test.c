/* What comes in from hosts, disks and the network is bounded and checked. */
#include "test.h"

#include "../sim/raft_trace.h"

static struct trace t;

TEST(proposals_are_bounded)
{
	char big[4098];

	memset(big, 'x', sizeof(big));
	big[4097] = 0;
	trace_init(&t, 3);
	t.w.max_uncommitted = 8000;
	crash(&t, 1);
	restart(&t, 1);
	CHECK_INT(propose(&t, 1, "a"), ERR_UNAVAILABLE);
	elect(&t, 1);
	CHECK_INT(propose(&t, 1, big), ERR_INVALID_ARGUMENT);
	big[4000] = 0;
	CHECK(!propose(&t, 1, big));
	CHECK_INT(propose(&t, 1, big), ERR_RESOURCE_EXHAUSTED);
	CHECK(!propose(&t, 1, "a"));
	settle(&t);
	CHECK_INT(status(&t, 1).uncommitted, 0);
	CHECK(!propose(&t, 1, big));
	settle(&t);
	CHECK_INT(status(&t, 3).applied, 5);
	trace_end(&t);
}

TEST(a_stored_log_that_is_damaged_is_refused)
{
	struct raft_config c = {.id = 1, .term = 2, .commit = 2};
	struct raft_entry e = {.index = 1, .term = 1, .type = RAFT_NORMAL};
	struct raft *r;
	struct err err;

	CHECK(!raft_open(&r, &c, &err));
	CHECK(!raft_load(r, &e, &err));
	CHECK_INT(raft_load(r, &e, &err), ERR_DATA_LOSS);
	CHECK_INT(raft_start(r, 0, &err), ERR_DATA_LOSS);
	e.index = 2;
	e.term = 3;
	CHECK(!raft_load(r, &e, &err));
	CHECK_INT(raft_start(r, 0, &err), ERR_DATA_LOSS);
	e.index = 3;
	e.type = RAFT_CONFIG;
	e.conf = "\1bad";
	e.conf_len = 4;
	CHECK_INT(raft_load(r, &e, &err), ERR_DATA_LOSS);
	raft_close(r);
	c.election_min_ms = 60;
	CHECK_INT(raft_open(&r, &c, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "election_min_ms");
}

TEST(what_was_applied_is_not_given_again_after_a_restart)
{
	struct raft_config c = {.id = 1, .term = 1, .commit = 1, .applied = 2};
	struct raft_entry e = {.term = 1, .type = RAFT_NORMAL};
	struct raft *r;
	struct err err;

	CHECK(!raft_open(&r, &c, &err));
	for (e.index = 1; e.index <= 3; e.index++)
		CHECK(!raft_load(r, &e, &err));
	CHECK(!raft_start(r, 0, &err));
	CHECK(!raft_next_apply(r));
	raft_close(r);
}

/* What comes from outside is checked; garbage changes nothing. */
TEST(messages_that_make_no_sense_are_refused)
{
	struct raft_entry e[2] = {{.index = 2, .term = 2, .type = RAFT_NORMAL},
				  {.index = 3, .term = 2, .type = RAFT_NORMAL}};
	struct raft_msg ok = {.type = RAFT_APPEND,
			      .from = 1,
			      .to = 2,
			      .term = 2,
			      .index = 1,
			      .log_term = 1,
			      .entries = e,
			      .n = 2};
	struct raft_msg m[10];

	for (int i = 0; i < 10; i++)
		m[i] = ok;
	m[0].from = 2;
	m[1].from = -1;
	m[2].type = (enum raft_msg_type)77;
	m[3].term = INT64_MAX;
	m[4].index = 2;
	m[5].log_term = 0;
	m[6].term = 1;
	m[7].type = RAFT_HEARTBEAT;
	m[8].commit = -1;
	m[9].log_term = 3;
	trace_init(&t, 3);
	for (int i = 0; i < 10; i++)
		CHECK_INT(step(&t, &m[i]), ERR_INVALID_ARGUMENT);
	e[1].type = RAFT_CONFIG;
	CHECK_INT(step(&t, &ok), ERR_INVALID_ARGUMENT);
	e[1].type = RAFT_NORMAL;
	CHECK_STR(terms(&t, 2), "1");
	CHECK_INT(status(&t, 2).term, 1);
	CHECK(!step(&t, &ok));
	ok.from = 3;
	CHECK_INT(step(&t, &ok), ERR_INVALID_ARGUMENT); /* second leader */
	trace_end(&t);
}

/* Or a leader that others left much behind could take in as much again. */
TEST(what_a_leader_inherits_counts_as_uncommitted)
{
	trace_init(&t, 3);
	trace_load(&t, 1, "1222", 2);
	elect_quietly(&t, 1);
	CHECK(status(&t, 1).uncommitted >= 4 * sizeof(struct raft_entry));
	heartbeat(&t, 1);
	settle(&t);
	CHECK_INT(status(&t, 1).commit, 5);
	CHECK_INT(status(&t, 1).uncommitted, 0);
	trace_end(&t);
}
