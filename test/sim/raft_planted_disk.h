/* raft_planted_disk.h - the traces that show a broken rule of what a disk
 * lost. */
#ifndef RAFT_PLANTED_DISK_H
#define RAFT_PLANTED_DISK_H

#include "raft_trace.h"

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

static void lost_entry_and_candidate(struct trace *t)
{
	lost_entry(t);
	elect_quietly(t, 2);
}

#endif
