#define TEST_SECONDS 20
#include "raft_cluster.h"

#include "proto/raft.pb-c.h"

static struct answer answers[8];

static bool all_answered(struct cluster *c)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (answers[i].c == c && !answers[i].done)
			return false;
	return true;
}

static void run_answers(struct cluster *c)
{
	cluster_run(c, all_answered);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		answers[i].c = NULL;
}

static struct answer *next_answer(struct cluster *c)
{
	struct answer *a = answers;

	while (a->c)
		a++;
	*a = (struct answer){.c = c};
	return a;
}

/* Propose on the leader and wait for the answer. */
static struct answer propose(struct cluster *c, int64_t client, int64_t seq,
			     const char *text)
{
	struct driver_proposal p = text_of(text);
	struct answer *a = next_answer(c);
	struct err err;

	p.client = client;
	p.seq = seq;
	cluster_run(c, has_leader);
	must(driver_propose(cluster_leader(c)->driver, &p, on_answer, a, &err),
	     &err);
	run_answers(c);
	return *a;
}

static struct answer change(struct cluster *c, int64_t id,
			    enum raft_member_role role)
{
	struct driver_proposal p = text_of("");
	struct answer *a = next_answer(c);
	struct err err;

	cluster_run(c, has_leader);
	must(driver_change(cluster_leader(c)->driver, id, role, &p, on_answer,
			   a, &err),
	     &err);
	run_answers(c);
	return *a;
}

static void found(struct cluster *c)
{
	struct err err;

	must(member_start(c, 1, &err), &err);
	must(driver_bootstrap(c->m[1].driver, "first", 5, &err), &err);
	cluster_run(c, has_leader);
}

static void start_one(struct cluster *c)
{
	cluster_open(c);
	found(c);
}

/* Whether all members that are up have applied as much as the leader. */
static bool all_equal(struct cluster *c)
{
	struct member *l = cluster_leader(c);

	for (int i = 1; l && i <= MEMBERS; i++)
		if (c->m[i].driver && c->m[i].entries != l->entries)
			return false;
	return l != NULL;
}

static bool caught_up(struct cluster *c, int64_t id)
{
	struct member *l = cluster_leader(c);
	struct raft_peer p;
	struct raft_status s;

	if (!l || raft_peer(driver_raft(l->driver), id, &p, NULL))
		return false;
	raft_status(driver_raft(l->driver), &s);
	return p.match == s.last;
}

static bool all_caught_up(struct cluster *c)
{
	return caught_up(c, 2) && caught_up(c, 3);
}

static void grow_to_three(struct cluster *c)
{
	struct err err;

	for (int64_t id = 2; id <= MEMBERS; id++) {
		must(member_start(c, id, &err), &err);
		CHECK_INT(change(c, id, RAFT_LEARNER).err.code, 0);
	}
	/* What a learner has is known with its answer to an entry. */
	while (!all_caught_up(c))
		propose(c, 0, 0, "");
	for (int64_t id = 2; id <= MEMBERS; id++)
		CHECK_INT(change(c, id, RAFT_VOTER).err.code, 0);
	cluster_run(c, all_equal);
}

static void start_three(struct cluster *c)
{
	start_one(c);
	grow_to_three(c);
}

TEST(driver_alone_commits_and_has_it_after_a_restart)
{
	struct cluster c;
	struct answer a;
	struct err err;

	start_one(&c);
	a = propose(&c, 0, 0, "a");
	CHECK_INT(a.err.code, 0);
	CHECK(a.result.index > 1 && a.result.term >= 1 && a.result.id == 1);
	CHECK_INT(propose(&c, 0, 0, "b").result.index, a.result.index + 1);
	member_stop(&c.m[1]);
	must(member_start(&c, 1, &err), &err);
	cluster_run(&c, has_leader);
	CHECK_STR(c.m[1].applied.p, "ab");
	CHECK(driver_bootstrap(c.m[1].driver, "", 0, &err) ==
	      ERR_FAILED_PRECONDITION);
	cluster_close(&c);
}

TEST(driver_applies_a_repeated_proposal_once_even_after_a_restart)
{
	struct cluster c;
	struct answer a, again;
	struct err err;

	start_one(&c);
	a = propose(&c, 7, 1, "a");
	again = propose(&c, 7, 1, "a");
	CHECK_INT(again.result.index, a.result.index);
	CHECK_INT(again.result.id, 1);
	member_stop(&c.m[1]);
	must(member_start(&c, 1, &err), &err);
	again = propose(&c, 7, 1, "a");
	CHECK_INT(again.result.index, a.result.index);
	CHECK_INT(propose(&c, 7, 2, "b").err.code, 0);
	CHECK_INT(propose(&c, 7, 1, "a").err.code, ERR_ABORTED);
	CHECK_INT(propose(&c, 8, 5, "c").err.code, ERR_FAILED_PRECONDITION);
	CHECK_STR(c.m[1].applied.p, "ab");
	cluster_close(&c);
}

TEST(driver_applies_two_at_once_of_one_session_once)
{
	struct driver_proposal p = text_of("a");
	struct answer *a, *b;
	struct cluster c;
	struct err err;

	start_one(&c);
	p.client = 7;
	p.seq = 1;
	a = next_answer(&c);
	must(driver_propose(c.m[1].driver, &p, on_answer, a, &err), &err);
	b = next_answer(&c);
	must(driver_propose(c.m[1].driver, &p, on_answer, b, &err), &err);
	run_answers(&c);
	CHECK_INT(a->err.code, 0);
	CHECK_INT(b->err.code, 0);
	CHECK_INT(a->result.index, b->result.index);
	CHECK_STR(c.m[1].applied.p, "a");
	CHECK_INT(c.m[1].skipped, 1);
	cluster_close(&c);
}

TEST(driver_tells_what_apply_refused)
{
	struct cluster c;
	struct answer a;

	start_one(&c);
	a = propose(&c, 3, 1, "!");
	CHECK_INT(a.err.code, 0);
	CHECK_INT(a.result.refused.code, ERR_INVALID_ARGUMENT);
	a = propose(&c, 3, 1, "!");
	CHECK_INT(a.result.refused.code, ERR_INVALID_ARGUMENT);
	CHECK_STR(a.result.refused.msg, "no");
	cluster_close(&c);
}

static void on_read(const struct err *err, void *arg)
{
	struct answer *a = arg;

	a->done = true;
	a->err.code = err ? err->code : ERR_OK;
	cluster_check(a->c);
}

TEST(driver_reads_after_what_was_acknowledged)
{
	struct cluster c;
	struct answer *a;
	struct err err;

	start_three(&c);
	propose(&c, 0, 0, "a");
	a = next_answer(&c);
	must(driver_read(cluster_leader(&c)->driver, on_read, a, &err), &err);
	run_answers(&c);
	CHECK_INT(a->err.code, 0);
	cluster_close(&c);
}

TEST(driver_of_three_replicates)
{
	struct cluster c;

	start_three(&c);
	for (int i = 0; i < 10; i++)
		CHECK_INT(propose(&c, 0, 0, "x").err.code, 0);
	cluster_run(&c, all_equal);
	for (int i = 1; i <= MEMBERS; i++)
		CHECK_STR(c.m[i].applied.p, "xxxxxxxxxx");
	cluster_close(&c);
}

TEST(driver_replicates_entries_of_almost_a_megabyte)
{
	static char large[(1 << 20) + 1];
	struct driver_proposal p = {.data = large, .len = 1000000};
	struct cluster c;
	struct err err;

	cluster_open(&c);
	c.patient = true;
	found(&c);
	grow_to_three(&c);
	c.quiet = true;
	for (int i = 0; i < 8; i++)
		must(driver_propose(cluster_leader(&c)->driver, &p, on_answer,
				    next_answer(&c), &err),
		     &err);
	run_answers(&c);
	for (int i = 0; i < 8; i++)
		CHECK_INT(answers[i].err.code, 0);
	cluster_run(&c, all_equal);
	p.len = (1 << 20) + 1;
	CHECK(driver_propose(cluster_leader(&c)->driver, &p, on_answer, NULL,
			     &err) == ERR_INVALID_ARGUMENT);
	cluster_close(&c);
}

TEST(driver_that_does_not_lead_says_who_does)
{
	struct driver_proposal p = text_of("a");
	struct cluster c;
	struct err err;

	start_three(&c);
	CHECK(driver_propose(c.m[2].driver, &p, on_answer, NULL, &err) ==
	      ERR_FAILED_PRECONDITION);
	CHECK_HAS(err.msg, "node 1 is");
	CHECK(driver_read(c.m[2].driver, on_read, NULL, &err) ==
	      ERR_FAILED_PRECONDITION);
	cluster_close(&c);
}

TEST(driver_elects_another_and_takes_the_old_one_back)
{
	struct cluster c;
	struct err err;

	start_three(&c);
	propose(&c, 0, 0, "a");
	member_stop(&c.m[1]);
	CHECK_INT(propose(&c, 0, 0, "b").err.code, 0);
	must(member_start(&c, 1, &err), &err);
	CHECK_INT(propose(&c, 0, 0, "c").err.code, 0);
	cluster_run(&c, all_equal);
	for (int i = 1; i <= MEMBERS; i++)
		CHECK_STR(c.m[i].applied.p, "abc");
	cluster_close(&c);
}

static bool second_leads(struct cluster *c)
{
	return driver_leads(c->m[2].driver);
}

TEST(driver_hands_leadership_over)
{
	struct cluster c;
	struct err err;

	start_three(&c);
	must(driver_transfer(c.m[1].driver, 2, &err), &err);
	cluster_run(&c, second_leads);
	CHECK_INT(propose(&c, 0, 0, "a").err.code, 0);
	cluster_close(&c);
}

static bool first_lost(struct cluster *c)
{
	return !c->m[1].leads && all_answered(c);
}

TEST(driver_without_a_majority_says_that_the_outcome_is_unknown)
{
	struct driver_proposal p = text_of("a");
	struct answer *with, *without;
	struct cluster c;
	struct err err;

	start_three(&c);
	member_stop(&c.m[2]);
	member_stop(&c.m[3]);
	without = next_answer(&c);
	must(driver_propose(c.m[1].driver, &p, on_answer, without, &err), &err);
	p.client = p.seq = 1;
	with = next_answer(&c);
	must(driver_propose(c.m[1].driver, &p, on_answer, with, &err), &err);
	cluster_run(&c, first_lost);
	CHECK_INT(without->err.code, ERR_ABORTED);
	CHECK_INT(with->err.code, ERR_UNAVAILABLE);
	cluster_close(&c);
}

static bool first_failed(struct cluster *c)
{
	return c->m[1].failed.code != 0;
}

static int break_it(struct db *db, void *arg, struct err *err)
{
	(void)arg;
	return db_exec(db, "DROP TABLE log", err);
}

TEST(driver_whose_disk_fails_is_silent_from_then_on)
{
	struct driver_proposal p = text_of("a");
	struct cluster c;
	struct err err;

	start_one(&c);
	must(writer_post(c.m[1].writer, break_it, NULL, NULL, &err), &err);
	must(driver_propose(c.m[1].driver, &p, on_answer, next_answer(&c),
			    &err),
	     &err);
	cluster_run(&c, first_failed);
	CHECK_HAS(c.m[1].failed.msg, "no such table");
	CHECK(driver_propose(c.m[1].driver, &p, on_answer, NULL, &err) ==
	      ERR_UNAVAILABLE);
	run_answers(&c);
	CHECK_INT(answers[0].err.code, ERR_ABORTED);
	cluster_close(&c);
}

TEST(driver_of_a_damaged_log_does_not_start)
{
	struct cluster c;
	struct err err;
	struct db *d;

	start_one(&c);
	propose(&c, 0, 0, "abc");
	member_stop(&c.m[1]);
	must(db_open(&d, "1.db", DB_NODE, &err), &err);
	must(db_exec(d,
		     "UPDATE log SET data = x'616264' WHERE data = x'616263'",
		     &err),
	     &err);
	db_close(d);
	CHECK(member_start(&c, 1, &err) == ERR_DATA_LOSS);
	CHECK_HAS(err.msg, "1.db is damaged: log entry ");
	cluster_close(&c);
}

static void on_refusal(const struct err *err, const ProtobufCMessage *out,
		       void *arg)
{
	struct answer *a = arg;

	(void)out;
	a->done = true;
	if (err)
		a->err = *err;
	cluster_check(a->c);
}

TEST(driver_refuses_a_member_of_another_cluster_by_both_ids)
{
	Gfl__V1__RaftStepRequest req = GFL__V1__RAFT_STEP_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = 5000};
	struct cluster c;
	struct answer *a;

	start_one(&c);
	a = next_answer(&c);
	req.cluster_id = "fedcba9876543210fedcba9876543210";
	req.from = 9;
	client_call(c.m[1].client, server_url(c.m[1].server), RPC_RAFT_STEP,
		    &req.base, &opts, on_refusal, a);
	run_answers(&c);
	CHECK_INT(a->err.code, ERR_FAILED_PRECONDITION);
	CHECK_HAS(a->err.msg, CLUSTER_ID);
	CHECK_HAS(a->err.msg, req.cluster_id);
	cluster_close(&c);
}
