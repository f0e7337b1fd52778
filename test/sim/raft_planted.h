/* raft_planted.h - the traces that show a broken rule at once. Each keeps every
 * promise if the rule is kept. */
#ifndef RAFT_PLANTED_H
#define RAFT_PLANTED_H

#include "raft_trace.h"

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

/* Servers 1 and 2 stand in the same term; server 3 hears of both. */
static void two_candidates(struct trace *t)
{
	t->w.cut[1][2] = t->w.cut[2][1] = true;
	time_out(t, 1);
	time_out(t, 2);
	ballots(t);
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

static void must_lead(struct trace *t, int64_t term)
{
	if (status(t, 1).role != RAFT_LEADER || status(t, 1).term != term)
		broken(&t->w, "pre-vote: server 1 is deposed");
}

/* Diss. 9.6: server 3 was cut off, and stood many times. */
static void back_from_a_partition(struct trace *t)
{
	elect(t, 1);
	split(t, "12");
	for (int i = 0; i < 40; i++) {
		heartbeat(t, 1);
		tick(t, 3);
		settle(t);
	}
	split(t, "");
	tick(t, 3);
	for (int i = 0; i < 3; i++) {
		heartbeat(t, 1);
		settle(t);
	}
	must_lead(t, 2);
}

/* Diss. 4.2.3: server 3 does not hear server 1, but is heard by 2. */
static void half_deaf(struct trace *t)
{
	elect(t, 1);
	t->w.cut[1][3] = t->w.cut[3][1] = true;
	for (int i = 0; i < 40; i++) {
		heartbeat(t, 1);
		settle(t);
		tick(t, 3);
		settle(t);
	}
	must_lead(t, 2);
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

#endif
