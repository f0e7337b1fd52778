/* driver.h - a member of a cluster at work: the consensus core with its disk,
 * its network and its clock, on the loop's thread.
 *
 * At the end of each turn of the loop everything that the turn brought is
 * worked off together: one write to the writer's thread, one request per peer,
 * then what may be applied. Callbacks run there, never inside the call that
 * caused them, and may call any function of this header but driver_close(). */
#ifndef RAFT_DRIVER_H
#define RAFT_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "raft/raft.h"
#include "store/db.h"
#include "store/writer.h"
#include "wire/client.h"
#include "wire/server.h"

struct driver;

/* What an entry came to; for the proposer. */
struct driver_result {
	int64_t index, term; /* of the entry, the first of a repeated one */
	int64_t id;          /* what apply gave: an id, a count, 0 */
	struct err refused;  /* by apply: code 0 if it took effect */
};

/* Apply an entry: each one from index 1 on, in order, and again after every
 * start, from the one after the snapshot that on_restore() is given. e is
 * borrowed until the callback returns or proposes something. skip: the
 * repetition of a proposal that was applied already, or one whose session has
 * expired: count its index, do nothing else; never of RAFT_CONFIG, which has
 * taken effect in the core anyhow. result->id and result->refused may be set;
 * they must follow from the log alone, since they are kept for a repeated
 * proposal (the first 200 bytes of the sentence). */
typedef void driver_apply_fn(const struct raft_entry *e, bool skip,
			     struct driver_result *result, void *arg);

/* The state that on_apply() has made: append it to *b, or take it from p (of
 * len bytes) in the place of what there is, whose index is then that of the
 * last entry in it. Both must be true to the byte on every member.
 * INVALID_ARGUMENT or DATA_LOSS of on_restore ends the member. */
typedef void driver_save_fn(struct buf *b, void *arg);
typedef int driver_restore_fn(const void *p, size_t len, void *arg,
			      struct err *err);

/* Leader or term changed, or we are no member any more (raft_status() has
 * removed then); leader 0 is none known. we_lead becomes true when
 * this leader has applied all that its predecessors committed, so that the
 * state it decides upon is complete. */
typedef void driver_leader_fn(int64_t leader, int64_t term, bool we_lead,
			      void *arg);

/* The disk failed, or the log is not ours to go on with: the member is silent
 * from here on, and the daemon ends with this error. */
typedef void driver_failed_fn(const struct err *err, void *arg);

/* The URL of a member, borrowed for the moment, or NULL if it is not known. */
typedef const char *driver_url_fn(int64_t id, void *arg);

struct driver_config {
	/* All borrowed, and open for as long as the driver is. reader is for
	 * the start only and may be the writer's own connection if the writer
	 * is not open yet or idle. */
	struct loop *loop;
	struct db *reader;
	struct writer *writer;
	struct client *client;
	struct server *server;

	int64_t node_id;
	const char *cluster_id;  /* 32 hex digits */
	int64_t joined, joined_term; /* as in raft_config */
	int64_t election_min_ms; /* 0: 150 */
	int64_t election_max_ms; /* 0: 300 */
	int64_t heartbeat_ms;    /* 0: 50 */

	/* Take a snapshot after so many bytes of entries, and after twice its
	 * own size; 0: 4 MiB. */
	int64_t snapshot_bytes;

	driver_apply_fn *on_apply;
	driver_save_fn *on_save; /* NULL: take no snapshots */
	driver_restore_fn *on_restore;
	driver_leader_fn *on_leader;
	driver_failed_fn *on_failed;
	driver_url_fn *url_of;
	void *arg;
};

/* Load the log (its tables must exist) and apply all that is known to be
 * committed, by on_apply() before this returns; then take part. Serves
 * RAFT_STEP of the server. DATA_LOSS if the file is damaged. *out is freed by
 * driver_close(). */
int driver_open(struct driver **out, const struct driver_config *cfg,
		struct err *err) MUST_CHECK;

/* Leave silently, like a crash; call driver_transfer() before if there is
 * time. No callback runs any more, not even that of a proposal. The server is
 * closed before. NULL is nothing. */
void driver_close(struct driver *d);

/* Found a cluster of this member alone; data is the first entry's. It leads a
 * moment later. FAILED_PRECONDITION unless the log is empty. */
int driver_bootstrap(struct driver *d, const void *data, size_t len,
		     struct err *err) MUST_CHECK;

/* The answer to a proposal. err is NULL when the entry is committed, durable
 * here and applied (result->refused says whether it took effect). Otherwise:
 *   UNAVAILABLE  it is lost, or leadership was while it was under way and it
 *		  has a session: propose it again with the same client and seq
 *		  and it is applied once
 *   ABORTED	  leadership was lost and there is no session: it may be
 *		  applied yet; or a later proposal of the session was
 *   FAILED_PRECONDITION  its session has expired; start a new one */
typedef void driver_done_fn(const struct err *err,
			    const struct driver_result *result, void *arg);

/* client and seq are of a session (raft/session.h), or 0 and 0. */
struct driver_proposal {
	int64_t client, seq;
	const void *data; /* copied */
	size_t len;
	bool patient; /* nobody waits at another member: the others may learn
		       * that it is committed with what they are sent next, if
		       * that comes soon */
};

/* Propose an entry; done may be NULL. Fails at once, and done does not run,
 * with FAILED_PRECONDITION  not the leader: the hint names it if it is known
 *   UNAVAILABLE	  leadership is being handed over
 *   RESOURCE_EXHAUSTED   too much under way
 *   INVALID_ARGUMENT	  too large, or half a session */
int driver_propose(struct driver *d, const struct driver_proposal *p,
		   driver_done_fn *done, void *arg, struct err *err) MUST_CHECK;

/* Change the roles of n members, as raft_change_many() has it; RAFT_NONE
 * removes. p is the host's account of it, applied when the change is decided;
 * when it is a joint one, an entry of RAFT_CONFIG without data follows, with
 * which it is complete. Fails as driver_propose(), and as raft_change_many().
 */
int driver_change_many(struct driver *d, const struct raft_member *to, size_t n,
		       const struct driver_proposal *p, driver_done_fn *done,
		       void *arg, struct err *err) MUST_CHECK;

/* The same for one member. */
int driver_change(struct driver *d, int64_t id, enum raft_member_role role,
		  const struct driver_proposal *p, driver_done_fn *done,
		  void *arg, struct err *err) MUST_CHECK;

/* Tell when the state may be read so that the answer has everything that was
 * acknowledged anywhere before this call (ReadIndex). err is NULL then, or
 * UNAVAILABLE when leadership was lost. Fails at once like driver_propose(). */
typedef void driver_read_fn(const struct err *err, void *arg);
int driver_read(struct driver *d, driver_read_fn *done, void *arg,
		struct err *err) MUST_CHECK;

/* Hand leadership to a voter, or with 0 to the most up to date one; on_leader
 * tells when it is done. As raft_transfer(), FAILED_PRECONDITION when not the
 * leader. */
int driver_transfer(struct driver *d, int64_t to, struct err *err) MUST_CHECK;

/* Take a snapshot now, and forget the entries that it stands for, but those
 * that a member that answers has yet to get. done runs once that is durable, or
 * failed, even if the driver was closed meanwhile: index is the snapshot's,
 * first that of the oldest entry that is kept.
 * FAILED_PRECONDITION when nothing is applied yet, UNAVAILABLE while another is
 * being stored, taken or sent. */
typedef void driver_compact_fn(const struct err *err, int64_t index,
			       int64_t first, void *arg);
int driver_compact(struct driver *d, driver_compact_fn *done, void *arg,
		   struct err *err) MUST_CHECK;

/* A member's URL is another now: use it at once, without waiting out the
 * failures of the old one. */
void driver_url_changed(struct driver *d, int64_t id);

/* For raft_status(), raft_conf(), raft_peer() (its heard_ms is of
 * driver_now_ms()), and raft_entry(). */
const struct raft *driver_raft(const struct driver *d);

/* clock_ms() less the time that we slept: stopped, starved or busy. */
int64_t driver_now_ms(const struct driver *d);

/* Whether we lead, and know all that was committed before. */
bool driver_leads(const struct driver *d);

#endif
