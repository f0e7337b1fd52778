/* Leadership transfer: Diss. 3.10. */
#include "test.h"

#include "../sim/raft_trace.h"

static struct trace t;

static int transfer(int64_t to)
{
	struct err err;
	int rc = raft_transfer(at(&t, 1), now_ms(&t), to, &err);

	drain(&t.w, &t.w.server[1]);
	return rc;
}

TEST(leadership_goes_to_an_up_to_date_voter_at_once)
{
	trace_init(&t, 3);
	elect(&t, 1);
	CHECK(!transfer(3));
	settle(&t);
	CHECK_INT(status(&t, 3).role, RAFT_LEADER);
	CHECK_INT(status(&t, 3).term, 3);
	CHECK_INT(status(&t, 1).leader, 3);
	trace_end(&t);
}

TEST(leadership_goes_to_the_best_voter_if_none_is_named)
{
	trace_init(&t, 3);
	elect(&t, 1);
	split(&t, "13");
	propose(&t, 1, "a");
	settle(&t);
	split(&t, "");
	CHECK(!transfer(0));
	settle(&t);
	CHECK_INT(status(&t, 3).role, RAFT_LEADER);
	trace_end(&t);
}

TEST(the_target_first_gets_the_whole_log)
{
	trace_init(&t, 3);
	elect(&t, 1);
	split(&t, "13");
	propose(&t, 1, "a");
	settle(&t);
	CHECK(!transfer(2));
	CHECK_INT(mails(&t, 1, 2, RAFT_TIMEOUT_NOW), 0);
	CHECK_INT(propose(&t, 1, "b"), ERR_FAILED_PRECONDITION);
	CHECK_INT(change(&t, 1, 4, RAFT_LEARNER), ERR_FAILED_PRECONDITION);
	split(&t, "");
	heartbeat(&t, 1);
	settle(&t);
	CHECK_INT(status(&t, 2).role, RAFT_LEADER);
	CHECK_INT(status(&t, 2).commit, 4);
	trace_end(&t);
}

TEST(a_lost_timeout_now_is_sent_again)
{
	trace_init(&t, 3);
	elect(&t, 1);
	CHECK(!transfer(2));
	lose(&t, 0, 0, 0);
	heartbeat(&t, 1);
	settle(&t);
	CHECK_INT(status(&t, 2).role, RAFT_LEADER);
	trace_end(&t);
}

TEST(a_transfer_that_does_not_come_about_is_given_up)
{
	trace_init(&t, 3);
	elect(&t, 1);
	split(&t, "13");
	CHECK(!transfer(2));
	for (int i = 0; i < 4; i++) {
		heartbeat(&t, 1);
		settle(&t);
		CHECK_INT(propose(&t, 1, "a"), ERR_FAILED_PRECONDITION);
	}
	heartbeat(&t, 1);
	settle(&t);
	CHECK_INT(status(&t, 1).transfer_to, 0);
	CHECK(!propose(&t, 1, "a"));
	settle(&t);
	CHECK_INT(status(&t, 1).commit, 3);
	trace_end(&t);
}

TEST(a_late_timeout_now_does_nothing)
{
	struct raft_msg m = {
		.type = RAFT_TIMEOUT_NOW, .from = 1, .to = 2, .term = 2};

	trace_init(&t, 3);
	elect(&t, 1);
	CHECK(!transfer(3));
	settle(&t);
	CHECK(!step(&t, &m));
	CHECK_INT(status(&t, 2).role, RAFT_FOLLOWER);
	CHECK_INT(status(&t, 3).role, RAFT_LEADER);
	trace_end(&t);
}

TEST(only_another_voter_can_take_over)
{
	struct err err;

	trace_init(&t, 3);
	elect(&t, 1);
	CHECK(!change(&t, 1, 4, RAFT_LEARNER));
	settle(&t);
	CHECK_INT(transfer(1), ERR_INVALID_ARGUMENT);
	CHECK_INT(transfer(4), ERR_INVALID_ARGUMENT);
	CHECK_INT(transfer(9), ERR_INVALID_ARGUMENT);
	CHECK_INT(raft_transfer(at(&t, 2), now_ms(&t), 3, &err),
		  ERR_UNAVAILABLE);
	trace_end(&t);
	trace_init(&t, 1);
	elect(&t, 1);
	CHECK_INT(transfer(0), ERR_UNAVAILABLE);
	trace_end(&t);
}

TEST(a_second_transfer_takes_the_place_of_the_first)
{
	trace_init(&t, 3);
	elect(&t, 1);
	split(&t, "13");
	propose(&t, 1, "a");
	settle(&t);
	CHECK(!transfer(2));
	CHECK(!transfer(3));
	CHECK_INT(status(&t, 1).transfer_to, 3);
	settle(&t);
	CHECK_INT(status(&t, 3).role, RAFT_LEADER);
	trace_end(&t);
}
