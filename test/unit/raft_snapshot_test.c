/* Snapshots: Raft 7; Diss. 5. */
#include "test.h"

#include "../sim/raft_trace.h"

static struct trace t;

static void beat(int id)
{
	heartbeat(&t, id);
	settle(&t);
}

/* Server 1 leads 1 and 2; server 3 was away while `writes` entries came, of
 * which the leader has only a snapshot. */
static void behind(int writes)
{
	trace_init(&t, 3);
	elect(&t, 1);
	split(&t, "12");
	for (int i = 0; i < writes; i++) {
		client(&t, 1, false);
		settle(&t);
	}
	compact(&t, 1);
	CHECK_INT(status(&t, 1).first, status(&t, 1).last + 1);
	split(&t, "");
}

static struct raft_peer peer(int id, int of)
{
	struct raft_peer p;
	struct err err;

	CHECK_INT(raft_peer(at(&t, id), of, &p, &err), 0);
	return p;
}

TEST(who_is_too_far_behind_gets_the_snapshot_and_then_entries)
{
	behind(20);
	beat(1);
	beat(1);
	CHECK_INT(status(&t, 3).commit, status(&t, 1).commit);
	CHECK_INT(status(&t, 3).first, 23);
	CHECK_INT(t.w.server[3].machine.index, 22);
	CHECK_INT(t.w.server[3].machine.effects[1], 20);
	CHECK(!peer(1, 3).snapshot);
	client(&t, 1, false);
	settle(&t);
	CHECK_INT(t.w.server[3].machine.effects[1], 21);
	CHECK_INT(t.w.t.installs, 1);
	trace_end(&t);
}

TEST(a_snapshot_goes_in_pieces_one_at_a_time)
{
	behind(3);
	t.w.max_append = 50;
	crash(&t, 1);
	restart(&t, 1);
	elect_quietly(&t, 1);
	beat(1);
	CHECK_INT(t.w.t.installs, 1);
	CHECK_INT(status(&t, 3).commit, status(&t, 1).commit);
	trace_end(&t);
}

static int pieces_of(int id)
{
	return mails(&t, id, 3, RAFT_PIECE);
}

/* The leader knows that server 3 needs a snapshot, of which the first piece is
 * on its way. */
static void first_piece(size_t bytes)
{
	behind(3);
	t.w.max_append = bytes;
	crash(&t, 1);
	restart(&t, 1);
	elect_quietly(&t, 1);
	heartbeat(&t, 1);
	while (!pieces_of(1)) {
		struct event *e = mail(&t, 0, 0, 0);

		CHECK(e != NULL);
		arrive(&t, (int)e->msg.from, (int)e->msg.to, (int)e->msg.type,
		       false);
		for (int i = 1; i <= 3; i++)
			sync_disk(&t, i);
	}
}

TEST(a_piece_that_is_lost_is_sent_again_but_not_at_once)
{
	first_piece(50);
	lose(&t, 1, 3, RAFT_PIECE);
	beat(1);
	CHECK_INT(t.w.t.installs, 0);
	CHECK(peer(1, 3).snapshot);
	for (int i = 0; i < 20; i++)
		beat(1);
	CHECK_INT(t.w.t.installs, 1);
	trace_end(&t);
}

TEST(an_answer_that_is_lost_only_costs_time)
{
	first_piece(50);
	arrive(&t, 1, 3, RAFT_PIECE, false);
	sync_disk(&t, 3);
	lose(&t, 3, 1, RAFT_PIECE_REPLY);
	for (int i = 0; i < 20; i++)
		beat(1);
	CHECK_INT(t.w.t.installs, 1);
	trace_end(&t);
}

/* Each answer lets a piece leave, each piece causes an answer: duplicates of
 * both must not go on for ever. */
TEST(duplicates_do_not_breed)
{
	first_piece(20);
	for (int i = 0; i < 4; i++) {
		arrive(&t, 1, 3, RAFT_PIECE, true);
		sync_disk(&t, 3);
	}
	arrive(&t, 1, 3, RAFT_PIECE, false);
	for (int i = 0; i < 4; i++)
		arrive(&t, 3, 1, RAFT_PIECE_REPLY, true);
	while (arrive(&t, 3, 1, RAFT_PIECE_REPLY, false))
		;
	CHECK_INT(pieces_of(1), 1);
	settle(&t);
	CHECK_INT(t.w.t.installs, 1);
	trace_end(&t);
}

/* No answer before the piece is on the disk, and no state either. */
TEST(a_piece_is_answered_when_it_is_durable)
{
	first_piece(1 << 20);
	t.slow[3] = true;
	arrive(&t, 1, 3, RAFT_PIECE, false);
	CHECK_INT(mails(&t, 3, 1, RAFT_APPEND_REPLY), 0);
	CHECK(t.w.server[3].machine.index < 5);
	CHECK_INT(status(&t, 3).applied, t.w.server[3].machine.index);
	while (t.w.server[3].n_jobs)
		sync_one(&t, 3);
	CHECK_INT(mails(&t, 3, 1, RAFT_APPEND_REPLY), 1);
	CHECK_INT(t.w.server[3].machine.index, 5);
	trace_end(&t);
}

TEST(a_follower_that_restarts_goes_on_where_its_disk_ends)
{
	first_piece(50);
	arrive(&t, 1, 3, RAFT_PIECE, false);
	sync_disk(&t, 3);
	CHECK_INT(t.w.server[3].disk.got, 50);
	crash(&t, 3);
	restart(&t, 3);
	settle(&t);
	CHECK_INT(t.w.server[3].disk.got, 0);
	CHECK_INT(t.w.t.installs, 1);
	trace_end(&t);
}

TEST(what_was_not_durable_is_asked_for_again)
{
	first_piece(50);
	t.slow[3] = true;
	arrive(&t, 1, 3, RAFT_PIECE, false);
	crash(&t, 3);
	t.slow[3] = false;
	restart(&t, 3);
	for (int i = 0; i < 25; i++)
		beat(1);
	CHECK_INT(t.w.t.installs, 1);
	trace_end(&t);
}

TEST(a_new_leader_with_another_snapshot_begins_again)
{
	first_piece(50);
	arrive(&t, 1, 3, RAFT_PIECE, false);
	sync_disk(&t, 3);
	lose(&t, 0, 0, 0);
	split(&t, "12");
	client(&t, 1, false);
	settle(&t);
	compact(&t, 2);
	split(&t, "23");
	elect(&t, 2);
	for (int i = 0; i < 3; i++)
		beat(2);
	CHECK_INT(status(&t, 3).commit, status(&t, 2).commit);
	CHECK_INT(t.w.server[3].disk.snap.index, t.w.server[2].disk.snap.index);
	trace_end(&t);
}

/* Raft 7, step 7: the rest of a log that has the snapshot's last entry stays.
 */
TEST(a_log_with_the_snapshots_last_entry_is_kept)
{
	struct raft_msg m = {.type = RAFT_PIECE, .from = 1, .to = 2};
	struct raft_snapshot s;

	trace_init(&t, 3);
	elect(&t, 1);
	for (int i = 0; i < 5; i++)
		propose(&t, 1, "a");
	settle(&t);
	beat(1);
	CHECK(raft_snapshot_now(at(&t, 2), &s));
	m.term = status(&t, 1).term;
	m.index = 4;
	m.log_term = m.term;
	m.conf = s.conf;
	m.conf_len = s.conf_len;
	m.context = m.len = 3;
	m.data = "abc";
	CHECK_INT(step(&t, &m), 0);
	CHECK_STR(terms(&t, 2), "1 2 2 2 2 2 2");
	CHECK_INT(t.w.t.installs, 0);
	trace_end(&t);
}

/* And a log without it goes. */
TEST(a_log_that_conflicts_goes)
{
	trace_init(&t, 3);
	elect(&t, 3);
	split(&t, "12");
	for (int i = 0; i < 9; i++)
		propose(&t, 3, "lost");
	settle(&t);
	elect(&t, 1);
	for (int i = 0; i < 4; i++)
		client(&t, 1, false), settle(&t);
	compact(&t, 1);
	step_down(&t, 3);
	step_down(&t, 1);
	split(&t, "");
	elect_by_votes(&t, 1);
	settle(&t);
	beat(1);
	CHECK_INT(t.w.t.installs, 1);
	CHECK_INT(status(&t, 3).last, status(&t, 1).last);
	CHECK_INT(status(&t, 3).first, 8);
	trace_end(&t);
}

TEST(a_snapshot_survives_a_restart)
{
	behind(5);
	beat(1);
	for (int i = 1; i <= 3; i++) {
		crash(&t, i);
		restart(&t, i);
	}
	CHECK_INT(t.w.server[3].machine.effects[1], 5);
	elect(&t, 3);
	client(&t, 3, false);
	settle(&t);
	beat(3);
	for (int i = 1; i <= 3; i++)
		CHECK_INT(t.w.server[i].machine.effects[1], 6);
	trace_end(&t);
}

TEST(an_append_of_what_the_snapshot_has_is_no_conflict)
{
	struct raft_entry e = {.index = 2, .term = 2, .type = RAFT_NORMAL};
	struct raft_msg m = {.type = RAFT_APPEND, .from = 1, .to = 3};

	behind(5);
	beat(1);
	m.term = status(&t, 1).term;
	m.index = m.log_term = 1;
	m.entries = &e;
	m.n = 1;
	CHECK_INT(step(&t, &m), 0);
	CHECK_INT(status(&t, 3).last, 7);
	trace_end(&t);
}

TEST(a_member_that_joins_by_a_snapshot_becomes_a_voter)
{
	trace_init(&t, 1);
	elect(&t, 1);
	for (int i = 0; i < 10; i++)
		client(&t, 1, false), settle(&t);
	compact(&t, 1);
	CHECK_INT(change(&t, 1, 2, RAFT_LEARNER), 0);
	settle(&t);
	beat(1);
	beat(1);
	CHECK_INT(t.w.t.installs, 1);
	CHECK_INT(change(&t, 1, 2, RAFT_VOTER), 0);
	settle(&t);
	CHECK_INT(raft_conf_role(raft_conf(at(&t, 2)), 2), RAFT_VOTER);
	trace_end(&t);
}

TEST(a_snapshot_is_of_what_is_applied)
{
	struct raft_snapshot s;
	struct err err;

	trace_init(&t, 3);
	CHECK(!raft_snapshot_now(at(&t, 1), &s));
	elect(&t, 1);
	CHECK(raft_snapshot_now(at(&t, 1), &s));
	CHECK_INT(s.index, 2);
	s.index = 3;
	CHECK_INT(raft_compact(at(&t, 1), 0, &s, 1, &err),
		  ERR_INVALID_ARGUMENT);
	s.index = 2;
	CHECK_INT(raft_compact(at(&t, 1), 0, &s, 4, &err),
		  ERR_INVALID_ARGUMENT);
	s.term = 1;
	CHECK_INT(raft_compact(at(&t, 1), 0, &s, 3, &err),
		  ERR_INVALID_ARGUMENT);
	trace_end(&t);
}

TEST(a_piece_that_makes_no_sense_is_refused)
{
	struct raft_msg good = {.type = RAFT_PIECE, .from = 1, .to = 3};
	struct raft_msg bad[6];
	struct raft_snapshot s;

	trace_init(&t, 3);
	elect(&t, 1);
	CHECK(raft_snapshot_now(at(&t, 1), &s));
	good.term = status(&t, 1).term;
	good.index = 9;
	good.log_term = good.term;
	good.conf = s.conf;
	good.conf_len = s.conf_len;
	good.context = 8;
	good.len = 4;
	good.data = "abcd";
	for (size_t i = 0; i < 6; i++)
		bad[i] = good;
	bad[0].hint = 5; /* past the end */
	bad[1].len = 0;
	bad[2].conf_len = 3;
	bad[3].log_term = good.term + 1;
	bad[4].data = NULL;
	bad[5].index = 0;
	for (size_t i = 0; i < 6; i++)
		CHECK_INT(step(&t, &bad[i]), ERR_INVALID_ARGUMENT);
	CHECK_INT(step(&t, &good), 0);
	trace_end(&t);
}

TEST(what_a_member_that_answers_needs_is_known)
{
	trace_init(&t, 3);
	CHECK(raft_needed(at(&t, 1)) == INT64_MAX);
	elect(&t, 1);
	for (int i = 0; i < 4; i++)
		client(&t, 1, false), settle(&t);
	CHECK_INT(raft_needed(at(&t, 1)), 7);
	split(&t, "12");
	client(&t, 1, false);
	settle(&t);
	CHECK_INT(raft_needed(at(&t, 1)), 7);
	for (int i = 0; i < 60; i++)
		beat(1);
	CHECK_INT(raft_needed(at(&t, 1)), 8);
	trace_end(&t);
}
