/* Membership: Diss. 4, and the correction of 2015. */
#include "test.h"

#include "../sim/raft_trace.h"

static struct trace t;

static int role_of(int at_id, int id)
{
	return (int)raft_conf_role(raft_conf(at(&t, at_id)), id);
}

static void beat(int leader)
{
	heartbeat(&t, leader);
	settle(&t);
}

/* Diss. 4.2.1 */
TEST(a_learner_catches_up_and_is_promoted)
{
	trace_init(&t, 3);
	elect(&t, 1);
	for (int i = 0; i < 20; i++)
		propose(&t, 1, "a");
	settle(&t);
	CHECK_INT(change(&t, 1, 4, RAFT_VOTER), ERR_FAILED_PRECONDITION);
	CHECK(!change(&t, 1, 4, RAFT_LEARNER));
	CHECK_INT(change(&t, 1, 4, RAFT_VOTER), ERR_UNAVAILABLE);
	split(&t, "123");
	settle(&t);
	CHECK_INT(change(&t, 1, 4, RAFT_VOTER), ERR_FAILED_PRECONDITION);
	split(&t, "");
	beat(1);
	CHECK_INT(status(&t, 4).last, 23);
	time_out(&t, 4);
	CHECK_INT(status(&t, 4).role, RAFT_FOLLOWER);
	beat(2);
	elect(&t, 1);
	beat(1);
	CHECK(!change(&t, 1, 4, RAFT_VOTER));
	settle(&t);
	CHECK_INT(role_of(4, 4), RAFT_VOTER);
	split(&t, "14");
	propose(&t, 1, "b");
	settle(&t);
	CHECK(status(&t, 1).commit < status(&t, 1).last); /* 2 of 4 */
	trace_end(&t);
}

TEST(learners_and_standbys_do_not_count)
{
	trace_init(&t, 3);
	elect(&t, 1);
	CHECK(!change(&t, 1, 4, RAFT_LEARNER));
	settle(&t);
	CHECK(!change(&t, 1, 5, RAFT_STANDBY));
	settle(&t);
	beat(1);
	split(&t, "145");
	propose(&t, 1, "a");
	settle(&t);
	CHECK_INT(status(&t, 5).last, 5);
	CHECK_INT(status(&t, 1).commit, 4);
	trace_end(&t);
}

/* The correction of 2015; test/sim/raft_planted_sim.c shows why. */
TEST(a_leader_changes_nothing_before_it_has_committed_in_its_own_term)
{
	trace_init(&t, 3);
	elect_quietly(&t, 1);
	CHECK(!status(&t, 1).committed_in_term);
	CHECK_INT(change(&t, 1, 4, RAFT_LEARNER), ERR_UNAVAILABLE);
	beat(1);
	CHECK(status(&t, 1).committed_in_term);
	CHECK(!change(&t, 1, 4, RAFT_LEARNER));
	CHECK_INT(change(&t, 2, 5, RAFT_LEARNER), ERR_UNAVAILABLE);
	settle(&t);
	trace_end(&t);
}

TEST(one_change_at_a_time)
{
	trace_init(&t, 3);
	elect(&t, 1);
	CHECK(!change(&t, 1, 4, RAFT_LEARNER));
	CHECK_INT(change(&t, 1, 5, RAFT_LEARNER), ERR_UNAVAILABLE);
	settle(&t);
	CHECK(!change(&t, 1, 5, RAFT_LEARNER));
	settle(&t);
	trace_end(&t);
}

TEST(changes_that_make_no_sense_are_refused)
{
	trace_init(&t, 1);
	elect(&t, 1);
	CHECK_INT(change(&t, 1, 0, RAFT_LEARNER), ERR_INVALID_ARGUMENT);
	CHECK_INT(change(&t, 1, 2, (enum raft_member_role)9),
		  ERR_INVALID_ARGUMENT);
	CHECK_INT(change(&t, 1, 2, RAFT_NONE), ERR_FAILED_PRECONDITION);
	CHECK_INT(change(&t, 1, 1, RAFT_NONE), ERR_FAILED_PRECONDITION);
	CHECK_INT(change(&t, 1, 1, RAFT_STANDBY), ERR_FAILED_PRECONDITION);
	trace_end(&t);
}

/* Diss. 4.1: in force as soon as it is in the log, and until it is cut. */
TEST(a_configuration_that_is_overwritten_is_in_force_no_more)
{
	trace_init(&t, 3);
	elect(&t, 1);
	beat(1);
	split(&t, "1");
	CHECK(!change(&t, 1, 4, RAFT_LEARNER));
	CHECK_INT(role_of(1, 4), RAFT_LEARNER);
	lose(&t, 0, 0, 0);
	split(&t, "23");
	elect(&t, 2);
	split(&t, "");
	beat(2);
	CHECK_STR(terms(&t, 1), "1 2 3");
	CHECK_INT(role_of(1, 4), RAFT_NONE);
	CHECK_INT(status(&t, 1).conf_index, 1);
	trace_end(&t);
}

/* Diss. 4.2.2: it does not count itself, and leads until that commits. */
TEST(a_leader_that_removes_itself_steps_down_when_that_commits)
{
	trace_init(&t, 3);
	elect(&t, 1);
	beat(1);
	split(&t, "12");
	CHECK(!change(&t, 1, 1, RAFT_NONE));
	settle(&t);
	CHECK_INT(status(&t, 1).role, RAFT_LEADER); /* 1 of {2, 3} */
	split(&t, "");
	beat(1);
	CHECK_INT(status(&t, 1).role, RAFT_FOLLOWER);
	CHECK(status(&t, 1).removed);
	CHECK(raft_deadline(at(&t, 1)) == INT64_MAX);
	CHECK_STR(terms(&t, 2), "1 2 2 3"); /* it had handed over */
	CHECK_INT(status(&t, 2).role, RAFT_LEADER);
	trace_end(&t);
}

/* Diss. 4.2.2: only server 1 and 2 have the entry that removes 2; with 1 and 3
 * in the new configuration, 2 may be needed to lead until it commits. */
TEST(a_server_outside_its_newest_configuration_stands_until_that_commits)
{
	trace_init(&t, 3);
	elect(&t, 1);
	beat(1);
	split(&t, "12");
	CHECK(!change(&t, 1, 2, RAFT_NONE));
	settle(&t);
	CHECK_INT(role_of(2, 2), RAFT_NONE);
	CHECK(!status(&t, 2).removed);
	CHECK_INT(status(&t, 1).commit, 2); /* 1 of {1, 3} */
	split(&t, "");
	step_down(&t, 1);
	elect(&t, 2);
	/* it led its own removal to the end */
	CHECK(status(&t, 2).removed);
	CHECK_INT(status(&t, 2).commit, 4);
	CHECK_STR(terms(&t, 3), "1 2 2 3 4");
	CHECK(status(&t, 3).role == RAFT_LEADER ||
	      status(&t, 1).role == RAFT_LEADER);
	trace_end(&t);
}

TEST(a_removed_server_hears_the_end_of_it)
{
	trace_init(&t, 3);
	elect(&t, 1);
	beat(1);
	CHECK(!change(&t, 1, 3, RAFT_NONE));
	settle(&t);
	CHECK(status(&t, 3).removed);
	time_out(&t, 3);
	CHECK_INT(status(&t, 3).role, RAFT_FOLLOWER);
	trace_end(&t);
}

TEST(a_removed_server_that_comes_back_is_told)
{
	trace_init(&t, 3);
	elect(&t, 1);
	beat(1);
	crash(&t, 3);
	CHECK(!change(&t, 1, 3, RAFT_NONE));
	settle(&t);
	lose(&t, 0, 3, 0);
	restart(&t, 3);
	CHECK(!status(&t, 3).removed);
	time_out(&t, 3);
	settle(&t);
	CHECK(status(&t, 3).removed);
	CHECK_INT(status(&t, 1).role, RAFT_LEADER);
	CHECK_INT(status(&t, 1).term, 2);
	trace_end(&t);
}

/* It has the entry, and nobody will send it the news that it is committed. */
TEST(a_removed_server_that_has_the_entry_is_told_that_it_is_committed)
{
	trace_init(&t, 3);
	elect(&t, 1);
	beat(1);
	CHECK(!change(&t, 1, 3, RAFT_NONE));
	CHECK(arrive(&t, 1, 3, RAFT_APPEND, false));
	sync_disk(&t, 3);
	CHECK_INT(role_of(3, 3), RAFT_NONE);
	crash(&t, 3);
	settle(&t);
	lose(&t, 0, 3, 0);
	restart(&t, 3);
	CHECK(!status(&t, 3).removed);
	time_out(&t, 3);
	settle(&t);
	CHECK(status(&t, 3).removed);
	trace_end(&t);
}

TEST(a_server_that_joins_late_is_not_called_removed)
{
	trace_init(&t, 3);
	elect(&t, 1);
	beat(1);
	CHECK(!change(&t, 1, 3, RAFT_NONE));
	settle(&t);
	t.w.max_append = 1;
	CHECK(!change(&t, 1, 4, RAFT_LEARNER));
	while (status(&t, 4).last < 3) {
		CHECK(!status(&t, 4).removed);
		if (!arrive(&t, 0, 0, 0, false))
			for (int i = 1; i <= 4; i++)
				sync_disk(&t, i);
	}
	CHECK(!status(&t, 4).removed);
	settle(&t);
	CHECK_INT(role_of(4, 4), RAFT_LEARNER);
	trace_end(&t);
}

TEST(a_demoted_leader_lets_others_lead)
{
	trace_init(&t, 3);
	elect(&t, 1);
	beat(1);
	CHECK(!change(&t, 1, 1, RAFT_STANDBY));
	settle(&t);
	CHECK_INT(status(&t, 1).role, RAFT_FOLLOWER);
	CHECK(!status(&t, 1).removed);
	elect(&t, 2);
	settle(&t);
	beat(2);
	CHECK_INT(status(&t, 1).leader, 2);
	trace_end(&t);
}

TEST(the_hosts_account_of_a_change_travels_with_it)
{
	struct raft_entry e = {.client = 7, .seq = 1, .data = "url", .len = 3};
	const struct raft_entry *got;
	int64_t index, term;
	struct err err;

	trace_init(&t, 3);
	elect(&t, 1);
	CHECK(!raft_change(at(&t, 1), now_ms(&t), 4, RAFT_LEARNER, &e, &index,
			   &term, &err));
	drain(&t.w, &t.w.server[1]);
	settle(&t);
	got = raft_entry(at(&t, 2), index);
	CHECK(got->type == RAFT_CONFIG && got->term == term);
	CHECK(got->len == 3 && !memcmp(got->data, "url", 3));
	CHECK(got->client == 7 && got->seq == 1);
	trace_end(&t);
}

TEST(a_configuration_survives_its_bytes_and_damage_does_not)
{
	struct raft_member m[] = {{.id = 1, .role = RAFT_VOTER},
				  {.id = 300, .role = RAFT_STANDBY},
				  {.id = INT64_MAX, .role = RAFT_LEARNER}};
	struct raft_conf conf = {m, 3}, got = {0};
	struct err err;
	unsigned char *p;
	void *bytes;
	size_t len = raft_conf_encode(&conf, &bytes);

	CHECK(!raft_conf_decode(&got, bytes, len, &err));
	CHECK_INT(got.n, 3);
	for (int i = 0; i < 3; i++)
		CHECK(got.member[i].id == m[i].id &&
		      got.member[i].role == m[i].role);
	CHECK_INT(raft_conf_role(&got, 300), RAFT_STANDBY);
	CHECK_INT(raft_conf_role(&got, 2), RAFT_NONE);
	raft_conf_release(&got);
	for (size_t n = 0; n < len; n++)
		if (n % 9 != 1)
			CHECK(raft_conf_decode(&got, bytes, n, &err));
	p = bytes;
	p[1] = 4; /* role */
	CHECK_INT(raft_conf_decode(&got, bytes, len, &err),
		  ERR_INVALID_ARGUMENT);
	p[1] = 1;
	p[2] = p[3] = 200; /* no longer ascending */
	CHECK_INT(raft_conf_decode(&got, bytes, len, &err),
		  ERR_INVALID_ARGUMENT);
	p[0] = 2; /* version */
	CHECK_INT(raft_conf_decode(&got, bytes, len, &err),
		  ERR_INVALID_ARGUMENT);
	free(bytes);
}

static void feed(struct raft *r, enum raft_msg_type type, int from,
		 int64_t term, int64_t index)
{
	struct raft_msg m = {.type = type,
			     .from = from,
			     .to = 1,
			     .term = term,
			     .index = index};
	struct err err;

	CHECK(!raft_step(r, 400, &m, &err));
}

static void store(struct raft *r)
{
	for (struct raft_write wr; raft_next_write(r, &wr);)
		raft_written(r, 400, wr.seq);
}

TEST(of_forty_voters_twenty_one_are_a_majority)
{
	struct raft_member m[40];
	struct raft_conf conf = {m, 40};
	struct raft_config c = {.id = 1, .term = 1};
	struct raft_entry e = {.index = 1, .term = 1, .type = RAFT_CONFIG};
	struct raft_status st;
	struct raft *r;
	struct err err;
	void *bytes;

	for (int i = 0; i < 40; i++)
		m[i] = (struct raft_member){.id = i + 1, .role = RAFT_VOTER};
	e.conf_len = raft_conf_encode(&conf, &bytes);
	e.conf = bytes;
	CHECK(!raft_open(&r, &c, &err));
	CHECK(!raft_load(r, &e, &err));
	CHECK(!raft_start(r, 0, &err));
	free(bytes);
	raft_tick(r, 400);
	for (int i = 2; i <= 21; i++) {
		raft_status(r, &st);
		CHECK_INT(st.role, RAFT_PRECANDIDATE);
		feed(r, RAFT_PREVOTE_REPLY, i, 2, 0);
	}
	store(r);
	for (int i = 40; i > 20; i--) {
		raft_status(r, &st);
		CHECK_INT(st.role, RAFT_CANDIDATE);
		feed(r, RAFT_VOTE_REPLY, i, 2, 0);
	}
	store(r);
	for (int i = 2; i <= 21; i++) {
		raft_status(r, &st);
		CHECK_INT(st.role, RAFT_LEADER);
		CHECK_INT(st.commit, 0);
		feed(r, RAFT_APPEND_REPLY, i, 2, 2);
	}
	raft_status(r, &st);
	CHECK_INT(st.commit, 2);
	raft_close(r);
}
