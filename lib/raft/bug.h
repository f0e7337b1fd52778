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

	/* elections */
	RAFT_BUG_VOTE_BEFORE_SYNC, /* a vote leaves before it is durable */
	RAFT_BUG_VOTE_TWICE,       /* for two candidates of one term */
	RAFT_BUG_STALE_VOTE,       /* a vote of an earlier term counts */
	RAFT_BUG_ANY_CANDIDATE,    /* whatever the candidate's log has */
	RAFT_BUG_LONGEST_LOG,      /* up to date by length alone */
	RAFT_BUG_NO_CHECK_QUORUM,  /* a leader whom nobody hears stays */
	RAFT_BUG_NO_PREVOTE,       /* stands in a new term at once */
	RAFT_BUG_NOT_STICKY,       /* votes although it hears from a leader */
	RAFT_BUG_LEARNERS_COUNT,   /* in majorities */

	RAFT_BUG_LOST_VOTES,  /* as if what its disk lost never was */
	RAFT_BUG_LOST_STANDS, /* ... and stands for election so */

	/* replication */
	RAFT_BUG_COMMIT_OLD_TERM,     /* commits older terms by counting */
	RAFT_BUG_COMMIT_UNMATCHED,    /* past what an append made equal */
	RAFT_BUG_COMMIT_BY_HEARTBEAT, /* past what is known to be equal */
	RAFT_BUG_COUNT_SELF_EARLY,    /* a leader, before its disk has it */
	RAFT_BUG_NO_PREVIOUS,         /* appends to any entry */
	RAFT_BUG_TRUNCATE_ON_STALE,   /* an append cuts what follows it */
	RAFT_BUG_ACK_LAST,            /* all there is, not what is equal */
	RAFT_BUG_ACK_BEFORE_SYNC,     /* before it is durable */
	RAFT_BUG_ACK_AT_NEW_TERM,     /* an ack is stamped when it leaves */
	RAFT_BUG_ABA,                 /* a write makes durable what replaced
				       * its entries */
	RAFT_BUG_APPLY_EARLY,         /* what our own disk does not have */

	/* membership */
	RAFT_BUG_CHANGE_BEFORE_COMMIT, /* the single-server bug of 2015 */
	RAFT_BUG_CONF_STAYS,           /* when its entry is cut off */
	RAFT_BUG_MANY_WITHOUT_JOINT,   /* several servers in one step */

	/* joint consensus: by one majority alone, ... */
	RAFT_BUG_JOINT_COMMIT_BY_NEW,
	RAFT_BUG_JOINT_COMMIT_BY_OLD,
	RAFT_BUG_JOINT_ELECT_BY_NEW,
	RAFT_BUG_JOINT_ELECT_BY_OLD,
	RAFT_BUG_JOINT_READ_BY_NEW,
	RAFT_BUG_JOINT_QUORUM_BY_NEW,
	RAFT_BUG_JOINT_LEFT_EARLY,    /* before it is committed */
	RAFT_BUG_JOINT_STAYS,         /* for ever */
	RAFT_BUG_JOINT_NOT_INHERITED, /* by the next leader */

	/* snapshots */
	RAFT_BUG_SNAPSHOT_WITHOUT_CONF,  /* who gets one keeps the old one */
	RAFT_BUG_SNAPSHOT_WITHOUT_JOINT, /* who gets a joint one
					  * does too */
	RAFT_BUG_SNAPSHOT_CONFLICTS,     /* with appends of what it has */
	RAFT_BUG_RESTORE_EARLY,          /* before it is durable */

	/* clients */
	RAFT_BUG_READ_UNCONFIRMED,   /* reads without asking a majority */
	RAFT_BUG_READ_BEFORE_COMMIT, /* of an entry of its own term */
	RAFT_BUG_SESSION_REPLAY,     /* a retry applies again */
	RAFT_BUGS
};

#endif
