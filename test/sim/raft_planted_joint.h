/* raft_planted_joint.h - the traces that show a broken rule of joint
 * consensus: voters 1, 2, 3 are to become 1, 4, 5. */
#ifndef RAFT_PLANTED_JOINT_H
#define RAFT_PLANTED_JOINT_H

#include "raft_trace.h"

/* Server 1 leads, and 4 and 5 have it all; the last entry of the log. */
static int64_t begin(struct trace *t)
{
	elect(t, 1);
	change_many(t, 1, "4l5l");
	settle(t);
	heartbeat(t, 1);
	settle(t);
	client(t, 1, false);
	settle(t);
	return status(t, 1).last;
}

/* C_old,new is on these servers, with as much as follows from that. */
static void begin_on(struct trace *t, const char *ids)
{
	begin(t);
	split(t, ids);
	CHECK_INT(change_many(t, 1, "2-3-4v5v"), 0);
	settle(t);
}

/* C_new, that leaves out 2 and 3, is decided although they know nothing of it:
 * C_old elects one of them. */
static void decided_without_old(struct trace *t)
{
	begin_on(t, "145");
	split(t, "23");
	elect_quietly(t, 2);
	CHECK_INT(status(t, 2).role, RAFT_LEADER);
}

/* Server 1 goes on to C_new when only C_old has C_old,new; and what C_old then
 * commits, 1, 4 and 5 do not have. */
static void decided_without_new(struct trace *t)
{
	begin_on(t, "123");
	crash(t, 1);
	split(t, "2345");
	elect_by_votes(t, 2);
	CHECK_INT(status(t, 2).role, RAFT_LEADER);
	lose(t, 2, 4, 0);
	lose(t, 2, 5, 0);
	split(t, "23");
	heartbeat(t, 2);
	settle(t);
	step_down(t, 2);
	split(t, "145");
	restart(t, 1);
	elect_quietly(t, 1);
}

/* Only 1, 4 and 5 have C_old,new. */
static void two_halves_elect(struct trace *t)
{
	begin_on(t, "145");
	crash(t, 1);
	split(t, "45");
	elect_by_votes(t, 4);
	split(t, "23");
	elect_quietly(t, 2);
	CHECK_INT(status(t, 2).role, RAFT_LEADER);
}

/* C_new is committed by 1, 4 and 5; 2 and 3 are left with C_old,new. */
static void old_half_elects(struct trace *t)
{
	int64_t joint = begin(t) + 1;

	CHECK_INT(change_many(t, 1, "2-3-4v5v"), 0);
	while (status(t, 1).last == joint) {
		arrive(t, 0, 0, 0, false);
		for (int id = 1; id <= 5; id++)
			sync_disk(t, id);
	}
	lose(t, 0, 2, 0);
	lose(t, 0, 3, 0);
	split(t, "145");
	settle(t);
	heartbeat(t, 1);
	settle(t);
	CHECK_INT(status(t, 1).commit, joint + 1);
	CHECK_INT(status(t, 3).last, joint);
	split(t, "23");
	elect_quietly(t, 2);
	CHECK(status(t, 2).role != RAFT_LEADER || t->w.broken[0]);
}

static bool leads(struct trace *t, int id)
{
	return at(t, id) && status(t, id).role == RAFT_LEADER;
}

static void must_be_left(struct trace *t)
{
	for (int i = 0; i < 3; i++)
		for (int id = 1; id <= 5; id++)
			if (leads(t, id)) {
				heartbeat(t, id);
				settle(t);
			}
	for (int id = 1; id <= 5; id++)
		if (leads(t, id) && status(t, id).joint)
			broken(&t->w, "joint consensus: server %d stays in it",
			       id);
}

static void nobody_goes_on(struct trace *t)
{
	begin_on(t, "12345");
	must_be_left(t);
}

/* Server 1 dies when C_old,new is on its way. */
static void nobody_inherits(struct trace *t)
{
	begin(t);
	CHECK_INT(change_many(t, 1, "2-3-4v5v"), 0);
	while (arrive(t, 0, 0, RAFT_APPEND, false))
		;
	for (int id = 2; id <= 5; id++)
		sync_disk(t, id);
	crash(t, 1);
	lose(t, 0, 0, 0);
	elect(t, 4);
	CHECK_INT(status(t, 4).role, RAFT_LEADER);
	must_be_left(t);
}

/* Server 3 was away, and gets a snapshot of C_old,new. Server 2 has that one
 * too; C_new is with 1, 4 and 5. */
static void snapshot_of_joint(struct trace *t)
{
	int64_t joint = begin(t) + 1;

	split(t, "1245");
	CHECK_INT(change_many(t, 1, "2-3-4v5v"), 0);
	while (status(t, 1).last == joint) {
		arrive(t, 0, 0, 0, false);
		for (int id = 1; id <= 5; id++)
			sync_disk(t, id);
	}
	lose(t, 0, 0, 0);
	CHECK_INT(status(t, 1).applied, joint);
	compact(t, 1);
	split(t, "13");
	for (int i = 0; i < 30 && status(t, 3).last < joint; i++) {
		heartbeat(t, 1);
		while (status(t, 3).last < joint && arrive(t, 0, 0, 0, false))
			sync_disk(t, 3);
	}
	CHECK_INT(status(t, 3).snapshot, joint);
	lose(t, 0, 0, 0);
	split(t, "145");
	for (int i = 0; i < 3; i++) {
		heartbeat(t, 1);
		settle(t);
	}
	CHECK_INT(status(t, 1).commit, joint + 1);
	split(t, "23");
	elect_quietly(t, 3);
}

/* Server 1 has C_new on its side, and does not know that C_old follows 2. */
static void stale_read_of_new(struct trace *t)
{
	begin_on(t, "145");
	split(t, "23");
	elect(t, 2);
	client(t, 2, false);
	settle(t);
	split(t, "145");
	CHECK_INT(status(t, 1).role, RAFT_LEADER);
	client(t, 1, true);
	settle(t);
}

static void half_a_leader(struct trace *t)
{
	begin_on(t, "145");
	for (int i = 0; i < 10; i++) {
		heartbeat(t, 1);
		settle(t);
	}
	if (status(t, 1).role == RAFT_LEADER)
		broken(&t->w, "check quorum: server 1 leads half of them");
}

#endif
