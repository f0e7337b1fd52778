#define TEST_SECONDS 20
#include "raft_cluster.h"

#include <poll.h>

#include "proto/raft.pb-c.h"
#include "wire/duplex.h"

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

/* All of the machine stood still: nobody was silent. */
TEST(drivers_that_slept_keep_their_leader)
{
	struct cluster c;
	int64_t term;

	start_three(&c);
	term = propose(&c, 0, 0, "a").result.term;
	for (int i = 0; i < 3; i++) {
		poll(NULL, 0, 700);
		CHECK_INT(propose(&c, 0, 0, "b").result.term, term);
	}
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

static int64_t stored(struct cluster *c)
{
	int64_t last;

	CHECK(!db_number(c->m[1].reader, "SELECT max(idx) FROM log", 0, &last,
			 NULL));
	return last;
}

TEST(driver_stores_and_sends_also_within_a_long_turn)
{
	struct driver_proposal p = text_of("a");
	struct cluster c;
	int64_t before;
	struct err err;

	start_one(&c);
	propose(&c, 0, 0, "a");
	before = stored(&c);
	while (stored(&c) == before) /* the loop does not turn meanwhile */
		must(driver_propose(c.m[1].driver, &p, NULL, NULL, &err), &err);
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

static void on_welcome(const ProtobufCMessage *out, void *arg)
{
	(void)out, (void)arg;
	test_fail(__FILE__, __LINE__, "a stranger is welcome");
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
	struct duplex *d;

	start_one(&c);
	a = next_answer(&c);
	req.cluster_id = "fedcba9876543210fedcba9876543210";
	req.from = 9;
	d = duplex_open(c.loop, server_url(c.m[1].server),
			&rpc_methods[RPC_RAFT_STEP], &opts, on_welcome,
			on_refusal, a);
	CHECK(duplex_send(d, &req.base));
	run_answers(&c);
	CHECK_INT(a->err.code, ERR_FAILED_PRECONDITION);
	CHECK_HAS(a->err.msg, CLUSTER_ID);
	CHECK_HAS(a->err.msg, req.cluster_id);
	cluster_close(&c);
}

static bool left(struct cluster *c)
{
	const struct raft *r = driver_raft(c->m[1].driver);
	struct raft_status s;

	raft_status(r, &s);
	return !s.joint && s.commit == s.last && all_equal(c);
}

/* By way of a joint configuration, whose end is an entry without data. */
TEST(two_members_become_voters_at_once)
{
	const struct raft_member to[] = {{.id = 2, .role = RAFT_VOTER},
					 {.id = 3, .role = RAFT_VOTER}};
	struct driver_proposal p = text_of("both");
	struct cluster c;
	struct answer *a;
	struct err err;

	start_one(&c);
	for (int64_t id = 2; id <= MEMBERS; id++) {
		must(member_start(&c, id, &err), &err);
		CHECK_INT(change(&c, id, RAFT_LEARNER).err.code, 0);
	}
	catch_up(&c);
	a = next_answer(&c);
	must(driver_change_many(c.m[1].driver, to, 2, &p, on_answer, a, &err),
	     &err);
	run_answers(&c);
	CHECK_INT(a->err.code, 0);
	cluster_run(&c, left);
	for (int i = 1; i <= MEMBERS; i++) {
		const struct raft_conf *conf =
			raft_conf(driver_raft(c.m[i].driver));

		CHECK_INT(conf->n, 3);
		for (int m = 1; m <= MEMBERS; m++)
			CHECK_INT(raft_conf_role(conf, m), RAFT_VOTER);
	}
	CHECK_INT(driver_change_many(c.m[1].driver, to, 0, &p, on_answer, a,
				     &err),
		  ERR_INVALID_ARGUMENT);
	cluster_close(&c);
}
