/* raft_planted_sim - the checkers see a broken rule: the core is compiled a
 * second time here, with rules that a variable can break (raft/bug.h). Random
 * runs find some bugs; the rarer ones are shown by the trace that shows them
 * at once. Each test first sees the rule kept, on the same seeds or trace. */
#define TEST_SECONDS 120
#include "test.h"

static int planted; /* enum raft_bug */
#define RAFT_BUG(which) (planted == (which))

#include "raft/commit.c"
#include "raft/conf.c"
#include "raft/election.c"
#include "raft/heartbeat.c"
#include "raft/joint.c"
#include "raft/log.c"
#include "raft/lost.c"
#include "raft/membership.c"
#include "raft/output.c"
#include "raft/progress.c"
#include "raft/raft.c"
#include "raft/read.c"
#include "raft/replication.c"
#include "raft/session.c"
#include "raft/snapshot.c"
#include "raft/status.c"
#include "raft/step.c"
#include "raft/transfer.c"

#include "raft_trace.h"

/* ---- by seeds ---- */

static void run_seed(int bug, uint64_t seed, bool lenient, char *why)
{
	struct world w;

	planted = bug;
	world_run(&w, seed, lenient);
	memcpy(why, w.broken, sizeof(w.broken));
	world_release(&w);
}

/* The first seed that shows the bug, or 0. */
static uint64_t first_seed(int bug, uint64_t last, bool lenient, char *why)
{
	why[0] = 0;
	for (uint64_t seed = 1; seed <= last; seed++) {
		run_seed(bug, seed, lenient, why);
		if (why[0])
			return seed;
	}
	return 0;
}

/* Some seed up to the last shows the bug; without it that seed is green. */
static void found_by_seed(int bug, uint64_t last, const char *promise)
{
	char why[sizeof(((struct world *)0)->broken)];
	uint64_t seed = first_seed(bug, last, false, why);

	printf("# seed %" PRIu64 ": %s\n", seed, why);
	CHECK(seed > 0);
	CHECK_HAS(why, promise);
	run_seed(RAFT_BUG_NONE, seed, false, why);
	CHECK_STR(why, "");
}

/* GFL_MUTANTS=N: which of the first N random runs sees each broken rule, or
 * that of number GFL_RULE, by the rules of raft_rules.h, and by what comes of
 * it alone (0: none). */
TEST(how_soon_random_runs_see_each_broken_rule)
{
	const char *text = getenv("GFL_MUTANTS");
	const char *only = getenv("GFL_RULE");
	uint64_t last = text ? strtoull(text, NULL, 10) : 0;
	int bug = only ? atoi(only) : RAFT_BUG_NONE + 1;
	int end = only ? bug + 1 : RAFT_BUGS, tried = 0, seen = 0, harm = 0;

	for (; last && bug < end; bug++, tried++) {
		char why[2][sizeof(((struct world *)0)->broken)];
		uint64_t seed[2];

		for (int lenient = 0; lenient < 2; lenient++)
			seed[lenient] =
				first_seed(bug, last, lenient, why[lenient]);
		printf("# rule %2d: seed %" PRIu64 " (%s), seed %" PRIu64
		       " (%s)\n",
		       bug, seed[0], why[0], seed[1], why[1]);
		fflush(stdout);
		seen += seed[0] > 0;
		harm += seed[1] > 0;
	}
	if (last)
		printf("# of %d, %d are seen, and the harm of %d\n", tried,
		       seen, harm);
}

/* Each rule within some seeds, and by the promise that it breaks, where that is
 * always the same one. */
static const struct {
	int bug;
	uint64_t last;
	const char *promise;
} by_seed[] = {
	{RAFT_BUG_VOTE_BEFORE_SYNC, 300, "before its disk has it"},
	{RAFT_BUG_VOTE_TWICE, 300, "votes"},
	{RAFT_BUG_STALE_VOTE, 300, "votes"},
	{RAFT_BUG_ANY_CANDIDATE, 300, ""},
	{RAFT_BUG_LONGEST_LOG, 1000, ""},
	{RAFT_BUG_NO_CHECK_QUORUM, 300, "check quorum"},
	{RAFT_BUG_LEARNERS_COUNT, 300, ""},
	{RAFT_BUG_LOST_VOTES, 1000, ""},
	{RAFT_BUG_LOST_STANDS, 1000, ""},
	{RAFT_BUG_COMMIT_OLD_TERM, 300, ""},
	{RAFT_BUG_COMMIT_UNMATCHED, 300, ""},
	{RAFT_BUG_COMMIT_BY_HEARTBEAT, 300, ""},
	{RAFT_BUG_COUNT_SELF_EARLY, 300, ""},
	{RAFT_BUG_NO_PREVIOUS, 300, ""},
	{RAFT_BUG_TRUNCATE_ON_STALE, 300, ""},
	{RAFT_BUG_ACK_LAST, 300, "acknowledgements"},
	{RAFT_BUG_ACK_BEFORE_SYNC, 300, "acknowledgements"},
	{RAFT_BUG_ACK_AT_NEW_TERM, 300, "before its disk has it"},
	{RAFT_BUG_ABA, 1000, ""},
	{RAFT_BUG_APPLY_EARLY, 300, "that its disk does not have"},
	{RAFT_BUG_CHANGE_BEFORE_COMMIT, 300, "configuration"},
	{RAFT_BUG_CONF_STAYS, 1000, "configuration"},
	{RAFT_BUG_MANY_WITHOUT_JOINT, 300, "configuration"},
	{RAFT_BUG_SNAPSHOT_WITHOUT_CONF, 300, "configuration"},
	{RAFT_BUG_SNAPSHOT_CONFLICTS, 300, ""},
	{RAFT_BUG_RESTORE_EARLY, 300, "that its disk does not have"},
	{RAFT_BUG_READ_UNCONFIRMED, 300, "linearizability"},
	{RAFT_BUG_READ_BEFORE_COMMIT, 300, "linearizability"},
	{RAFT_BUG_SESSION_REPLAY, 300, "sessions: proposal"},
};

TEST(random_runs_see_the_broken_rules)
{
	for (size_t i = 0; i < sizeof(by_seed) / sizeof(by_seed[0]); i++)
		found_by_seed(by_seed[i].bug, by_seed[i].last,
			      by_seed[i].promise);
}

/* ---- by traces ---- */

typedef void trace_fn(struct trace *t);

static void found_by_trace(int bug, trace_fn *run, int voters,
			   const char *promise)
{
	static struct trace t;

	planted = RAFT_BUG_NONE;
	trace_init(&t, voters);
	run(&t);
	trace_end(&t);
	planted = bug;
	trace_init(&t, voters);
	t.w.lenient = true; /* until it does harm */
	run(&t);
	printf("# %s\n", t.w.broken);
	CHECK_HAS(t.w.broken, promise);
	world_release(&t.w);
}

/* Raft figure 8: in (c) entry 3 of term 2 is on a majority, and yet server 5
 * may replace it in (d). */
static void figure_8(struct trace *t)
{
	elect(t, 1);
	split(t, "12");
	propose(t, 1, "a");
	settle(t);
	crash(t, 1); /* (a) */
	split(t, "345");
	elect_quietly(t, 5);
	crash(t, 5); /* (b) */
	split(t, "12");
	t->w.max_append = 1;
	restart(t, 1);
	split(t, "");
	elect_quietly(t, 1);
	split(t, "12");
	heartbeat(t, 1);
	settle(t);
	split(t, "");
	heartbeat(t, 1);
	arrive(t, 1, 3, RAFT_HEARTBEAT, false);
	arrive(t, 3, 1, RAFT_HEARTBEAT_REPLY, false);
	for (int i = 0; i < 2; i++) {
		arrive(t, 1, 3, RAFT_APPEND, false);
		sync_disk(t, 3);
		arrive(t, 3, 1, RAFT_APPEND_REPLY, false);
	} /* (c) */
	crash(t, 1);
	lose(t, 0, 0, 0);
	CHECK_STR(terms(t, 3), "1 2 2");
	restart(t, 5);
	elect_quietly(t, 5);
	heartbeat(t, 5);
	settle(t); /* (d) */
	CHECK_INT(status(t, 5).role, RAFT_LEADER);
	CHECK_STR(terms(t, 3), "1 2 3 5");
}

TEST(figure_8_a_commit_of_an_older_term_by_counting_is_seen)
{
	found_by_trace(RAFT_BUG_COMMIT_OLD_TERM, figure_8, 5,
		       "leader completeness");
}

/* Server 3 votes for server 1, forgets it, and votes for server 2. */
static void forgotten_vote(struct trace *t)
{
	t->slow[3] = true;
	split(t, "13");
	elect(t, 1);
	crash(t, 3);
	t->slow[3] = false;
	restart(t, 3);
	split(t, "23");
	elect(t, 2);
	CHECK_INT(status(t, 2).role, RAFT_LEADER);
}

TEST(a_vote_before_it_is_durable_is_seen)
{
	found_by_trace(RAFT_BUG_VOTE_BEFORE_SYNC, forgotten_vote, 3,
		       "election safety");
}

/* Server 2 says that it has an entry, forgets it, and elects server 3. */
static void forgotten_entry(struct trace *t)
{
	elect(t, 1);
	split(t, "12");
	t->slow[2] = true;
	propose(t, 1, "a");
	settle(t);
	crash(t, 2);
	t->slow[2] = false;
	restart(t, 2);
	split(t, "23");
	elect_quietly(t, 3);
	CHECK_INT(status(t, 3).role, RAFT_LEADER);
}

TEST(an_acknowledgement_before_it_is_durable_is_seen)
{
	found_by_trace(RAFT_BUG_ACK_BEFORE_SYNC, forgotten_entry, 3,
		       "durability");
}

/* Servers 1 and 2 each change one server, starting from the same four voters;
 * the majorities {1, 4, 5} of five and {2, 3} of three do not meet. */
static void bug_of_2015(struct trace *t)
{
	elect(t, 3);
	change(t, 3, 5, RAFT_LEARNER);
	settle(t);
	heartbeat(t, 3);
	settle(t);
	step_down(t, 3);
	elect_quietly(t, 1);
	split(t, "15");
	heartbeat(t, 1);
	settle(t);
	change(t, 1, 5, RAFT_VOTER);
	settle(t);
	split(t, "23");
	t->w.cut[2][4] = t->w.cut[4][2] = false;
	elect_quietly(t, 2);
	CHECK_INT(status(t, 2).role, RAFT_LEADER);
	t->w.cut[2][4] = t->w.cut[4][2] = true;
	change(t, 2, 1, RAFT_NONE);
	heartbeat(t, 2);
	settle(t);
	split(t, "145");
	step_down(t, 1);
	elect_quietly(t, 1);
}

TEST(the_single_server_bug_of_2015_is_seen)
{
	found_by_trace(RAFT_BUG_CHANGE_BEFORE_COMMIT, bug_of_2015, 4,
		       "leader completeness");
}

/* Server 2 acknowledges entries 3 to 5 of term 2 when its slow disk has them:
 * by then server 3 has replaced them, and server 1, in term 4, has others. */
static void late_ack(struct trace *t)
{
	elect(t, 1);
	t->slow[2] = true;
	split(t, "12");
	for (int i = 0; i < 3; i++)
		propose(t, 1, "a");
	settle(t);
	split(t, "2345");
	elect(t, 3);
	split(t, "");
	heartbeat(t, 3);
	settle(t);
	CHECK_STR(terms(t, 2), "1 2 3");
	elect_by_votes(t, 1);
	lose(t, 1, 3, 0);
	lose(t, 1, 4, 0);
	propose(t, 1, "b");
	split(t, "125");
	heartbeat(t, 1);
	settle(t);
	CHECK_STR(terms(t, 2), "1 2 3 4");
	CHECK_STR(terms(t, 5), "1 2 3 4 4");
	for (int i = 0; i < 3; i++)
		sync_one(t, 2);
	settle(t);
	step_down(t, 3);
	crash(t, 2);
	t->slow[2] = false;
	restart(t, 2);
	split(t, "234");
	elect_quietly(t, 3);
	CHECK_INT(status(t, 3).role, RAFT_LEADER);
}

TEST(an_acknowledgement_in_a_later_term_than_its_entries_is_seen)
{
	found_by_trace(RAFT_BUG_ACK_AT_NEW_TERM, late_ack, 5, "durability");
}

/* Server 1 does not know that server 2 has taken over, and that more was
 * written since. */
static void stale_read(struct trace *t)
{
	elect(t, 1);
	client(t, 1, false);
	settle(t);
	split(t, "23");
	elect(t, 2);
	client(t, 2, false);
	settle(t);
	CHECK_INT(status(t, 1).role, RAFT_LEADER);
	client(t, 1, true);
	settle(t);
}

TEST(a_read_without_a_majority_is_seen)
{
	found_by_trace(RAFT_BUG_READ_UNCONFIRMED, stale_read, 3,
		       "linearizability");
}

/* Server 3 was away while two voters came, and gets a snapshot of that. */
static void stale_configuration(struct trace *t)
{
	elect(t, 1);
	split(t, "1245");
	for (int id = 4; id <= 5; id++) {
		change(t, 1, id, RAFT_LEARNER);
		settle(t);
		heartbeat(t, 1);
		settle(t);
		CHECK_INT(change(t, 1, id, RAFT_VOTER), 0);
		settle(t);
	}
	compact(t, 1);
	split(t, "");
	for (int i = 0; i < 3; i++) {
		heartbeat(t, 1);
		settle(t);
	}
	CHECK_INT(status(t, 3).commit, status(t, 1).commit);
	split(t, "23");
	elect_quietly(t, 3);
	split(t, "145");
	step_down(t, 1);
	elect_quietly(t, 1);
}

TEST(a_snapshot_without_its_configuration_is_seen)
{
	found_by_trace(RAFT_BUG_SNAPSHOT_WITHOUT_CONF, stale_configuration, 3,
		       "election safety");
}

/* Servers 1 and 2 stand in the same term; server 3 hears of both. */
static void two_candidates(struct trace *t)
{
	t->w.cut[1][2] = t->w.cut[2][1] = true;
	time_out(t, 1);
	time_out(t, 2);
	ballots(t);
}

TEST(a_second_vote_in_a_term_is_seen)
{
	found_by_trace(RAFT_BUG_VOTE_TWICE, two_candidates, 3,
		       "election safety");
}

/* Server 1 stands in term 2 and then in term 3, where it gets the votes of
 * term 2. */
static void late_vote(struct trace *t)
{
	time_out(t, 1);
	for (int type = RAFT_PREVOTE; type <= RAFT_VOTE; type++) {
		while (arrive(t, 0, 0, type, false))
			;
		sync_disk(t, 1);
	}
	sync_disk(t, 2);
	sync_disk(t, 3);
	CHECK_INT(mails(t, 0, 1, RAFT_VOTE_REPLY), 2);
	time_out(t, 1);
	while (arrive(t, 0, 0, RAFT_PREVOTE, false) ||
	       arrive(t, 0, 0, RAFT_PREVOTE_REPLY, false))
		;
	sync_disk(t, 1);
	lose(t, 1, 0, RAFT_VOTE);
	arrive(t, 2, 1, RAFT_VOTE_REPLY, false);
	lose(t, 0, 0, 0);
	split(t, "23");
	elect_quietly(t, 3);
	CHECK_INT(status(t, 3).role, RAFT_LEADER);
}

TEST(a_vote_of_an_earlier_term_is_seen)
{
	found_by_trace(RAFT_BUG_STALE_VOTE, late_vote, 3, "election safety");
}

/* Raft 5.4.1: server 1 has the longer log, but of an older term. */
static void longer_log(struct trace *t)
{
	elect(t, 1);
	split(t, "23");
	for (int i = 0; i < 3; i++)
		propose(t, 1, "a");
	elect(t, 2);
	step_down(t, 1);
	split(t, "13");
	elect_quietly(t, 1);
}

TEST(a_longer_log_of_an_older_term_that_wins_is_seen)
{
	found_by_trace(RAFT_BUG_LONGEST_LOG, longer_log, 3,
		       "leader completeness");
}

/* Diss. 6.2: nobody hears server 1, or it nobody. */
static void lonely_leader(struct trace *t)
{
	elect(t, 1);
	split(t, "1");
	for (int i = 0; i < 10; i++)
		heartbeat(t, 1);
	if (status(t, 1).role == RAFT_LEADER)
		broken(&t->w, "check quorum: server 1 leads nobody");
}

TEST(a_leader_who_hears_nobody_and_stays_is_seen)
{
	found_by_trace(RAFT_BUG_NO_CHECK_QUORUM, lonely_leader, 3,
		       "check quorum");
}

/* Server 3 has entries of term 2 where the leader of term 3 has others, and
 * gets an append that has none of them. */
static void diverged(struct trace *t)
{
	elect(t, 3);
	split(t, "12");
	for (int i = 0; i < 3; i++)
		propose(t, 3, "lost");
	step_down(t, 3);
	elect_quietly(t, 1);
	propose(t, 1, "a");
	propose(t, 1, "b");
	lose(t, 0, 0, 0);
	split(t, "");
}

static void append_nothing(struct trace *t, int64_t commit)
{
	struct raft_msg m = {.type = RAFT_APPEND,
			     .from = 1,
			     .to = 3,
			     .term = 3,
			     .index = 2,
			     .log_term = 2,
			     .commit = commit};

	CHECK_INT(step(t, &m), 0);
	sync_disk(t, 3);
}

static void commit_what_differs(struct trace *t)
{
	diverged(t);
	heartbeat(t, 1);
	lose(t, 1, 3, 0);
	settle(t);
	CHECK(status(t, 1).commit > 2);
	append_nothing(t, status(t, 1).commit);
}

TEST(a_commit_past_what_is_equal_is_seen)
{
	found_by_trace(RAFT_BUG_COMMIT_UNMATCHED, commit_what_differs, 3,
		       "state machine safety");
}

static void acknowledge_what_differs(struct trace *t)
{
	diverged(t);
	append_nothing(t, 2);
	arrive(t, 3, 1, RAFT_APPEND_REPLY, false);
	lose(t, 0, 0, 0);
	crash(t, 1);
	split(t, "23");
	elect_quietly(t, 3);
	CHECK_INT(status(t, 3).role, RAFT_LEADER);
}

TEST(an_acknowledgement_of_what_differs_is_seen)
{
	found_by_trace(RAFT_BUG_ACK_LAST, acknowledge_what_differs, 3,
		       "durability");
}

/* Server 1 removes server 4, which is undone; later server 5 comes. */
static void undone_change(struct trace *t)
{
	elect(t, 1);
	change(t, 1, 5, RAFT_LEARNER);
	settle(t);
	split(t, "2345");
	change(t, 1, 4, RAFT_NONE);
	step_down(t, 1);
	elect(t, 3);
	split(t, "");
	heartbeat(t, 3);
	settle(t);
	CHECK_INT(status(t, 1).commit, status(t, 3).commit);
	split(t, "345");
	CHECK_INT(change(t, 3, 5, RAFT_VOTER), 0);
	settle(t);
	heartbeat(t, 3);
	settle(t);
	CHECK_INT(status(t, 3).commit, status(t, 3).last);
	split(t, "12");
	elect_quietly(t, 1);
}

TEST(a_configuration_that_stays_when_its_entry_goes_is_seen)
{
	found_by_trace(RAFT_BUG_CONF_STAYS, undone_change, 4,
		       "leader completeness");
}

/* Server 3 uses a snapshot that its slow disk does not have yet. */
static void early_state(struct trace *t)
{
	elect(t, 1);
	split(t, "12");
	for (int i = 0; i < 5; i++) {
		client(t, 1, false);
		settle(t);
	}
	compact(t, 1);
	split(t, "");
	t->slow[3] = true;
	heartbeat(t, 1);
	settle(t);
	sync_disk(t, 3);
}

TEST(a_state_before_its_snapshot_is_durable_is_seen)
{
	found_by_trace(RAFT_BUG_RESTORE_EARLY, early_state, 3,
		       "takes one that its disk does not have");
}

/* Of three, 1 and 2 have committed an entry, which the disk of 2 loses. */
static void lost_entry(struct trace *t)
{
	elect(t, 1);
	split(t, "12");
	client(t, 1, false);
	settle(t);
	lose(t, 0, 0, 0);
	rot(t, 2, 2);
	crash(t, 1);
	split(t, "");
}

static void lost_entry_and_vote(struct trace *t)
{
	lost_entry(t);
	elect_quietly(t, 3);
}

TEST(a_vote_against_what_its_disk_lost_is_seen)
{
	found_by_trace(RAFT_BUG_LOST_VOTES, lost_entry_and_vote, 3,
		       "leader completeness");
}

static void lost_entry_and_candidate(struct trace *t)
{
	lost_entry(t);
	elect_quietly(t, 2);
}

TEST(a_candidate_whose_disk_lost_entries_is_seen)
{
	found_by_trace(RAFT_BUG_LOST_STANDS, lost_entry_and_candidate, 3,
		       "leader completeness");
}
