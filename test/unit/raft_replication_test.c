/* Replication and commit: Raft 5.3 and 5.4.2; storage beside (Diss. 10.2.1). */
#include "test.h"

#include "../sim/raft_trace.h"

static struct trace t;

/* Raft figure 7: whatever the followers have, they end with the leader's log.
 */
TEST(figure_7_all_logs_become_the_leaders)
{
	trace_init(&t, 7);
	trace_load(&t, 1, "1114455666", 7);
	trace_load(&t, 2, "111445566", 6);
	trace_load(&t, 3, "1114", 4);
	trace_load(&t, 4, "11144556666", 6);
	trace_load(&t, 5, "111445566677", 7);
	trace_load(&t, 6, "1114444", 4);
	trace_load(&t, 7, "11122233333", 3);
	elect_by_votes(&t, 1);
	CHECK_INT(status(&t, 1).term, 8);
	settle(&t);
	heartbeat(&t, 1);
	settle(&t);
	for (int i = 1; i <= 7; i++) {
		CHECK_STR(terms(&t, i), "1 1 1 4 4 5 5 6 6 6 8");
		CHECK_INT(status(&t, i).commit, 11);
	}
	trace_end(&t);
}

/* Raft 5.3, end: a term a round trip, not an entry. */
TEST(a_log_is_repaired_in_few_round_trips)
{
	int appends = 0;

	trace_init(&t, 3);
	trace_load(&t, 1, "1111111111222222222244", 4);
	trace_load(&t, 2, "11111111111111111111111133333333333333333", 3);
	split(&t, "13");
	elect_by_votes(&t, 1);
	split(&t, "");
	heartbeat(&t, 1);
	arrive(&t, 1, 2, RAFT_HEARTBEAT, false);
	sync_disk(&t, 2);
	arrive(&t, 2, 1, RAFT_HEARTBEAT_REPLY, false);
	while (arrive(&t, 1, 2, RAFT_APPEND, false)) {
		appends++;
		sync_disk(&t, 2);
		arrive(&t, 2, 1, RAFT_APPEND_REPLY, false);
	}
	CHECK(appends <= 4);
	CHECK_INT(status(&t, 2).last, status(&t, 1).last);
	trace_end(&t);
}

/* Raft 5.4.2, figure 8 (c) */
TEST(entries_of_older_terms_do_not_commit_by_counting)
{
	struct raft_msg m = {.type = RAFT_APPEND_REPLY,
			     .from = 2,
			     .to = 1,
			     .term = 5,
			     .index = 3};

	trace_init(&t, 3);
	trace_load(&t, 1, "122", 4);
	trace_load(&t, 2, "122", 4);
	elect_quietly(&t, 1);
	CHECK_INT(status(&t, 1).term, 5);
	CHECK(!step(&t, &m));
	CHECK_INT(status(&t, 1).commit, 0);
	heartbeat(&t, 1);
	settle(&t);
	CHECK_INT(status(&t, 1).commit, 4);
	trace_end(&t);
}

/* Raft 5.3: what a follower says to an append, by what it has ("1 2 2"). */
TEST(a_follower_takes_what_matches_and_refuses_what_does_not)
{
	static const struct {
		int64_t index, term;
		bool taken;
	} row[] = {{0, 0, true},  {1, 1, true},  {3, 2, true},
		   {1, 2, false}, {4, 2, false}, {3, 1, false}};

	for (int i = 0; i < 6; i++) {
		struct raft_entry e = {.index = row[i].index + 1,
				       .term = 3,
				       .type = RAFT_NORMAL};
		struct raft_msg m = {.type = RAFT_APPEND,
				     .from = 1,
				     .to = 2,
				     .term = 3,
				     .index = row[i].index,
				     .log_term = row[i].term,
				     .entries = &e,
				     .n = 1};
		const struct raft_msg *r;

		trace_init(&t, 3);
		trace_load(&t, 2, "122", 2);
		CHECK(!step(&t, &m));
		CHECK_INT(mails(&t, 2, 1, RAFT_APPEND_REPLY), 0);
		sync_disk(&t, 2);
		r = &mail(&t, 2, 1, RAFT_APPEND_REPLY)->msg;
		CHECK_INT(r->reject, !row[i].taken);
		CHECK_INT(r->index, row[i].index + row[i].taken);
		CHECK_INT(status(&t, 2).last, row[i].taken ? r->index : 3);
		trace_end(&t);
	}
}

TEST(a_late_append_cuts_nothing_that_came_after_it)
{
	trace_init(&t, 3);
	elect(&t, 1);
	propose(&t, 1, "a");
	arrive(&t, 1, 2, RAFT_APPEND, true);
	sync_disk(&t, 2);
	propose(&t, 1, "b");
	arrive(&t, 1, 2, RAFT_APPEND, true); /* "a" again */
	while (mails(&t, 1, 2, RAFT_APPEND) > 1)
		arrive(&t, 1, 2, RAFT_APPEND, false);
	arrive(&t, 1, 2, RAFT_APPEND, false);
	CHECK_INT(status(&t, 2).last, 4);
	settle(&t);
	CHECK_INT(status(&t, 1).commit, 4);
	trace_end(&t);
}

TEST(an_append_in_the_place_of_a_committed_entry_is_data_loss)
{
	struct raft_entry e = {.index = 2, .term = 9, .type = RAFT_NORMAL};
	struct raft_msg m = {.type = RAFT_APPEND,
			     .from = 3,
			     .to = 2,
			     .term = 9,
			     .index = 1,
			     .log_term = 1,
			     .entries = &e,
			     .n = 1};

	trace_init(&t, 3);
	elect(&t, 1);
	heartbeat(&t, 1);
	settle(&t);
	CHECK_INT(status(&t, 2).commit, 2);
	CHECK_INT(step(&t, &m), ERR_DATA_LOSS);
	CHECK_STR(terms(&t, 2), "1 2");
	trace_end(&t);
}

/* Diss. 10.2.1: the leader writes while its followers do. */
TEST(a_leader_sends_before_its_own_write_and_counts_itself_after_it)
{
	trace_init(&t, 3);
	elect(&t, 1);
	split(&t, "12");
	t.slow[1] = true;
	propose(&t, 1, "a");
	CHECK_INT(mails(&t, 1, 2, RAFT_APPEND), 1);
	settle(&t);
	CHECK_INT(status(&t, 2).durable, 3);
	CHECK_INT(status(&t, 1).commit, 2);
	sync_disk(&t, 1);
	CHECK_INT(status(&t, 1).commit, 3);
	trace_end(&t);
}

TEST(a_majority_without_the_leader_commits_but_it_applies_what_it_has)
{
	trace_init(&t, 3);
	elect(&t, 1);
	t.slow[1] = true;
	propose(&t, 1, "a");
	settle(&t);
	CHECK_INT(status(&t, 1).commit, 3);
	CHECK_INT(status(&t, 1).applied, 2);
	sync_disk(&t, 1);
	CHECK_INT(status(&t, 1).applied, 3);
	trace_end(&t);
}

TEST(acknowledgements_are_held_and_say_together_what_the_last_one_says)
{
	trace_init(&t, 3);
	elect(&t, 1);
	split(&t, "12");
	t.slow[2] = true;
	t.w.max_jobs = 1;
	for (int i = 0; i < 6; i++)
		propose(&t, 1, "a");
	settle(&t);
	CHECK_INT(status(&t, 1).commit, 2);
	sync_one(&t, 2);
	CHECK_INT(mails(&t, 2, 1, RAFT_APPEND_REPLY), 1);
	CHECK_INT(mail(&t, 2, 1, RAFT_APPEND_REPLY)->msg.index, 3);
	lose(&t, 2, 1, 0);
	sync_one(&t, 2);
	CHECK_INT(mails(&t, 2, 1, RAFT_APPEND_REPLY), 1);
	CHECK_INT(mail(&t, 2, 1, RAFT_APPEND_REPLY)->msg.index, 8);
	trace_end(&t);
}

/* The write under way has entry 3 of term 2; what is there now is another. */
TEST(a_write_does_not_vouch_for_what_replaced_its_entries)
{
	trace_init(&t, 5);
	elect(&t, 1);
	t.slow[2] = true;
	split(&t, "12");
	propose(&t, 1, "a");
	settle(&t);
	split(&t, "2345");
	elect(&t, 3);
	CHECK_STR(terms(&t, 2), "1 2 3");
	sync_one(&t, 2);
	CHECK_INT(status(&t, 2).durable, 2);
	CHECK_INT(mails(&t, 2, 3, RAFT_APPEND_REPLY), 0);
	CHECK_INT(mail(&t, 2, 1, RAFT_APPEND_REPLY)->msg.term, 2);
	sync_disk(&t, 2);
	CHECK_INT(status(&t, 2).durable, 3);
	trace_end(&t);
}

TEST(a_lost_acknowledgement_is_repaired_by_the_next_heartbeat)
{
	trace_init(&t, 3);
	elect(&t, 1);
	split(&t, "12");
	propose(&t, 1, "a");
	arrive(&t, 1, 2, RAFT_APPEND, false);
	sync_disk(&t, 1);
	sync_disk(&t, 2);
	lose(&t, 2, 1, RAFT_APPEND_REPLY);
	CHECK_INT(status(&t, 1).commit, 2);
	heartbeat(&t, 1);
	arrive(&t, 1, 2, RAFT_HEARTBEAT, false);
	arrive(&t, 2, 1, RAFT_HEARTBEAT_REPLY, false);
	CHECK_INT(status(&t, 1).commit, 3);
	trace_end(&t);
}

TEST(a_lost_append_is_repaired_by_the_next_heartbeat)
{
	trace_init(&t, 3);
	elect(&t, 1);
	split(&t, "12");
	propose(&t, 1, "a");
	lose(&t, 1, 0, RAFT_APPEND);
	heartbeat(&t, 1);
	settle(&t);
	CHECK_INT(status(&t, 2).last, 3);
	CHECK_INT(status(&t, 1).commit, 3);
	trace_end(&t);
}

TEST(followers_hear_of_a_commit_at_once)
{
	trace_init(&t, 3);
	elect(&t, 1);
	propose(&t, 1, "a");
	settle(&t);
	for (int i = 1; i <= 3; i++)
		CHECK_INT(status(&t, i).applied, 3);
	trace_end(&t);
}

TEST(appends_under_way_are_bounded_and_the_rest_goes_together)
{
	trace_init(&t, 3);
	t.w.max_inflight = 2;
	crash(&t, 1);
	restart(&t, 1);
	elect(&t, 1);
	for (int i = 0; i < 10; i++)
		propose(&t, 1, "a");
	CHECK_INT(mails(&t, 1, 2, RAFT_APPEND), 2);
	arrive(&t, 1, 2, RAFT_APPEND, false);
	sync_disk(&t, 2);
	arrive(&t, 2, 1, RAFT_APPEND_REPLY, false);
	CHECK_INT(mails(&t, 1, 2, RAFT_APPEND), 2);
	arrive(&t, 1, 2, RAFT_APPEND, false);
	CHECK_INT(mail(&t, 1, 2, RAFT_APPEND)->msg.n, 8);
	trace_end(&t);
}

TEST(an_append_is_bounded_in_bytes_but_for_one_entry)
{
	char big[3000];

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = 0;
	trace_init(&t, 3);
	t.w.max_append = 1000;
	crash(&t, 1);
	restart(&t, 1);
	elect_quietly(&t, 1);
	propose(&t, 1, big);
	for (int i = 0; i < 20; i++)
		propose(&t, 1, "a");
	heartbeat(&t, 1);
	while (!mail(&t, 1, 2, RAFT_APPEND))
		CHECK(arrive(&t, 0, 0, 0, false));
	CHECK_INT(mail(&t, 1, 2, RAFT_APPEND)->msg.n, 1);
	settle(&t);
	CHECK_INT(status(&t, 2).last, 23);
	trace_end(&t);
}

TEST(a_member_that_cannot_be_reached_is_probed)
{
	struct raft_peer p;
	struct err err;

	trace_init(&t, 3);
	elect(&t, 1);
	split(&t, "13");
	propose(&t, 1, "a");
	settle(&t);
	raft_unreachable(at(&t, 1), now_ms(&t), 2);
	CHECK(!raft_peer(at(&t, 1), 2, &p, &err));
	CHECK(p.probing && p.next == p.match + 1);
	propose(&t, 1, "b");
	CHECK_INT(mails(&t, 1, 2, RAFT_APPEND), 0);
	split(&t, "");
	heartbeat(&t, 1);
	settle(&t);
	CHECK(!raft_peer(at(&t, 1), 2, &p, &err));
	CHECK(!p.probing && p.match == 4);
	CHECK_INT(raft_peer(at(&t, 2), 1, &p, &err), ERR_NOT_FOUND);
	trace_end(&t);
}
