/* Elections: Raft 5.2 and 5.4.1, Diss. 4.2.3, 6.2 and 9.6. */
#include "test.h"

#include "../sim/raft_trace.h"

static struct trace t;

static int64_t deadline(int id)
{
	return raft_deadline(at(&t, id));
}

TEST(a_cluster_of_one_elects_itself_and_commits)
{
	struct err err;

	trace_init(&t, 0);
	CHECK(!raft_bootstrap(at(&t, 1), 0, "url", 3, &err));
	drain(&t.w, &t.w.server[1]);
	CHECK_INT(status(&t, 1).role, RAFT_CANDIDATE);
	settle(&t);
	CHECK_INT(status(&t, 1).role, RAFT_LEADER);
	CHECK_INT(status(&t, 1).applied, 2);
	CHECK(!memcmp(raft_entry(at(&t, 1), 1)->data, "url", 3));
	CHECK(!propose(&t, 1, "a"));
	CHECK_INT(status(&t, 1).commit, 2);
	settle(&t);
	CHECK_INT(status(&t, 1).commit, 3);
	CHECK_INT(raft_bootstrap(at(&t, 1), 0, "", 0, &err),
		  ERR_FAILED_PRECONDITION);
	trace_end(&t);
}

TEST(a_server_without_a_configuration_never_stands)
{
	trace_init(&t, 0);
	time_out(&t, 1);
	CHECK_INT(status(&t, 1).role, RAFT_FOLLOWER);
	CHECK(deadline(1) == INT64_MAX);
	trace_end(&t);
}

TEST(a_majority_elects_and_less_does_not)
{
	trace_init(&t, 5);
	split(&t, "12");
	elect(&t, 1);
	CHECK_INT(status(&t, 1).role, RAFT_PRECANDIDATE);
	split(&t, "123");
	elect(&t, 1);
	CHECK_INT(status(&t, 1).role, RAFT_LEADER);
	CHECK_INT(status(&t, 2).leader, 1);
	CHECK_INT(status(&t, 3).term, 2);
	CHECK_INT(status(&t, 4).leader, 0);
	trace_end(&t);
}

TEST(timeouts_are_random_and_within_their_bounds)
{
	int64_t least = INT64_MAX, most = 0;

	trace_init(&t, 3);
	split(&t, "1");
	for (int i = 0; i < 200; i++) {
		int64_t wait;

		time_out(&t, 1);
		wait = deadline(1) - now_ms(&t);
		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
	}
	CHECK(least >= 150 && least < 160 && most <= 300 && most > 290);
	trace_end(&t);
}

/* Diss. 9.6: the term of a server that is cut off does not rise, so that it
 * deposes nobody when it comes back. */
TEST(a_server_that_was_cut_off_disturbs_nobody)
{
	trace_init(&t, 3);
	elect(&t, 1);
	split(&t, "12");
	for (int i = 0; i < 40; i++) {
		heartbeat(&t, 1);
		tick(&t, 3);
		settle(&t);
	}
	CHECK_INT(status(&t, 3).role, RAFT_PRECANDIDATE);
	CHECK_INT(status(&t, 3).term, 2);
	split(&t, "");
	tick(&t, 3);
	settle(&t);
	heartbeat(&t, 1);
	settle(&t);
	CHECK_INT(status(&t, 1).role, RAFT_LEADER);
	CHECK_INT(status(&t, 1).term, 2);
	CHECK_INT(status(&t, 3).leader, 1);
	trace_end(&t);
}

/* Diss. 4.2.3, unless the leader itself asked for the election. */
TEST(who_hears_from_a_leader_ignores_candidates)
{
	struct raft_msg m = {.type = RAFT_VOTE,
			     .from = 3,
			     .to = 2,
			     .term = 9,
			     .index = 99,
			     .log_term = 8};

	trace_init(&t, 3);
	elect(&t, 1);
	heartbeat(&t, 1);
	settle(&t);
	CHECK(!step(&t, &m));
	CHECK_INT(status(&t, 2).term, 2);
	CHECK_INT(mails(&t, 2, 3, 0), 0);
	m.force = true;
	CHECK(!step(&t, &m));
	CHECK_INT(status(&t, 2).vote, 3);
	trace_end(&t);
}

TEST(a_refused_vote_does_not_reset_the_timer)
{
	struct raft_msg m = {.type = RAFT_VOTE, .from = 3, .to = 2, .term = 9};
	int64_t before;

	trace_init(&t, 3);
	elect(&t, 1);
	pass(&t, 200);
	before = deadline(2);
	CHECK(!step(&t, &m)); /* its log is behind */
	CHECK_INT(status(&t, 2).term, 9);
	CHECK_INT(status(&t, 2).vote, 0);
	CHECK_INT(deadline(2), before);
	m.index = 99;
	m.log_term = 8;
	CHECK(!step(&t, &m));
	CHECK_INT(status(&t, 2).vote, 3);
	CHECK(deadline(2) > before);
	trace_end(&t);
}

TEST(a_higher_term_does_not_reset_the_timer)
{
	struct raft_msg m = {.type = RAFT_APPEND_REPLY,
			     .from = 3,
			     .to = 2,
			     .term = 9,
			     .reject = true};
	int64_t before;

	trace_init(&t, 3);
	elect(&t, 1);
	pass(&t, 100);
	before = deadline(2);
	CHECK(!step(&t, &m));
	CHECK_INT(status(&t, 2).term, 9);
	CHECK_INT(deadline(2), before);
	trace_end(&t);
}

TEST(one_vote_a_term_even_after_a_crash)
{
	struct raft_msg m = {.type = RAFT_VOTE,
			     .from = 1,
			     .to = 3,
			     .term = 2,
			     .index = 1,
			     .log_term = 1};

	trace_init(&t, 3);
	CHECK(!step(&t, &m));
	sync_disk(&t, 3);
	CHECK(!mail(&t, 3, 1, RAFT_VOTE_REPLY)->msg.reject);
	crash(&t, 3);
	restart(&t, 3);
	m.from = 2;
	CHECK(!step(&t, &m));
	CHECK(mail(&t, 3, 2, RAFT_VOTE_REPLY)->msg.reject);
	lose(&t, 0, 0, 0);
	m.from = 1; /* its first answer may be lost */
	CHECK(!step(&t, &m));
	CHECK(!mail(&t, 3, 1, RAFT_VOTE_REPLY)->msg.reject);
	trace_end(&t);
}

TEST(a_vote_is_held_until_it_is_durable)
{
	trace_init(&t, 3);
	t.slow[2] = true;
	split(&t, "12");
	elect(&t, 1);
	CHECK_INT(status(&t, 2).vote, 1);
	CHECK_INT(status(&t, 1).role, RAFT_CANDIDATE);
	sync_disk(&t, 2);
	settle(&t);
	CHECK_INT(status(&t, 1).role, RAFT_LEADER);
	trace_end(&t);
}

/* After a crash it may stand in this term again, with a shorter log. */
TEST(a_candidate_asks_only_when_its_own_vote_is_durable)
{
	trace_init(&t, 3);
	t.slow[1] = true;
	elect(&t, 1);
	CHECK_INT(status(&t, 1).role, RAFT_CANDIDATE);
	CHECK_INT(status(&t, 2).term, 1);
	sync_disk(&t, 1);
	CHECK_INT(mails(&t, 1, 0, RAFT_VOTE), 2);
	settle(&t);
	CHECK_INT(status(&t, 1).role, RAFT_LEADER);
	trace_end(&t);
}

/* Raft 5.4.1 */
TEST(votes_go_to_logs_that_are_as_up_to_date)
{
	static const struct {
		int64_t index, term;
		bool granted;
	} row[] = {{3, 2, true}, {4, 2, true},  {2, 2, false},
		   {1, 3, true}, {9, 1, false}, {0, 0, false}};

	trace_init(&t, 3);
	elect(&t, 1);
	propose(&t, 1, "a");
	settle(&t);
	CHECK_STR(terms(&t, 2), "1 2 2");
	for (int i = 0; i < 6; i++) {
		struct raft_msg m = {.type = RAFT_VOTE,
				     .from = 3,
				     .to = 2,
				     .term = 10 + i,
				     .index = row[i].index,
				     .log_term = row[i].term,
				     .force = true};

		CHECK(!step(&t, &m));
		CHECK_INT(status(&t, 2).vote, row[i].granted ? 3 : 0);
		m.type = RAFT_PREVOTE;
		m.term++;
		CHECK(!step(&t, &m));
		CHECK_INT(mail(&t, 2, 3, RAFT_PREVOTE_REPLY)->msg.reject,
			  !row[i].granted);
		lose(&t, 0, 0, 0);
	}
	trace_end(&t);
}

TEST(a_split_vote_is_tried_again_before_a_whole_timeout)
{
	trace_init(&t, 3);
	split(&t, "12");
	pass(&t, 400);
	tick(&t, 1);
	tick(&t, 2);
	settle(&t);
	CHECK_INT(status(&t, 1).role, RAFT_CANDIDATE);
	CHECK_INT(status(&t, 2).role, RAFT_CANDIDATE);
	CHECK(deadline(1) <= now_ms(&t) + 150);
	CHECK(deadline(2) <= now_ms(&t) + 150);
	trace_end(&t);
}

/* Diss. 6.2 */
TEST(a_leader_that_hears_from_no_majority_steps_down)
{
	trace_init(&t, 5);
	elect(&t, 1);
	split(&t, "123");
	for (int i = 0; i < 10; i++) {
		heartbeat(&t, 1);
		settle(&t);
	}
	CHECK_INT(status(&t, 1).role, RAFT_LEADER);
	split(&t, "12");
	for (int i = 0; i < 10; i++) {
		heartbeat(&t, 1);
		settle(&t);
	}
	CHECK(status(&t, 1).role != RAFT_LEADER);
	CHECK_INT(propose(&t, 1, "a"), ERR_UNAVAILABLE);
	trace_end(&t);
}

/* With pre-votes and sticky voters nothing else would tell it. */
TEST(a_leader_of_an_older_term_is_corrected)
{
	struct raft_msg m = {
		.type = RAFT_HEARTBEAT_REPLY, .from = 2, .to = 3, .term = 7};

	trace_init(&t, 3);
	elect(&t, 1);
	CHECK(!step(&t, &m)); /* server 3 knows term 7 */
	CHECK_INT(status(&t, 3).term, 7);
	heartbeat(&t, 1);
	settle(&t);
	CHECK_INT(status(&t, 1).role, RAFT_FOLLOWER);
	CHECK_INT(status(&t, 1).term, 7);
	trace_end(&t);
}

TEST(a_failed_write_ends_a_leader_and_silences_it)
{
	struct raft_msg m = {.type = RAFT_HEARTBEAT,
			     .from = 2,
			     .to = 1,
			     .term = 9,
			     .context = 1};

	trace_init(&t, 3);
	elect(&t, 1);
	t.slow[1] = true;
	propose(&t, 1, "a");
	lose(&t, 0, 0, 0);
	raft_write_failed(at(&t, 1), now_ms(&t));
	drain(&t.w, &t.w.server[1]);
	CHECK(status(&t, 1).failed);
	CHECK(status(&t, 1).role != RAFT_LEADER);
	CHECK_INT(step(&t, &m), ERR_UNAVAILABLE);
	raft_written(at(&t, 1), now_ms(&t), 99);
	time_out(&t, 1);
	CHECK_INT(mails(&t, 1, 0, 0), 0);
	CHECK(deadline(1) == INT64_MAX);
	trace_end(&t);
}

TEST(time_that_goes_back_counts_as_standing_still)
{
	int64_t before;

	trace_init(&t, 3);
	elect(&t, 1);
	before = deadline(2);
	raft_tick(at(&t, 2), -1000);
	CHECK_INT(deadline(2), before);
	CHECK_INT(status(&t, 2).role, RAFT_FOLLOWER);
	trace_end(&t);
}
