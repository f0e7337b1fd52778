/* Several servers at once by joint consensus, and what it needs while it lasts:
 * Raft 6, Diss. 4.3. */
#include "raft_joint.h"

TEST(several_voters_are_replaced_at_once)
{
	replace_two();
	reach("12345");
	for (int id = 1; id <= 5; id += id == 1 ? 3 : 1) {
		CHECK_INT(status(&t, id).commit, 5);
		CHECK(!status(&t, id).joint);
		CHECK_INT(raft_conf(at(&t, id))->n, 3);
	}
	CHECK(status(&t, 2).removed && status(&t, 3).removed);
	split(&t, "145");
	propose(&t, 1, "a");
	settle(&t);
	CHECK_INT(status(&t, 5).commit, 6);
	trace_end(&t);
}

/* Raft 6, rule 3: separate majorities of both. */
TEST(a_joint_configuration_commits_by_both_majorities)
{
	replace_two();
	reach("123");
	CHECK_INT(status(&t, 2).last, 4);
	CHECK_INT(status(&t, 1).commit, 3); /* 1 of {1, 4, 5} */
	reach("124");
	CHECK_INT(status(&t, 1).commit, 5);
	trace_end(&t);
	replace_two();
	reach("145");
	CHECK_INT(status(&t, 5).last, 4);
	CHECK_INT(status(&t, 1).commit, 3); /* 1 of {1, 2, 3} */
	reach("124");
	CHECK_INT(status(&t, 1).commit, 5);
	trace_end(&t);
}

TEST(what_follows_in_the_log_needs_both_majorities_too)
{
	replace_two();
	propose(&t, 1, "a");
	reach("123");
	CHECK_INT(status(&t, 3).last, 5);
	CHECK_INT(status(&t, 1).commit, 3);
	reach("1234");
	CHECK_INT(status(&t, 1).commit, 6); /* and C_new by 1 and 4 */
	trace_end(&t);
}

TEST(a_joint_configuration_elects_by_both_majorities)
{
	replace_two();
	spread("12345");
	CHECK_INT(status(&t, 5).last, 4);
	crash(&t, 1);
	split(&t, "23");
	elect_quietly(&t, 2);
	CHECK_INT(status(&t, 2).role, RAFT_PRECANDIDATE);
	split(&t, "45");
	elect_quietly(&t, 4);
	CHECK_INT(status(&t, 4).role, RAFT_PRECANDIDATE);
	split(&t, "245");
	elect_quietly(&t, 4);
	CHECK_INT(status(&t, 4).role, RAFT_PRECANDIDATE); /* 2 of {1, 2, 3} */
	split(&t, "2345");
	elect_quietly(&t, 4);
	CHECK_INT(status(&t, 4).role, RAFT_LEADER);
	trace_end(&t);
}

/* Diss. 6.2 */
TEST(a_leader_of_a_joint_configuration_stays_while_both_halves_answer)
{
	static const struct {
		const char *reached;
		bool leads;
	} row[] = {{"124", true}, {"123", false}, {"145", false}};

	for (int i = 0; i < 3; i++) {
		replace_two();
		split(&t, row[i].reached);
		for (int n = 0; n < 10; n++) {
			heartbeat(&t, 1);
			while (arrive(&t, 0, 0, RAFT_HEARTBEAT, false) ||
			       arrive(&t, 0, 0, RAFT_HEARTBEAT_REPLY, false))
				;
		}
		CHECK_INT(status(&t, 1).role == RAFT_LEADER, row[i].leads);
		trace_end(&t);
	}
}

/* Diss. 6.4 */
TEST(a_read_asks_both_majorities)
{
	struct raft_read rd;
	struct raft_msg m = {.type = RAFT_HEARTBEAT_REPLY, .to = 1, .term = 2};
	struct err err;

	replace_two();
	CHECK(!raft_read(at(&t, 1), now_ms(&t), 42, &err));
	for (struct raft_msg out; raft_next_msg(at(&t, 1), &out);)
		if (out.type == RAFT_HEARTBEAT)
			m.context = out.context;
	CHECK(m.context);
	for (m.from = 2; m.from <= 3; m.from++)
		CHECK(!raft_step(at(&t, 1), now_ms(&t), &m, &err));
	CHECK(!raft_next_read(at(&t, 1), &rd));
	CHECK(!raft_step(at(&t, 1), now_ms(&t), &m, &err)); /* 4 */
	CHECK(raft_next_read(at(&t, 1), &rd) && rd.ctx == 42 && !rd.refused);
	trace_end(&t);
}

/* Who gets or loses no vote may change in any number. */
TEST(changes_that_move_one_vote_need_no_joint_configuration)
{
	static const struct {
		const char *changes;
		bool joint;
	} row[] = {{"4s5s", false},   {"4-5-", false}, {"4v5s6l", false},
		   {"3-4-5s", false}, {"3s6l", false}, {"3-4v", true},
		   {"4v5v", true},    {"2s3l", true}};

	for (int i = 0; i < 8; i++) {
		ready();
		CHECK(!change_many(&t, 1, row[i].changes));
		CHECK_INT(status(&t, 1).joint, row[i].joint);
		settle(&t);
		CHECK(!status(&t, 1).joint);
		CHECK_INT(status(&t, 1).last, row[i].joint ? 5 : 4);
		CHECK_INT(status(&t, 1).commit, status(&t, 1).last);
		trace_end(&t);
	}
}

/* Diss. 4.3: a second change waits for the end of the first. */
TEST(nothing_else_changes_while_a_configuration_is_joint)
{
	replace_two();
	CHECK_INT(change_many(&t, 1, "6l"), ERR_UNAVAILABLE);
	reach("123");
	CHECK_INT(change(&t, 1, 6, RAFT_LEARNER), ERR_UNAVAILABLE);
	split(&t, "124");
	heartbeat(&t, 1);
	while (status(&t, 1).commit < 4) {
		sync_disk(&t, 1);
		sync_disk(&t, 4);
		CHECK(arrive(&t, 0, 0, 0, false));
	}
	CHECK_INT(change_many(&t, 1, "6l7l"), ERR_UNAVAILABLE);
	reach("12345");
	CHECK(!change_many(&t, 1, "6l7l"));
	settle(&t);
	trace_end(&t);
}

TEST(a_leader_changes_several_only_after_a_commit_in_its_own_term)
{
	ready();
	elect_quietly(&t, 2);
	CHECK_INT(change_many(&t, 2, "4v5v"), ERR_UNAVAILABLE);
	beat(2);
	CHECK(!change_many(&t, 2, "4v5v"));
	settle(&t);
	CHECK_INT(raft_conf(at(&t, 2))->n, 5);
	CHECK_INT(change_many(&t, 1, "4s5s"), ERR_UNAVAILABLE);
	trace_end(&t);
}

TEST(sets_of_changes_that_make_no_sense_are_refused_whole)
{
	ready();
	CHECK_INT(change_many(&t, 1, ""), ERR_INVALID_ARGUMENT);
	CHECK_INT(change_many(&t, 1, "4v4-"), ERR_INVALID_ARGUMENT);
	CHECK_INT(change_many(&t, 1, "4v0l"), ERR_INVALID_ARGUMENT);
	CHECK_INT(change_many(&t, 1, "4v5l"), ERR_FAILED_PRECONDITION);
	CHECK_INT(change_many(&t, 1, "4v6v"), ERR_FAILED_PRECONDITION);
	CHECK_INT(change_many(&t, 1, "1-2-3-"), ERR_FAILED_PRECONDITION);
	CHECK_INT(change_many(&t, 1, "1s2s3l4s"), ERR_FAILED_PRECONDITION);
	CHECK_INT(status(&t, 1).last, 3);
	CHECK(!change_many(&t, 1, "1-2-3-4v5v"));
	settle(&t);
	trace_end(&t);
}

/* Version 1 is what it always was; who knows only that can read all but the
 * time in between. */
TEST(a_joint_configuration_survives_its_bytes_and_damage_does_not)
{
	struct raft_member m[] = {
		{.id = 1, .role = RAFT_VOTER, .old = true},
		{.id = 2, .role = RAFT_NONE, .old = true},
		{.id = 3, .role = RAFT_LEARNER, .old = true},
		{.id = 4, .role = RAFT_VOTER},
	};
	struct raft_conf conf = {m, 4}, got = {0};
	struct err err;
	void *bytes;
	size_t len = raft_conf_encode(&conf, &bytes);
	unsigned char *p = bytes;

	CHECK_INT(p[0], 2);
	CHECK(!raft_conf_decode(&got, bytes, len, &err));
	CHECK(raft_conf_joint(&got));
	for (int i = 0; i < 4; i++)
		CHECK(got.member[i].id == m[i].id &&
		      got.member[i].role == m[i].role &&
		      got.member[i].old == m[i].old);
	CHECK_INT(raft_conf_role(&got, 2), RAFT_VOTER);
	CHECK_INT(raft_conf_role(&got, 5), RAFT_NONE);
	raft_conf_release(&got);
	p[28] = RAFT_NONE; /* in neither half */
	CHECK(raft_conf_decode(&got, bytes, len, &err));
	p[28] = RAFT_LEARNER;
	p[1] = 0x80 | RAFT_LEARNER; /* no voter is left in the new half */
	CHECK(raft_conf_decode(&got, bytes, len, &err));
	p[1] = p[10] = p[19] = RAFT_VOTER; /* nor in the old one */
	CHECK(raft_conf_decode(&got, bytes, len, &err));
	p[0] = 1;
	p[1] = 0x80 | RAFT_VOTER; /* no such thing in version 1 */
	CHECK(raft_conf_decode(&got, bytes, len, &err));
	free(bytes);
}
