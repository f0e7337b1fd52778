/* raft.h - the consensus core: Raft as a machine without I/O, clock, threads
 * or globals, so that a simulator can run hours of a cluster in seconds.
 *
 * "The paper" is Ongaro and Ousterhout, "In Search of an Understandable
 * Consensus Algorithm" (2014), cited as "Raft 5.4.2"; "the dissertation" is
 * Ongaro, "Consensus: Bridging Theory and Practice", cited as "Diss. 4.2.2".
 *
 * A host feeds inputs (raft_step, raft_tick, raft_propose, raft_change,
 * raft_transfer, raft_read, raft_written, ...) and after each one, or after
 * several, drains every output in this order until it is empty:
 *
 *   raft_next_write  start to store it; later say raft_written(); a host whose
 *                    writer is busy may leave this for later, so that one
 *                    write has all that came in between
 *   raft_next_msg    send it; may be lost, repeated, reordered
 *   raft_next_restore  put this snapshot in the place of the state
 *   raft_next_apply  apply it, in order; each entry is given once
 *   raft_next_read   answer the reader
 *
 * and then sleeps until raft_deadline() or the next event. What must not be
 * seen before it is durable (votes, acknowledgements of entries) is held
 * inside until raft_written() says so; what a leader sends to followers leaves
 * at once, in parallel with its own write (Diss. 10.2.1). So a host never
 * delays a message itself.
 *
 * Times are milliseconds of any monotonic clock, given with every input; a
 * time before an earlier one counts as that one. Indexes start at 1, terms at
 * 1; ids are > 0; 0 is "none". All bytes that go in are copied. All pointers
 * that come out are borrowed until the next input. Not for two threads. */
#ifndef RAFT_RAFT_H
#define RAFT_RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct raft; /* one server */

/* ---- configuration: who is a member, in what role ---- */

enum raft_member_role {
	RAFT_NONE = 0,    /* not a member; as a change: remove */
	RAFT_VOTER = 1,   /* counts in elections and commits */
	RAFT_STANDBY = 2, /* has the log, to be promoted when a voter goes */
	RAFT_LEARNER = 3, /* has the log, no vote (Diss. 4.2.1) */
};

struct raft_member {
	int64_t id;
	enum raft_member_role role; /* when joint: in C_new */
	bool old;                   /* joint only: it votes in C_old */
};

enum { RAFT_MEMBERS_MAX = 4096 };

/* Members by ascending id, each once, none of role RAFT_NONE; unless it is
 * joint, C_old,new of Raft 6: some members are old then, and those of them that
 * are to be removed have role RAFT_NONE. A majority is one of the old and one
 * of the voters then, for elections, commits and all else. */
struct raft_conf {
	struct raft_member *member;
	int n;
};

/* The bytes that stand for conf in an entry: *out is freed by the caller, its
 * length is returned. One version byte (1; joint: 2), then per member one byte
 * of role (joint: with bit 7 if it is old) and the id as 8 bytes, low byte
 * first. */
size_t raft_conf_encode(const struct raft_conf *conf, void **out);

/* The configuration that the bytes stand for; conf was empty and is released
 * by the caller. INVALID_ARGUMENT if they are damaged or of another version. */
int raft_conf_decode(struct raft_conf *conf, const void *p, size_t len,
		     struct err *err) MUST_CHECK;

/* What the member is now: who votes in either half of a joint configuration is
 * a voter. */
enum raft_member_role raft_conf_role(const struct raft_conf *conf, int64_t id);
bool raft_conf_joint(const struct raft_conf *conf);
void raft_conf_release(struct raft_conf *conf);

/* ---- entries ---- */

enum raft_entry_type {
	RAFT_NORMAL = 1, /* the host's: data is opaque to the core */
	RAFT_NOOP = 2,   /* a new leader's first (Raft 8); no data */
	RAFT_CONFIG = 3, /* conf is the whole configuration from here on, data
			  * is the host's own account of the change */
};

/* One entry of the log. client and seq are the session of whoever proposed it
 * (session.h), 0 and 0 without. conf is empty but in RAFT_CONFIG. */
struct raft_entry {
	int64_t index, term;
	enum raft_entry_type type;
	int64_t client, seq;
	const void *conf;
	size_t conf_len;
	const void *data;
	size_t len;
};

/* Whether its configuration is a joint one. */
bool raft_entry_joint(const struct raft_entry *e);

/* ---- life ---- */

/* All zero but id and seed is a good configuration: a field that is 0 has the
 * value in brackets. Sizes are bytes of data and conf together, for
 * max_uncommitted and max_append some 80 bytes more per entry. */
struct raft_config {
	int64_t id;
	uint64_t seed;           /* of election timeouts; differs by server */
	int64_t election_min_ms; /* [150] */
	int64_t election_max_ms; /* [300] */
	int64_t heartbeat_ms;    /* [50] less than half of election_min_ms */
	size_t max_entry;        /* [1 MiB] the largest entry */
	size_t max_uncommitted;  /* [64 MiB] refuse proposals past it */
	size_t max_append;       /* [1 MiB] of one message; 1 entry at least */
	int max_inflight;        /* [16] unacknowledged messages per follower;
				  * 1 batches all the rest behind it */
	int max_reads;           /* [65536] reads that wait */
	int64_t piece_ms;        /* [1000] a piece of a snapshot is sent again
				  * if it was not answered for so long */

	/* The last entry, and its term, that was committed when this life of the
	 * server was let in; 0 and 0 for who founded. There may have been another
	 * life of its id, which had a log and a vote: this one votes as if its
	 * log reached there, lest a server that has missed that counts it among
	 * the voters it knew. */
	int64_t joined, joined_term;

	/* What the storage has; all 0 for a new server. */
	int64_t term, vote, commit;
	int64_t applied; /* what raft_next_apply() must not give again */

	/* The last entry that was ever stored, if storage has lost some since
	 * (lost.c): kept by it with the hard state until a write makes the log
	 * end with a later term, or with that term and not before. 0 and 0:
	 * nothing is lost. */
	int64_t floor_index, floor_term;
};

/* Check cfg and make a server, not yet started. Then raft_load_snapshot() if
 * one is stored, raft_load() each stored entry in order from index 1 or from
 * the one after the snapshot, then raft_start(). INVALID_ARGUMENT names the
 * field that is wrong. *out is freed by raft_close(). */
int raft_open(struct raft **out, const struct raft_config *cfg,
	      struct err *err) MUST_CHECK;

/* What stands for the entries 1..index: the state that they made, of which the
 * core knows only this. conf is the configuration in force at index, len how
 * many bytes the host's account of the state has. */
struct raft_snapshot {
	int64_t index, term;
	const void *conf;
	size_t conf_len;
	int64_t len;
};

/* The stored snapshot, whose state the host has: applied and committed are at
 * least its index. got: the bytes stored of *next, a newer one that was coming
 * in when the server stopped (0 and NULL: none). DATA_LOSS if it has a damaged
 * configuration. */
int raft_load_snapshot(struct raft *r, const struct raft_snapshot *s,
		       struct err *err) MUST_CHECK;
int raft_load_pieces(struct raft *r, const struct raft_snapshot *next,
		     int64_t got, struct err *err) MUST_CHECK;

/* DATA_LOSS if e does not follow the entry before it or has a damaged
 * configuration. */
int raft_load(struct raft *r, const struct raft_entry *e,
	      struct err *err) MUST_CHECK;

/* Take up work as a follower. DATA_LOSS if the loaded log does not reach what
 * was committed or applied, or has a term above the stored one. */
int raft_start(struct raft *r, int64_t now_ms, struct err *err) MUST_CHECK;

void raft_close(struct raft *r); /* NULL is fine */

/* Found a cluster of this server alone: entry 1, of term 1, is a configuration
 * with it as the only voter, with data as the host's account. It elects itself
 * at once after the write. FAILED_PRECONDITION unless the server is new (no
 * term, no entry). Every other member starts empty, waits for a leader, and
 * never campaigns before it has a configuration that names it a voter. */
int raft_bootstrap(struct raft *r, int64_t now_ms, const void *data, size_t len,
		   struct err *err) MUST_CHECK;

/* ---- messages ---- */

/* The numbers are the wire's. */
enum raft_msg_type {
	RAFT_PREVOTE = 1, /* Diss. 9.6; term is the one it would campaign in */
	RAFT_PREVOTE_REPLY = 2,
	RAFT_VOTE = 3, /* Raft 5.2 */
	RAFT_VOTE_REPLY = 4,
	RAFT_APPEND = 5, /* Raft 5.3; with no entries it is a probe */
	RAFT_APPEND_REPLY = 6,
	RAFT_HEARTBEAT = 7, /* keeps followers, tells commit, confirms reads */
	RAFT_HEARTBEAT_REPLY = 8,
	RAFT_TIMEOUT_NOW = 9, /* Diss. 3.10 */
	RAFT_PIECE = 10,      /* of a snapshot: InstallSnapshot (Raft 7) */
	RAFT_PIECE_REPLY = 11,
};

/* A field that a type does not name below is 0. Heartbeats, votes and replies
 * are small; the host may send them apart from appends, which should stay in
 * order among themselves (reordering is safe, but makes the leader probe).
 *
 *   index, log_term  VOTE, PREVOTE: the sender's last entry
 *                    APPEND: the entry before the first of entries
 *                    APPEND_REPLY: index is the last entry that is durable
 *                    and equal to the leader's; when reject, the index refused
 *                    HEARTBEAT_REPLY: index likewise, 0 if not known
 *                    PREVOTE_REPLY with removed: index of the configuration
 *                    that has the candidate no more
 *   hint, log_term   APPEND_REPLY that rejects: the last entry that may match
 *   commit           APPEND, HEARTBEAT
 *   context          HEARTBEAT, HEARTBEAT_REPLY: the round (Diss. 6.4)
 *   force            VOTE: the leader asked for it by TIMEOUT_NOW
 *   lost             APPEND_REPLY that rejects, HEARTBEAT_REPLY: the sender's
 *                    disk lost entries; hint is its last one
 *   index, log_term  PIECE, PIECE_REPLY: of the snapshot
 *   hint             PIECE: where it begins in the snapshot, in bytes
 *                    PIECE_REPLY: where the next one is to begin
 *   context          PIECE: the snapshot's length
 *   conf, data       PIECE; raft_next_msg() leaves data NULL: the host puts
 *                    len bytes of the snapshot there, from hint on
 *
 * A snapshot that is there as a whole is acknowledged by APPEND_REPLY. */
struct raft_msg {
	enum raft_msg_type type;
	int64_t from, to;
	int64_t term;
	int64_t index, log_term;
	int64_t hint;
	int64_t commit;
	int64_t context;
	bool reject, force, removed, lost;
	const struct raft_entry *entries;
	size_t n;
	const void *conf, *data;
	size_t conf_len, len;
};

/* ---- inputs ---- */

/* A message came in. Anything may be in it: INVALID_ARGUMENT if it makes no
 * sense (not for us, unordered entries, damaged configuration); DATA_LOSS if
 * it would replace a committed entry, which means that this cluster's storage
 * or membership was damaged: stop. Either way the log is as before. */
int raft_step(struct raft *r, int64_t now_ms, const struct raft_msg *msg,
	      struct err *err) MUST_CHECK;

/* Time passed; call at raft_deadline(), harmless at any other time. */
void raft_tick(struct raft *r, int64_t now_ms);

/* Append n entries of the host; from each, type (RAFT_NORMAL), client, seq,
 * data and len are read. All or none: on success the first has index *index
 * and the rest follow, all in term *term. They are done when raft_next_apply()
 * gives that index with that term; another term there means they are lost.
 *   UNAVAILABLE          not the leader; raft_status() may know who is
 *   FAILED_PRECONDITION  leadership is being transferred
 *   INVALID_ARGUMENT     an entry past max_entry, or not RAFT_NORMAL
 *   RESOURCE_EXHAUSTED   past max_uncommitted: come back later */
int raft_propose(struct raft *r, int64_t now_ms, const struct raft_entry *e,
		 size_t n, int64_t *index, int64_t *term,
		 struct err *err) MUST_CHECK;

/* Change the roles of n members, each to what `to` says (of which id and role
 * are read), all of them or none: add as RAFT_LEARNER or RAFT_STANDBY, promote
 * to RAFT_VOTER, demote, or remove by RAFT_NONE. e gives client, seq, data and
 * len. Done like a proposal. A new server is added without a vote first and
 * promoted once it has caught up (Diss. 4.2.1).
 *
 * If at most one server gets or loses a vote, majorities before and after
 * overlap, and one entry does it (Diss. 4.1). Otherwise that entry is the joint
 * configuration (Raft 6, Diss. 4.3): when it commits the change is decided, and
 * whoever leads appends the new configuration, an entry without data. A leader
 * that has no vote any more steps down when the last of them commits; transfer
 * first.
 *   as raft_propose(), and
 *   INVALID_ARGUMENT     no change, no such role, a server twice
 *   UNAVAILABLE          before this leader has committed in its own term,
 *                        or while another change is not committed: come back
 *   FAILED_PRECONDITION  the role is that already, a promoted member is
 *                        unknown or behind, or no voter would be left */
int raft_change_many(struct raft *r, int64_t now_ms,
		     const struct raft_member *to, size_t n,
		     const struct raft_entry *e, int64_t *index, int64_t *term,
		     struct err *err) MUST_CHECK;

/* The same for one member. */
int raft_change(struct raft *r, int64_t now_ms, int64_t id,
		enum raft_member_role role, const struct raft_entry *e,
		int64_t *index, int64_t *term, struct err *err) MUST_CHECK;

/* Whether this leader may promote the member now: FAILED_PRECONDITION says what
 * it lacks. */
int raft_promotable(const struct raft *r, int64_t id,
		    struct err *err) MUST_CHECK;

/* Hand leadership to a voter, or with 0 to the one that is most up to date
 * (Diss. 3.10). Proposals are refused until it is done or, after
 * election_max_ms, given up. UNAVAILABLE when not the leader or when no other
 * voter is there, INVALID_ARGUMENT when `to` is no voter or is this server. */
int raft_transfer(struct raft *r, int64_t now_ms, int64_t to,
		  struct err *err) MUST_CHECK;

/* Ask for a linearizable read (Diss. 6.4) by the name ctx; raft_next_read()
 * answers each exactly once. UNAVAILABLE when not the leader,
 * RESOURCE_EXHAUSTED past max_reads. */
int raft_read(struct raft *r, int64_t now_ms, int64_t ctx,
	      struct err *err) MUST_CHECK;

/* All writes up to and with seq are durable, in order. */
void raft_written(struct raft *r, int64_t now_ms, int64_t seq);

/* The snapshot of what is applied: index, term and conf, borrowed until the
 * next input; len is 0. The host adds its account of the state. False when
 * there is nothing that the last one does not have. */
bool raft_snapshot_now(const struct raft *r, struct raft_snapshot *out);

/* *s is durable, and the host can read it whenever a piece is to be sent: the
 * entries up to first - 1 are forgotten, which it has (a follower that is a
 * little behind is better served by entries). INVALID_ARGUMENT if it is not of
 * something applied, is older than the last, or does not have these entries. */
int raft_compact(struct raft *r, int64_t now_ms, const struct raft_snapshot *s,
		 int64_t first, struct err *err) MUST_CHECK;

/* The first entry that some member that answers has yet to get: to forget it
 * would mean a snapshot for who is but a little behind, and perhaps for ever,
 * if more is written while each is sent. INT64_MAX when not the leader. */
int64_t raft_needed(const struct raft *r);

/* A member is being sent the last snapshot and answers: a newer one now would
 * make it begin again. */
bool raft_sends_snapshot(const struct raft *r);

/* A write failed, so that what the disk has is not known: the server steps
 * down for good and is silent; every input fails with UNAVAILABLE or does
 * nothing. Restart from what the storage then has. */
void raft_write_failed(struct raft *r, int64_t now_ms);

/* The transport could not deliver to id (broken connection): what was on its
 * way is probed for again instead of waited for. */
void raft_unreachable(struct raft *r, int64_t now_ms, int64_t id);

/* ---- outputs ---- */

/* A piece of a snapshot that comes in. At offset 0 forget what was stored of
 * another one; complete: with it the snapshot is whole, and takes the place of
 * the one before and of every stored entry, all of them. */
struct raft_piece {
	struct raft_snapshot of;
	int64_t offset;
	const void *data;
	size_t len;
	bool complete;
};

/* What to store, as one transaction: the hard state (always whole), then the
 * piece (if not NULL), then delete entries from truncate_from on (if not 0),
 * then add n entries, which follow each other. Several may be under way; they
 * are stored in order, and any number of them may share one transaction. commit
 * is only a hint that saves work after a restart: it is never written for its
 * own sake. */
struct raft_write {
	int64_t seq; /* rises by 1 */
	int64_t term, vote, commit;
	const struct raft_piece *piece;
	int64_t truncate_from;
	const struct raft_entry *entries;
	size_t n;
};

bool raft_next_write(struct raft *r, struct raft_write *out);
bool raft_next_msg(struct raft *r, struct raft_msg *out);

/* A snapshot that came in is durable: the state that it holds is to take the
 * place of the present one. raft_next_apply() goes on after it. */
bool raft_next_restore(struct raft *r, struct raft_snapshot *out);

/* The next entry that is committed and locally durable, or NULL. Every type
 * comes by, RAFT_NOOP and RAFT_CONFIG too. */
const struct raft_entry *raft_next_apply(struct raft *r);

/* The answer to a raft_read(). If not refused, the state with every entry up
 * to index applied is the one to read; raft_next_apply() has given them all,
 * but a host that applies elsewhere must wait for it. Refused: leadership was
 * lost, ask again elsewhere. */
struct raft_read {
	int64_t ctx, index;
	bool refused;
};

bool raft_next_read(struct raft *r, struct raft_read *out);

/* When to call raft_tick() next, on the host's clock; INT64_MAX for never. */
int64_t raft_deadline(const struct raft *r);

/* ---- what it is, for status and tests ---- */

enum raft_role {
	RAFT_FOLLOWER = 0,
	RAFT_PRECANDIDATE = 1,
	RAFT_CANDIDATE = 2,
	RAFT_LEADER = 3,
};

struct raft_status {
	int64_t id, leader; /* 0: not known */
	enum raft_role role;
	int64_t term, vote;
	int64_t first; /* index of the oldest entry that is kept, or last + 1 */
	int64_t snapshot; /* index of the last one, 0: none */
	int64_t last, durable, commit, applied; /* indexes */
	int64_t conf_index;     /* of the newest configuration */
	bool joint;             /* which is between an old and a new one */
	int64_t transfer_to;    /* 0: none under way */
	size_t uncommitted;     /* bytes, on a leader */
	bool committed_in_term; /* a leader that may change members */
	bool removed; /* a committed configuration is without us, by our own
		       * log or because a member told us */
	bool failed;  /* raft_write_failed() */
	bool lost;    /* it has not again what its disk lost, and so neither
		       * leads nor helps whom that would harm */
};

void raft_status(const struct raft *r, struct raft_status *out);

/* The newest configuration, committed or not. */
const struct raft_conf *raft_conf(const struct raft *r);

/* What a leader knows of a member (itself too). NOT_FOUND when not the leader
 * or no member. */
struct raft_peer {
	int64_t match, next; /* indexes */
	int64_t heard_ms;    /* when it last answered, or became a member */
	bool probing;        /* its log is still being found out */
	bool snapshot;       /* it is being sent one */
};

int raft_peer(const struct raft *r, int64_t id, struct raft_peer *out,
	      struct err *err) MUST_CHECK;

/* The entry at index, or NULL if there is none, or none any more. */
const struct raft_entry *raft_entry(const struct raft *r, int64_t index);

const char *raft_role_name(enum raft_role role); /* "follower", ... */

#endif
