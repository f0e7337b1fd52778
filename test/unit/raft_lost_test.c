/* A server whose disk lost entries that it had acknowledged, as traces. */
#include "test.h"

#include "../sim/raft_trace.h"

static void write_some(struct trace *t, int leader, int n)
{
	for (int i = 0; i < n; i++) {
		client(t, leader, false);
		settle(t);
	}
}

/* Of three, 1 and 2 have an entry that is committed; 3 has not. Then the disk
 * of 2 loses it. */
static void lose_what_three_lacks(struct trace *t)
{
	elect(t, 1);
	split(t, "12");
	write_some(t, 1, 3);
	CHECK_INT(status(t, 1).commit, status(t, 1).last);
	lose(t, 0, 0, 0);
	rot(t, 2, 2);
	CHECK(status(t, 2).lost);
	CHECK_INT(status(t, 2).last, 2);
}

TEST(a_server_that_lost_entries_votes_for_nobody_behind_them)
{
	struct trace t;

	trace_init(&t, 3);
	lose_what_three_lacks(&t);
	crash(&t, 1);
	split(&t, "");
	elect_quietly(&t, 3);
	CHECK(status(&t, 3).role != RAFT_LEADER);
	trace_end(&t);
}

TEST(a_server_that_lost_entries_stands_for_nothing)
{
	struct trace t;

	trace_init(&t, 3);
	lose_what_three_lacks(&t);
	crash(&t, 1);
	split(&t, "");
	elect_quietly(&t, 2);
	CHECK_INT(status(&t, 2).role, RAFT_FOLLOWER);
	CHECK_INT(raft_deadline(at(&t, 2)), INT64_MAX);
	trace_end(&t);
}

TEST(a_server_that_lost_entries_votes_for_who_has_them)
{
	struct trace t;

	trace_init(&t, 3);
	lose_what_three_lacks(&t);
	crash(&t, 1);
	restart(&t, 1);
	split(&t, "12");
	elect(&t, 1);
	CHECK_INT(status(&t, 1).role, RAFT_LEADER);
	settle(&t);
	CHECK(!status(&t, 2).lost);
	CHECK_INT(status(&t, 2).last, status(&t, 1).last);
	trace_end(&t);
}

/* The leader believes that it has all; nothing new is ever proposed. */
TEST(a_leader_hears_that_entries_it_knew_of_are_lost)
{
	struct trace t;

	trace_init(&t, 3);
	elect(&t, 1);
	write_some(&t, 1, 5);
	rot(&t, 2, 3);
	heartbeat(&t, 1);
	settle(&t);
	heartbeat(&t, 1);
	settle(&t);
	CHECK(!status(&t, 2).lost);
	CHECK_INT(status(&t, 2).last, status(&t, 1).last);
	CHECK_INT(status(&t, 2).commit, status(&t, 1).commit);
	CHECK_INT(t.w.server[2].disk.floor_index, 0);
	trace_end(&t);
}

/* An acknowledgement of its earlier life is on its way: it counts, and commits
 * what only the leader still has. That one is needed by the next leader. */
TEST(an_acknowledgement_that_outlived_its_entry_does_no_harm)
{
	struct trace t;
	int64_t last;

	trace_init(&t, 3);
	elect(&t, 1);
	split(&t, "12");
	client(&t, 1, false);
	while (arrive(&t, 1, 2, RAFT_APPEND, false))
		;
	sync_disk(&t, 1);
	sync_disk(&t, 2);
	last = status(&t, 1).last;
	CHECK(mails(&t, 2, 1, RAFT_APPEND_REPLY) > 0);
	rot(&t, 2, last - 1);
	while (arrive(&t, 2, 1, RAFT_APPEND_REPLY, false))
		;
	CHECK_INT(status(&t, 1).commit, last);
	crash(&t, 1);
	lose(&t, 0, 0, 0);
	split(&t, "");
	elect_quietly(&t, 3);
	CHECK(status(&t, 3).role != RAFT_LEADER);
	elect_quietly(&t, 2);
	CHECK(status(&t, 2).role != RAFT_LEADER);
	restart(&t, 1);
	elect(&t, 1);
	settle(&t);
	CHECK(!status(&t, 2).lost);
	trace_end(&t);
}

/* A handed over leadership is not taken, whatever the leader believes. */
TEST(a_server_that_lost_entries_takes_no_leadership)
{
	struct trace t;
	struct err err;

	trace_init(&t, 3);
	elect(&t, 1);
	write_some(&t, 1, 3);
	rot(&t, 2, 2);
	CHECK_INT(raft_transfer(at(&t, 1), now_ms(&t), 2, &err), 0);
	drain(&t.w, &t.w.server[1]);
	while (arrive(&t, 1, 2, RAFT_TIMEOUT_NOW, false))
		;
	CHECK_INT(status(&t, 2).role, RAFT_FOLLOWER);
	trace_end(&t);
}

/* With its snapshot all is lost; it is sent one, or all entries. */
TEST(a_server_that_lost_everything_gets_everything)
{
	struct trace t;

	for (int compacted = 0; compacted < 2; compacted++) {
		trace_init(&t, 3);
		elect(&t, 1);
		write_some(&t, 1, 5);
		heartbeat(&t, 1);
		settle(&t);
		compact(&t, 2);
		if (compacted)
			compact(&t, 1);
		settle(&t);
		rot(&t, 2, 0);
		CHECK_INT(status(&t, 2).last, 0);
		CHECK(status(&t, 2).term > 0);
		for (int i = 0; i < 3; i++) {
			heartbeat(&t, 1);
			settle(&t);
		}
		CHECK(!status(&t, 2).lost);
		CHECK_INT(status(&t, 2).last, status(&t, 1).last);
		CHECK_INT(status(&t, 2).snapshot > 0, compacted);
		trace_end(&t);
	}
}
