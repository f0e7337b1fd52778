/* raft_planted_sim - the checkers see a broken rule: the core is compiled a
 * second time here, with rules that a variable can break (raft/bug.h). Each is
 * caught by a trace that shows it at once, or by random runs within so many
 * seeds, or both; by what it breaks, and not while it is kept. */
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

#include "raft_planted.h"
#include "raft_planted_disk.h"
#include "raft_planted_joint.h"

typedef void trace_fn(struct trace *t);

/* What sees the bug, and what it says. */
struct row {
	int bug;
	const char *name;
	trace_fn *trace; /* NULL: none */
	int voters;
	const char *traced;
	uint64_t seeds; /* 0: random runs do not see it soon enough */
	const char *run;
};

#define BUG(name) RAFT_BUG_##name, #name

static const struct row rows[] = {
	{BUG(VOTE_BEFORE_SYNC), forgotten_vote, 3, "election safety", 300,
	 "before its disk has it"},
	{BUG(VOTE_TWICE), two_candidates, 3, "election safety", 300, "votes"},
	{BUG(STALE_VOTE), late_vote, 3, "election safety", 300, "votes"},
	{BUG(ANY_CANDIDATE), longer_log, 3, "leader completeness", 300, ""},
	{BUG(LONGEST_LOG), longer_log, 3, "leader completeness", 1000, ""},
	{BUG(NO_CHECK_QUORUM), lonely_leader, 3, "check quorum", 300,
	 "check quorum"},
	{BUG(NO_PREVOTE), back_from_a_partition, 3, "pre-vote", 0, ""},
	{BUG(NOT_STICKY), half_deaf, 3, "pre-vote", 0, ""},
	{BUG(LEARNERS_COUNT), NULL, 0, "", 300, ""},
	{BUG(LOST_VOTES), lost_entry_and_vote, 3, "leader completeness", 1000,
	 ""},
	{BUG(LOST_STANDS), lost_entry_and_candidate, 3, "leader completeness",
	 1000, ""},

	{BUG(COMMIT_OLD_TERM), figure_8, 5, "leader completeness", 300, ""},
	{BUG(COMMIT_UNMATCHED), commit_what_differs, 3, "state machine safety",
	 300, ""},
	{BUG(COMMIT_BY_HEARTBEAT), NULL, 0, "", 300, ""},
	{BUG(COUNT_SELF_EARLY), NULL, 0, "", 300, ""},
	{BUG(NO_PREVIOUS), NULL, 0, "", 300, ""},
	{BUG(TRUNCATE_ON_STALE), NULL, 0, "", 300, ""},
	{BUG(ACK_LAST), acknowledge_what_differs, 3, "durability", 300,
	 "acknowledgements"},
	{BUG(ACK_BEFORE_SYNC), forgotten_entry, 3, "durability", 300,
	 "acknowledgements"},
	{BUG(ACK_AT_NEW_TERM), late_ack, 5, "durability", 300,
	 "before its disk has it"},
	{BUG(ABA), NULL, 0, "", 1000, ""},
	{BUG(APPLY_EARLY), NULL, 0, "", 300, "that its disk does not have"},

	{BUG(CHANGE_BEFORE_COMMIT), bug_of_2015, 4, "leader completeness", 300,
	 "configuration"},
	{BUG(CONF_STAYS), undone_change, 4, "leader completeness", 1000,
	 "configuration"},
	{BUG(MANY_WITHOUT_JOINT), decided_without_old, 3, "configuration", 300,
	 "configuration"},
	{BUG(JOINT_COMMIT_BY_NEW), decided_without_old, 3,
	 "leader completeness", 0, ""},
	{BUG(JOINT_COMMIT_BY_OLD), decided_without_new, 3, "durability", 0, ""},
	{BUG(JOINT_ELECT_BY_NEW), two_halves_elect, 3, "election safety", 0,
	 ""},
	{BUG(JOINT_ELECT_BY_OLD), old_half_elects, 3, "leader completeness", 0,
	 ""},
	{BUG(JOINT_LEFT_EARLY), decided_without_old, 3, "leader completeness",
	 0, ""},
	{BUG(JOINT_STAYS), nobody_goes_on, 3, "joint consensus", 0, ""},
	{BUG(JOINT_NOT_INHERITED), nobody_inherits, 3, "joint consensus", 0,
	 ""},
	{BUG(JOINT_READ_BY_NEW), stale_read_of_new, 3, "linearizability", 0,
	 ""},
	{BUG(JOINT_QUORUM_BY_NEW), half_a_leader, 3, "check quorum", 0, ""},

	{BUG(SNAPSHOT_WITHOUT_CONF), stale_configuration, 3, "election safety",
	 300, "configuration"},
	{BUG(SNAPSHOT_WITHOUT_JOINT), snapshot_of_joint, 3,
	 "leader completeness", 0, ""},
	{BUG(SNAPSHOT_CONFLICTS), NULL, 0, "", 300, ""},
	{BUG(RESTORE_EARLY), early_state, 3,
	 "takes one that its disk does not have", 300,
	 "that its disk does not have"},

	{BUG(READ_UNCONFIRMED), stale_read, 3, "linearizability", 300,
	 "linearizability"},
	{BUG(READ_BEFORE_COMMIT), NULL, 0, "", 300, "linearizability"},
	{BUG(SESSION_REPLAY), NULL, 0, "", 300, "sessions: proposal"},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

typedef char verdict[sizeof(((struct world *)0)->broken)];

static void run_trace(int bug, const struct row *row, verdict why)
{
	static struct trace t;

	planted = bug;
	trace_init(&t, row->voters);
	t.w.lenient = true; /* the harm, not the breach */
	row->trace(&t);
	memcpy(why, t.w.broken, sizeof(verdict));
	world_release(&t.w);
}

static void run_seed(int bug, uint64_t seed, bool lenient, verdict why)
{
	struct world w;

	planted = bug;
	world_run(&w, seed, lenient);
	memcpy(why, w.broken, sizeof(verdict));
	world_release(&w);
}

/* The first seed that shows the bug, or 0. */
static uint64_t first_seed(int bug, uint64_t last, bool lenient, verdict why)
{
	why[0] = 0;
	for (uint64_t seed = 1; seed <= last; seed++) {
		run_seed(bug, seed, lenient, why);
		if (why[0])
			return seed;
	}
	return 0;
}

/* Whether the bug was seen, by the promise that it breaks, and nothing where
 * the rule was kept. */
static bool seen(const struct row *row, const char *how, const char *why,
		 const char *promise, const char *kept)
{
	printf("# %s, %s: %s\n", row->name, how, why[0] ? why : "not seen");
	if (kept[0])
		printf("# but without it, too: %s\n", kept);
	fflush(stdout);
	return why[0] && strstr(why, promise) && !kept[0];
}

static int count_rows(int bug)
{
	int n = 0;

	for (int i = 0; i < ROWS; i++)
		n += rows[i].bug == bug && (rows[i].trace || rows[i].seeds);
	return n;
}

TEST(each_rule_that_can_be_broken_has_what_sees_it)
{
	for (int bug = RAFT_BUG_NONE + 1; bug < RAFT_BUGS; bug++)
		if (count_rows(bug) != 1)
			test_fail(__FILE__, __LINE__, "bug %d has %d rows", bug,
				  count_rows(bug));
}

TEST(traces_see_broken_rules_at_once)
{
	int missed = 0;

	for (int i = 0; i < ROWS; i++) {
		verdict why, kept;

		if (!rows[i].trace)
			continue;
		run_trace(RAFT_BUG_NONE, &rows[i], kept);
		run_trace(rows[i].bug, &rows[i], why);
		missed += !seen(&rows[i], "trace", why, rows[i].traced, kept);
	}
	CHECK_INT(missed, 0);
}

TEST(random_runs_see_broken_rules)
{
	int missed = 0;

	for (int i = 0; i < ROWS; i++) {
		verdict why, kept;
		char how[32];
		uint64_t seed;

		if (!rows[i].seeds)
			continue;
		seed = first_seed(rows[i].bug, rows[i].seeds, false, why);
		run_seed(RAFT_BUG_NONE, seed, false, kept);
		snprintf(how, sizeof(how), "seed %" PRIu64, seed);
		missed += !seen(&rows[i], how, why, rows[i].run, kept);
	}
	CHECK_INT(missed, 0);
}

/* GFL_MUTANTS=N: which of the first N random runs sees each broken rule, or
 * that of the name GFL_RULE, by the rules of raft_rules.h, and by what comes of
 * it alone (0: none). */
TEST(how_soon_random_runs_see_each_broken_rule)
{
	const char *text = getenv("GFL_MUTANTS"), *only = getenv("GFL_RULE");
	uint64_t last = text ? strtoull(text, NULL, 10) : 0;
	int tried = 0, found = 0, harm = 0;

	for (int i = 0; last && i < ROWS; i++) {
		verdict why[2];
		uint64_t seed[2];

		if (only && strcmp(only, rows[i].name) != 0)
			continue;
		for (int lenient = 0; lenient < 2; lenient++)
			seed[lenient] = first_seed(rows[i].bug, last, lenient,
						   why[lenient]);
		printf("# %s: seed %" PRIu64 " (%s), seed %" PRIu64 " (%s)\n",
		       rows[i].name, seed[0], why[0], seed[1], why[1]);
		fflush(stdout);
		tried++;
		found += seed[0] > 0;
		harm += seed[1] > 0;
	}
	if (last)
		printf("# of %d, %d are seen, and the harm of %d\n", tried,
		       found, harm);
}
