/* A server whose number had another life: what it may promise before it has the
 * log; and one without a vote whose leader is gone. */
#include "test.h"

#include <stdlib.h>

#include "raft/raft.h"

static struct raft *server(int64_t joined, int64_t joined_term)
{
	const struct raft_config cfg = {
		.id = 1,
		.seed = 1,
		.joined = joined,
		.joined_term = joined_term,
	};
	struct raft *r = NULL;
	struct err err;

	CHECK_INT(raft_open(&r, &cfg, &err), 0);
	CHECK_INT(raft_start(r, 0, &err), 0);
	return r;
}

/* What it answers to m, or RAFT_PREVOTE_REPLY with reject. */
static struct raft_msg answer(struct raft *r, struct raft_msg m)
{
	struct raft_msg out = {.reject = true};
	struct raft_write w;
	struct err err;

	m.from = 3;
	m.to = 1;
	CHECK_INT(raft_step(r, 1000, &m, &err), 0);
	while (raft_next_write(r, &w))
		raft_written(r, 1000, w.seq);
	CHECK(raft_next_msg(r, &out));
	return out;
}

static bool votes_for(struct raft *r, enum raft_msg_type type, int64_t term,
		      int64_t index, int64_t log_term)
{
	return !answer(r, (struct raft_msg){.type = type,
					    .term = term,
					    .index = index,
					    .log_term = log_term})
			.reject;
}

/* Members 1, 2 and 3 had ten entries; 1 was removed, and let in again with an
 * empty log at the twelfth. 3 was away: it takes 1 for the voter it was. */
TEST(who_joins_again_votes_for_nobody_who_missed_that)
{
	struct raft *r = server(12, 4);

	CHECK(!votes_for(r, RAFT_PREVOTE, 6, 10, 3));
	CHECK(!votes_for(r, RAFT_VOTE, 6, 10, 3));
	CHECK(!votes_for(r, RAFT_VOTE, 6, 11, 4));
	CHECK(votes_for(r, RAFT_PREVOTE, 7, 12, 4));
	CHECK(votes_for(r, RAFT_VOTE, 7, 12, 4));
	raft_close(r);
	r = server(12, 4);
	CHECK(votes_for(r, RAFT_VOTE, 6, 3, 5)); /* a later leader's log */
	raft_close(r);
}

TEST(who_founded_or_is_new_votes_as_its_log_has_it)
{
	struct raft *r = server(0, 0);

	CHECK(votes_for(r, RAFT_VOTE, 6, 0, 0));
	raft_close(r);
}

TEST(who_has_no_vote_forgets_a_leader_that_is_silent)
{
	struct raft *r = server(0, 0);
	struct raft_msg m = {
		.type = RAFT_HEARTBEAT, .from = 3, .to = 1, .term = 2};
	struct raft_status s;
	struct err err;

	CHECK_INT(raft_step(r, 1000, &m, &err), 0);
	raft_status(r, &s);
	CHECK_INT(s.leader, 3);
	CHECK(raft_deadline(r) < 2000);
	raft_tick(r, raft_deadline(r));
	raft_status(r, &s);
	CHECK_INT(s.leader, 0);
	CHECK_INT(s.role, RAFT_FOLLOWER);
	CHECK(raft_deadline(r) == INT64_MAX);
	raft_close(r);
}

TEST(what_no_log_can_have_is_refused)
{
	struct raft_config cfg = {.id = 1, .seed = 1, .joined = -1};
	struct raft *r = NULL;
	struct err err;

	CHECK_INT(raft_open(&r, &cfg, &err), ERR_INVALID_ARGUMENT);
}
