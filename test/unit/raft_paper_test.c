/* What the paper says of servers, step by step: Raft 5, and its figure 8. The
 * rest of it is in raft_election_test.c and raft_replication_test.c. */
#include "test.h"

#include "../sim/raft_trace.h"

static struct trace t;

static void beat(int leader)
{
	heartbeat(&t, leader);
	settle(&t);
}

/* Server 1 stands in term 2, and nobody has heard of it. */
static void stand(void)
{
	trace_init(&t, 3);
	time_out(&t, 1);
	while (arrive(&t, 0, 0, RAFT_PREVOTE, false) ||
	       arrive(&t, 0, 0, RAFT_PREVOTE_REPLY, false))
		;
	sync_disk(&t, 1);
	lose(&t, 0, 0, 0);
	CHECK_INT(status(&t, 1).role, RAFT_CANDIDATE);
}

/* Raft 5.1: a higher term makes a follower of anybody, and is stored. */
TEST(a_higher_term_makes_a_follower_of_every_role)
{
	struct raft_msg m = {.type = RAFT_HEARTBEAT, .from = 2, .to = 1};

	for (int role = RAFT_FOLLOWER; role <= RAFT_LEADER; role++) {
		if (role == RAFT_FOLLOWER)
			trace_init(&t, 3);
		else
			stand();
		if (role == RAFT_LEADER)
			elect(&t, 1);
		if (role == RAFT_PRECANDIDATE)
			time_out(&t, 1);
		CHECK_INT((int)status(&t, 1).role, role);
		m.term = status(&t, 1).term + 1;
		CHECK(!step(&t, &m));
		CHECK_INT(status(&t, 1).role, RAFT_FOLLOWER);
		CHECK_INT(status(&t, 1).leader, 2);
		sync_disk(&t, 1);
		CHECK_INT(t.w.server[1].disk.term, m.term);
		trace_end(&t);
	}
}

/* Raft 5.2: a leader of its own term, who was elected by the others. */
TEST(a_candidate_that_hears_a_leader_of_its_term_follows)
{
	struct raft_msg m = {
		.type = RAFT_HEARTBEAT, .from = 2, .to = 1, .term = 2};

	stand();
	CHECK(!step(&t, &m));
	CHECK_INT(status(&t, 1).role, RAFT_FOLLOWER);
	CHECK_INT(status(&t, 1).leader, 2);
	CHECK_INT(status(&t, 1).vote, 1);
	trace_end(&t);
}

/* Raft 5.1: an older term is refused, and learns ours. */
TEST(an_append_of_an_older_term_is_refused_and_corrected)
{
	struct raft_msg m = {.type = RAFT_APPEND,
			     .from = 3,
			     .to = 2,
			     .term = 1,
			     .index = 1,
			     .log_term = 1};

	trace_init(&t, 3);
	elect(&t, 1);
	beat(1);
	CHECK(!step(&t, &m));
	CHECK_INT(status(&t, 2).leader, 1);
	CHECK(mail(&t, 2, 3, RAFT_APPEND_REPLY)->msg.reject);
	CHECK_INT(mail(&t, 2, 3, RAFT_APPEND_REPLY)->msg.term, 2);
	m.type = RAFT_HEARTBEAT_REPLY; /* answers to nobody */
	lose(&t, 0, 0, 0);
	CHECK(!step(&t, &m));
	CHECK_INT(mails(&t, 2, 0, 0), 0);
	trace_end(&t);
}

TEST(a_leader_beats_at_intervals_so_that_nobody_stands)
{
	trace_init(&t, 3);
	elect(&t, 1);
	lose(&t, 0, 0, 0);
	for (int i = 0; i < 20; i++) {
		heartbeat(&t, 1);
		CHECK_INT(mails(&t, 1, 2, RAFT_HEARTBEAT), 1);
		CHECK_INT(mails(&t, 1, 3, RAFT_HEARTBEAT), 1);
		settle(&t);
		tick(&t, 2);
		tick(&t, 3);
	}
	CHECK_INT(status(&t, 2).role, RAFT_FOLLOWER);
	CHECK_INT(status(&t, 1).term, 2);
	trace_end(&t);
}

/* Raft 5.3: committed once a majority has it, the leader among them. */
TEST(an_entry_commits_with_the_majority_that_has_it)
{
	static const struct {
		int voters;
		const char *have;
		bool committed;
	} row[] = {{1, "1", true},    {2, "1", false},   {2, "12", true},
		   {3, "1", false},   {3, "13", true},   {4, "12", false},
		   {4, "123", true},  {5, "12", false},  {5, "125", true},
		   {7, "123", false}, {7, "1357", true}, {6, "456", false}};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		trace_init(&t, row[i].voters);
		elect(&t, 1);
		beat(1);
		split(&t, row[i].have);
		propose(&t, 1, "a");
		settle(&t);
		CHECK_INT(status(&t, 1).commit, row[i].committed ? 3 : 2);
		trace_end(&t);
	}
}

/* Nor one of entries that this leader does not have. */
TEST(an_acknowledgement_of_an_older_term_changes_nothing)
{
	struct raft_msg m = {.type = RAFT_APPEND_REPLY, .from = 2, .to = 1};

	trace_init(&t, 3);
	elect(&t, 1);
	split(&t, "1");
	propose(&t, 1, "a");
	settle(&t);
	m.term = 1;
	m.index = 3;
	CHECK(!step(&t, &m));
	CHECK_INT(status(&t, 1).commit, 2);
	m.term = 2;
	m.index = 4;
	CHECK(!step(&t, &m));
	CHECK_INT(status(&t, 1).commit, 2);
	trace_end(&t);
}

/* Diss. 4.1: by the candidate's configuration, not the voter's. Server 2 does
 * not know yet that it may vote, and must, or nobody could ever be elected. */
TEST(who_does_not_know_that_it_is_a_voter_votes)
{
	trace_init(&t, 1);
	elect(&t, 1);
	CHECK(!change(&t, 1, 2, RAFT_LEARNER));
	settle(&t);
	beat(1);
	CHECK(!change(&t, 1, 2, RAFT_VOTER));
	lose(&t, 0, 0, 0);
	sync_disk(&t, 1);
	crash(&t, 1);
	restart(&t, 1);
	CHECK_INT(raft_conf_role(raft_conf(at(&t, 2)), 2), RAFT_LEARNER);
	elect(&t, 1);
	CHECK_INT(status(&t, 1).role, RAFT_LEADER);
	CHECK_INT(raft_conf_role(raft_conf(at(&t, 2)), 2), RAFT_VOTER);
	trace_end(&t);
}

/* A follower that is behind, or forgot in a crash how much is committed. */
TEST(a_follower_that_restarts_hears_again_what_is_committed)
{
	trace_init(&t, 3);
	elect(&t, 1);
	propose(&t, 1, "a");
	settle(&t);
	crash(&t, 2);
	t.w.server[2].disk.commit = 0;
	restart(&t, 2);
	CHECK_INT(status(&t, 2).commit, 0);
	beat(1);
	CHECK_INT(status(&t, 2).commit, 3);
	trace_end(&t);
}

/* ---- figure 8 ---- */

/* (c): servers 1 and 2 had an entry of term 2, 5 another of term 3; server 1
 * leads again, in term 4, and has given its entry of term 2 to server 3. */
static void figure_8_c(void)
{
	trace_init(&t, 5);
	t.w.max_append = 1;
	trace_load(&t, 1, "12", 3);
	trace_load(&t, 2, "12", 3);
	trace_load(&t, 3, "1", 3);
	trace_load(&t, 4, "1", 3);
	trace_load(&t, 5, "13", 3);
	split(&t, "1234");
	elect_quietly(&t, 1);
	CHECK_INT(status(&t, 1).term, 4);
	split(&t, "13");
	heartbeat(&t, 1);
	while (status(&t, 3).last < 2) {
		CHECK(arrive(&t, 0, 0, 0, false));
		sync_disk(&t, 3);
	}
	while (arrive(&t, 3, 1, RAFT_APPEND_REPLY, false))
		;
	lose(&t, 0, 0, 0);
	split(&t, "123");
	sync_disk(&t, 1);
	CHECK_STR(terms(&t, 1), "1 2 4");
	CHECK_STR(terms(&t, 2), "1 2");
	CHECK_STR(terms(&t, 3), "1 2");
}

TEST(figure_8_d_an_entry_of_an_older_term_on_a_majority_may_go)
{
	figure_8_c();
	CHECK_INT(status(&t, 1).commit, 0);
	crash(&t, 1);
	split(&t, "2345");
	elect_by_votes(&t, 5);
	settle(&t);
	beat(5);
	for (int id = 2; id <= 5; id++)
		CHECK_STR(terms(&t, id), "1 3 5");
	trace_end(&t);
}

TEST(figure_8_e_with_an_entry_of_its_own_term_it_stays)
{
	figure_8_c();
	beat(1);
	beat(1);
	CHECK_INT(status(&t, 1).commit, 3);
	crash(&t, 1);
	split(&t, "2345");
	elect_by_votes(&t, 5);
	CHECK(status(&t, 5).role != RAFT_LEADER);
	elect(&t, 3);
	for (int id = 2; id <= 5; id++)
		CHECK_STR(terms(&t, id), "1 2 4 5");
	trace_end(&t);
}
