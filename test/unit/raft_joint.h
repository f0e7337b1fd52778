/* raft_joint.h - a cluster that is about to replace two of its voters. */
#ifndef RAFT_JOINT_H
#define RAFT_JOINT_H

#include "test.h"

#include "../sim/raft_trace.h"

static struct trace t;

static inline void beat(int leader)
{
	heartbeat(&t, leader);
	settle(&t);
}

static inline int role_of(int at_id, int id)
{
	return (int)raft_conf_role(raft_conf(at(&t, at_id)), id);
}

/* Server 1 leads the voters 1, 2, 3; 4 and 5 are learners that have it all. */
static inline void ready(void)
{
	trace_init(&t, 3);
	elect(&t, 1);
	CHECK(!change_many(&t, 1, "4l5l"));
	settle(&t);
	beat(1);
	CHECK_INT(status(&t, 1).commit, 3);
}

/* Voters 1, 2, 3 are to become 1, 4, 5: entry 4 is C_old,new, and so far only
 * server 1 has it. */
static inline void replace_two(void)
{
	ready();
	split(&t, "1");
	CHECK(!change_many(&t, 1, "2-3-4v5v"));
	lose(&t, 0, 0, 0);
	CHECK(status(&t, 1).joint);
	CHECK_INT(status(&t, 1).last, 4);
	raft_unreachable(at(&t, 1), now_ms(&t), 2);
	for (int id = 2; id <= 5; id++)
		raft_unreachable(at(&t, 1), now_ms(&t), id);
}

/* Entry 4 is on these servers, and with it whatever follows from that. */
static inline void reach(const char *ids)
{
	split(&t, ids);
	beat(1);
	beat(1);
}

/* Entry 4 is on these servers, but server 1 does not know. */
static inline void spread(const char *ids)
{
	split(&t, ids);
	heartbeat(&t, 1);
	while (arrive(&t, 0, 0, RAFT_HEARTBEAT, false) ||
	       arrive(&t, 0, 0, RAFT_HEARTBEAT_REPLY, false) ||
	       arrive(&t, 0, 0, RAFT_APPEND, false))
		;
	for (int id = 1; id <= 5; id++)
		sync_disk(&t, id);
	lose(&t, 0, 0, 0);
}

#endif
