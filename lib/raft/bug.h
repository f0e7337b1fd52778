/* bug.h - the rules that test/sim/raft_planted_sim.c breaks one by one, to
 * prove that the checkers would see it. In a product RAFT_BUG() is 0; only that
 * test, which compiles the core a second time, defines it otherwise. */
#ifndef RAFT_BUG_H
#define RAFT_BUG_H

#ifndef RAFT_BUG
#define RAFT_BUG(which) 0
#endif

enum raft_bug {
	RAFT_BUG_NONE,
	RAFT_BUG_COMMIT_OLD_TERM,       /* commits older terms by counting */
	RAFT_BUG_VOTE_BEFORE_SYNC,      /* a vote leaves before it is durable */
	RAFT_BUG_ACK_BEFORE_SYNC,       /* so does an acknowledgement */
	RAFT_BUG_CHANGE_BEFORE_COMMIT,  /* the single-server bug of 2015 */
	RAFT_BUG_TRUNCATE_ON_STALE,     /* an append cuts what follows it */
	RAFT_BUG_SESSION_REPLAY,        /* a retry applies again */
	RAFT_BUG_ACK_AT_NEW_TERM,       /* an ack is stamped when it leaves */
	RAFT_BUG_READ_UNCONFIRMED,      /* reads without asking a majority */
	RAFT_BUG_SNAPSHOT_WITHOUT_CONF, /* who gets one keeps the old one */
	RAFT_BUG_ABA,                   /* a write makes durable what replaced
					 * its entries */
};

#endif
