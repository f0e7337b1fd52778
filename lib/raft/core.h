/* core.h - what the files of the core share; nobody else includes it. */
#ifndef RAFT_CORE_H
#define RAFT_CORE_H

#include "base/mem.h"
#include "base/rand.h"
#include "raft/bug.h"
#include "raft/raft.h"

/* ---- log.c: entries, and which are durable ---- */

struct write_mark {
	int64_t seq;
	int64_t last; /* last index that write and those before it made */
};

struct raft_log {
	struct raft_entry *e; /* e[0] has index base + 1 */
	size_t n, cap;
	int64_t base, base_term; /* the entry before e[0], in a snapshot */

	bool hard_dirty;  /* term or vote not yet in any write */
	int64_t hard_seq; /* the write that has them */
	int64_t truncate_from;
	int64_t given_last; /* last index that is in some write */
	int64_t durable;
	int64_t given_seq, done_seq;
	struct write_mark *mark; /* writes under way, oldest first */
	size_t n_marks, marks_cap;
};

int64_t raft_log_last(const struct raft_log *l);
int64_t raft_log_term(const struct raft_log *l, int64_t index); /* or 0 */
const struct raft_entry *raft_log_get(const struct raft_log *l, int64_t index);
void raft_log_add(struct raft_log *l, const struct raft_entry *e);
void raft_log_truncate(struct raft_log *l, int64_t from);
void raft_log_forget(struct raft_log *l, int64_t upto);
void raft_log_restart(struct raft_log *l, int64_t base, int64_t term);
int64_t raft_log_hint(const struct raft_log *l, int64_t index, int64_t term);
size_t raft_entry_cost(const struct raft_entry *e);
int64_t raft_log_hard_need(const struct raft_log *l);
int64_t raft_log_need(const struct raft_log *l, int64_t index);
void raft_log_written(struct raft_log *l, int64_t seq);
void raft_log_release(struct raft_log *l);

/* ---- progress.c: what is known of each member ---- */

struct peer {
	int64_t id;
	enum raft_member_role role; /* in the newest configuration */
	bool old;                   /* it is joint: a voter of C_old */
	bool voted, granted;        /* in this election */

	/* On a leader. Probing finds out where the logs part, one append at a
	 * time; then appends are sent ahead of their acknowledgements. */
	bool probing, paused;
	bool poke; /* send an append even if it has nothing new */
	int64_t match, next;
	int64_t commit_told;
	int64_t round; /* newest heartbeat round it answered */
	int64_t heard_ms;
	int64_t *sent; /* last index of each append under way, a ring */
	int sent_head, n_sent;

	/* The snapshot that it is sent (0: none), how much of it it has, and
	 * when the piece that is under way left. */
	int64_t snap, snap_got, snap_ms;
	bool snap_waits;
};

struct peer *raft_peer_find(const struct raft *r, int64_t id);
void raft_peers_follow(struct raft *r, const struct raft_conf *conf);
void raft_peer_drop(struct raft *r, struct peer *p);
void raft_peers_reset(struct raft *r, int64_t next);
void raft_peers_release(struct raft *r);
void raft_peer_probe(struct peer *p, int64_t next);
void raft_peer_sent(struct raft *r, struct peer *p, int64_t last);
void raft_peer_acked(struct raft *r, struct peer *p, int64_t index);

typedef int64_t peer_value_fn(const struct raft *r, const struct peer *p);
int64_t raft_half_value(const struct raft *r, peer_value_fn *value, bool old);
int64_t raft_quorum_value(const struct raft *r, peer_value_fn *value);

static inline bool raft_peer_votes(const struct peer *p)
{
	return p->role == RAFT_VOTER || p->old;
}

static inline bool raft_peer_is_member(const struct peer *p)
{
	return p->role != RAFT_NONE || p->old;
}

/* ---- the server ---- */

/* conf.c */
size_t raft_conf_size(const struct raft_conf *conf); /* in bytes */
int raft_conf_voters(const struct raft_conf *conf);

struct conf_at {
	int64_t index;
	struct raft_conf conf;
};

struct held_msg {
	struct raft_msg msg;
	int64_t need; /* the write that must be durable first */
};

/* A snapshot that comes in. */
struct incoming {
	struct raft_snapshot is; /* index 0: none; owns conf */
	int64_t got;             /* bytes, with those of piece */
	int64_t need;            /* the write after which they are durable */
	struct raft_piece piece; /* the last one; owns data */
	bool waits;              /* to be given to the host to write */
	bool restore; /* it is whole; the host has not taken its state yet */
};

struct msg_queue {
	struct held_msg *m;
	size_t head, n, cap;
};

struct waiting_read {
	int64_t ctx, index, round;
	bool refused;
};

struct raft {
	struct raft_config cfg;
	struct rand rand;
	int64_t now_ms;
	bool started, failed;

	int64_t term, vote, commit, applied;
	struct raft_log log;
	struct raft_snapshot snap; /* the last one, index 0: none; owns conf */
	struct incoming in;
	void *applied_conf; /* in force at applied, as bytes */
	size_t applied_conf_len;

	enum raft_role role;
	int64_t leader;
	int64_t heard_ms;    /* when the leader was last heard */
	int64_t election_ms; /* when to campaign */
	int64_t verified;    /* our log equals the term's leader's up to it */

	/* configurations from the newest committed one on, by index */
	struct conf_at *conf;
	size_t n_confs, confs_cap;
	bool was_member, told_removed;

	struct peer *peer; /* of the newest configuration, itself too */
	size_t n_peers, peers_cap, turn;
	bool joint; /* that is C_old,new */

	/* on a leader */
	int64_t heartbeat_ms; /* when to send the next */
	int64_t term_start;   /* the index of our no-op */
	size_t uncommitted;
	int64_t transfer_to, transfer_ms;
	int64_t round; /* heartbeat rounds sent */
	bool read_due; /* a read waits for a round not yet sent */
	struct waiting_read *read;
	size_t read_head, n_reads, reads_cap;

	struct msg_queue ready, held;
};

/* raft.c */
void raft_clock(struct raft *r, int64_t now_ms);
void raft_set_term(struct raft *r, int64_t term, int64_t vote);
void raft_follow(struct raft *r, int64_t term, int64_t leader);

/* output.c */
void raft_send(struct raft *r, const struct raft_msg *m, int64_t need);

/* election.c */
void raft_timer_reset(struct raft *r);
bool raft_sticky(const struct raft *r);
bool raft_may_campaign(const struct raft *r);
void raft_precampaign(struct raft *r);
void raft_campaign(struct raft *r, bool force);
void raft_self_vote(struct raft *r);
void raft_on_prevote(struct raft *r, const struct raft_msg *m);
void raft_on_vote(struct raft *r, const struct raft_msg *m);
void raft_on_vote_reply(struct raft *r, const struct raft_msg *m);

/* replication.c: both ends of AppendEntries */
void raft_lead(struct raft *r);
void raft_append_own(struct raft *r, const struct raft_entry *e);
int raft_on_append(struct raft *r, const struct raft_msg *m,
		   struct err *err) MUST_CHECK;
void raft_ack(struct raft *r, const struct raft_msg *m, int64_t index);
void raft_on_append_reply(struct raft *r, const struct raft_msg *m);
bool raft_next_append(struct raft *r, struct raft_msg *out);

/* snapshot.c: both ends of InstallSnapshot */
bool raft_next_piece(struct raft *r, struct peer *p, struct raft_msg *out);
bool raft_needs_snapshot(const struct raft *r, const struct peer *p);
int raft_on_piece(struct raft *r, const struct raft_msg *m,
		  struct err *err) MUST_CHECK;
void raft_on_piece_reply(struct raft *r, const struct raft_msg *m);
void raft_conf_applied(struct raft *r, const void *conf, size_t len);
void raft_snapshot_release(struct raft *r);

/* commit.c */
void raft_commit_to(struct raft *r, int64_t index);
void raft_maybe_commit(struct raft *r);

/* heartbeat.c */
void raft_heartbeat_all(struct raft *r);
void raft_heartbeat_one(struct raft *r, struct peer *p, int64_t context);
void raft_on_heartbeat(struct raft *r, const struct raft_msg *m);
void raft_on_heartbeat_reply(struct raft *r, const struct raft_msg *m);
void raft_tell_commit(struct raft *r);
void raft_check_quorum(struct raft *r);

/* membership.c */
const struct conf_at *raft_conf_top(const struct raft *r);
int raft_conf_push(struct raft *r, const struct raft_entry *e,
		   struct err *err) MUST_CHECK;
void raft_conf_cut(struct raft *r, int64_t from);
void raft_conf_committed(struct raft *r);
void raft_conf_append(struct raft *r, const struct raft_conf *conf,
		      const struct raft_entry *e);
bool raft_out(const struct raft *r);

/* joint.c */
struct raft_conf raft_conf_changed(const struct raft_conf *now,
				   const struct raft_member *to, size_t n);
void raft_joint_leave(struct raft *r);

/* lost.c: a log that is below its floor */
bool raft_lost(const struct raft *r);
bool raft_lost_ok(const struct raft *r, int64_t term, int64_t index);
void raft_lost_found(struct raft *r);
void raft_lost_told(struct raft *r, struct peer *p, const struct raft_msg *m);

/* transfer.c */
void raft_transfer_go(struct raft *r);
void raft_hand_over(struct raft *r);
void raft_on_timeout_now(struct raft *r);

/* read.c */
void raft_reads_ask(struct raft *r);
void raft_reads_refuse(struct raft *r);

#endif
