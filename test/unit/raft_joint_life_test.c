/* A joint configuration from its begin to its end, whatever happens to leaders,
 * logs and disks in between: Raft 6, Diss. 4.3. */
#include "raft_joint.h"

/* Raft 6, third issue: a leader outside C_new manages a cluster that does not
 * include itself, does not count itself, and ends when C_new commits. */
TEST(a_leader_that_is_not_in_the_new_configuration_leads_to_its_end)
{
	ready();
	split(&t, "1234"); /* C_new is not committed without 5 */
	CHECK(!change_many(&t, 1, "1-2-3-4v5v"));
	settle(&t);
	CHECK_INT(status(&t, 1).commit, 3);
	split(&t, "12345");
	lose(&t, 0, 0, 0);
	beat(1);
	CHECK_INT(status(&t, 1).role, RAFT_FOLLOWER);
	CHECK(status(&t, 1).removed);
	CHECK(raft_deadline(at(&t, 1)) == INT64_MAX);
	CHECK_STR(terms(&t, 5), "1 2 2 2 2 3"); /* it had handed over */
	CHECK(status(&t, 4).role == RAFT_LEADER ||
	      status(&t, 5).role == RAFT_LEADER);
	trace_end(&t);
}

TEST(a_leader_outside_of_the_new_configuration_does_not_count_itself)
{
	ready();
	CHECK(!change_many(&t, 1, "1-2-3-4v5v"));
	while (status(&t, 1).last < 5) {
		for (int id = 1; id <= 5; id++)
			sync_disk(&t, id);
		CHECK(arrive(&t, 0, 0, 0, false));
	}
	split(&t, "1234");
	settle(&t);
	CHECK_INT(status(&t, 4).last, 5);
	CHECK_INT(status(&t, 1).commit, 4);
	CHECK_INT(status(&t, 1).role, RAFT_LEADER);
	trace_end(&t);
}

TEST(a_demoted_voter_votes_until_the_new_configuration_commits)
{
	ready();
	split(&t, "1");
	CHECK(!change_many(&t, 1, "2s3l4v5v"));
	CHECK_INT(role_of(1, 2), RAFT_VOTER);
	CHECK_INT(role_of(1, 3), RAFT_VOTER);
	split(&t, "");
	lose(&t, 0, 0, 0);
	beat(1);
	CHECK_INT(role_of(1, 2), RAFT_STANDBY);
	CHECK_INT(role_of(2, 3), RAFT_LEARNER);
	beat(1);
	CHECK(!status(&t, 3).removed);
	CHECK_INT(status(&t, 3).commit, status(&t, 1).commit);
	trace_end(&t);
}

/* The old leader is gone when C_old,new is on majorities of both: whoever is
 * elected commits it with its own no-op, and goes on to C_new. */
TEST(a_new_leader_ends_what_another_began)
{
	replace_two();
	spread("12345");
	crash(&t, 1);
	split(&t, "2345");
	CHECK_INT(status(&t, 4).commit, 3);
	elect(&t, 4);
	CHECK_INT(status(&t, 4).role, RAFT_LEADER);
	CHECK(!status(&t, 4).joint);
	CHECK_INT(status(&t, 4).commit, 6);
	CHECK_INT(raft_entry(at(&t, 4), 6)->type, RAFT_CONFIG);
	beat(4);
	CHECK(status(&t, 2).removed);
	trace_end(&t);
}

/* And so does one that knew it to be committed before it was elected. */
TEST(a_new_leader_leaves_a_joint_configuration_that_is_committed)
{
	replace_two();
	spread("12345");
	for (int i = 0; i < 2; i++) {
		heartbeat(&t, 1);
		while (arrive(&t, 0, 0, RAFT_HEARTBEAT, false) ||
		       arrive(&t, 0, 0, RAFT_HEARTBEAT_REPLY, false))
			lose(&t, 1, 0, RAFT_APPEND);
	}
	CHECK_INT(status(&t, 1).last, 5);
	crash(&t, 1);
	CHECK_INT(status(&t, 5).last, 4);
	CHECK_INT(status(&t, 5).commit, 4);
	elect(&t, 5);
	CHECK_INT(status(&t, 5).role, RAFT_LEADER);
	CHECK_INT(status(&t, 5).commit, 6);
	CHECK(!status(&t, 5).joint);
	trace_end(&t);
}

/* Diss. 4.1: in force from the entry on, and until it is cut. */
TEST(a_joint_configuration_that_is_overwritten_is_in_force_no_more)
{
	replace_two();
	step_down(&t, 1);
	split(&t, "23");
	elect(&t, 2);
	CHECK_INT(status(&t, 2).role, RAFT_LEADER);
	split(&t, "");
	beat(2);
	CHECK(!status(&t, 1).joint);
	CHECK_INT(role_of(1, 4), RAFT_LEARNER);
	CHECK_INT(role_of(1, 2), RAFT_VOTER);
	CHECK_INT(status(&t, 1).conf_index, 3);
	trace_end(&t);
}

/* C_new is with server 1 alone when another leader, which has only C_old,new,
 * writes something else in its place. */
TEST(a_new_configuration_that_is_overwritten_gives_way_to_the_joint_one)
{
	replace_two();
	reach("123");
	lose(&t, 0, 0, 0);
	split(&t, "14");
	heartbeat(&t, 1);
	while (status(&t, 1).last < 5) {
		sync_disk(&t, 4);
		CHECK(arrive(&t, 0, 0, 0, false));
	}
	CHECK_INT(status(&t, 1).commit, 4);
	lose(&t, 0, 0, 0);
	sync_disk(&t, 1);
	CHECK(!status(&t, 1).joint);
	step_down(&t, 1);
	split(&t, "2345");
	elect_by_votes(&t, 4); /* 5 has nothing of it yet */
	CHECK_INT(status(&t, 4).role, RAFT_LEADER);
	split(&t, "14");
	heartbeat(&t, 4);
	while (status(&t, 1).conf_index > 4) {
		CHECK(arrive(&t, 0, 0, 0, false));
		sync_disk(&t, 1);
		sync_disk(&t, 4);
	}
	CHECK(status(&t, 1).joint);
	CHECK_INT(role_of(1, 2), RAFT_VOTER);
	split(&t, "");
	beat(4);
	beat(4);
	CHECK(!status(&t, 1).joint);
	CHECK_INT(role_of(1, 2), RAFT_NONE);
	trace_end(&t);
}

TEST(a_joint_configuration_survives_a_restart)
{
	replace_two();
	reach("123");
	for (int id = 1; id <= 3; id++) {
		crash(&t, id);
		restart(&t, id);
		CHECK(status(&t, id).joint);
		CHECK_INT(role_of(id, 4), RAFT_VOTER);
		CHECK_INT(role_of(id, 3), RAFT_VOTER);
	}
	lose(&t, 0, 0, 0);
	elect_by_votes(&t, 3);
	CHECK(status(&t, 3).role != RAFT_LEADER);
	split(&t, "");
	elect_by_votes(&t, 3);
	settle(&t);
	beat(3);
	CHECK_INT(role_of(4, 4), RAFT_VOTER);
	CHECK_INT(role_of(4, 3), RAFT_NONE);
	CHECK(status(&t, 3).removed);
	trace_end(&t);
}

/* The snapshot is of entry 4; server 6, which joins by it, is told of C_new
 * only later. */
TEST(a_snapshot_carries_a_joint_configuration)
{
	ready();
	CHECK(!change(&t, 1, 6, RAFT_LEARNER));
	lose(&t, 1, 6, 0);
	split(&t, "12345");
	settle(&t);
	beat(1);
	CHECK(!change_many(&t, 1, "2-3-4v5v"));
	t.slow[1] = true; /* so that C_new, entry 6, is not applied */
	while (status(&t, 1).last < 6) {
		for (int id = 2; id <= 5; id++)
			sync_disk(&t, id);
		if (!arrive(&t, 0, 0, 0, false))
			sync_one(&t, 1);
	}
	while (status(&t, 1).applied < 5)
		sync_one(&t, 1);
	CHECK_INT(status(&t, 1).applied, 5);
	t.slow[1] = false;
	lose(&t, 1, 0, 0);
	compact(&t, 1);
	CHECK_INT(status(&t, 1).snapshot, 5);
	split(&t, "16");
	heartbeat(&t, 1);
	while (status(&t, 6).last < 5) {
		CHECK(arrive(&t, 0, 0, 0, false));
		sync_disk(&t, 6);
	}
	CHECK_INT(t.w.t.installs, 1);
	CHECK(status(&t, 6).joint);
	CHECK_INT(role_of(6, 2), RAFT_VOTER);
	CHECK_INT(role_of(6, 5), RAFT_VOTER);
	crash(&t, 6);
	restart(&t, 6);
	CHECK(status(&t, 6).joint);
	split(&t, "");
	lose(&t, 0, 0, 0);
	for (int i = 0; i < 20; i++) /* its last answer was lost */
		beat(1);
	CHECK(!status(&t, 6).joint);
	CHECK_INT(role_of(6, 2), RAFT_NONE);
	trace_end(&t);
}

/* Diss. 3.10: to a voter of C_new, which then goes on to it. */
TEST(leadership_can_be_handed_over_while_a_configuration_is_joint)
{
	struct err err;

	replace_two();
	CHECK_INT(raft_transfer(at(&t, 1), now_ms(&t), 2, &err),
		  ERR_INVALID_ARGUMENT);
	CHECK(!raft_transfer(at(&t, 1), now_ms(&t), 4, &err));
	split(&t, "");
	beat(1);
	beat(1);
	settle(&t);
	CHECK_INT(status(&t, 4).role, RAFT_LEADER);
	CHECK(!status(&t, 4).joint);
	CHECK_INT(status(&t, 4).commit, status(&t, 4).last);
	trace_end(&t);
}

/* Diss. 4.2.2 */
TEST(who_is_to_be_removed_stands_until_the_new_configuration_commits)
{
	replace_two();
	reach("123");
	lose(&t, 0, 0, 0);
	crash(&t, 1);
	split(&t, "2345");
	elect(&t, 2);
	CHECK_INT(status(&t, 2).role, RAFT_FOLLOWER);
	CHECK(status(&t, 2).removed); /* it led its own removal to the end */
	CHECK_INT(role_of(4, 4), RAFT_VOTER);
	CHECK_INT(role_of(4, 2), RAFT_NONE);
	CHECK(status(&t, 4).role == RAFT_LEADER ||
	      status(&t, 5).role == RAFT_LEADER);
	trace_end(&t);
}
