/* session.h - a proposal that is retried applies once (Diss. 6.3).
 *
 * Part of the replicated state: the host asks session_begin() for every
 * committed entry that names a client, applies only what is new, and gives the
 * reply to session_end(). The same entries in the same order lead to the same
 * table on every member. A client has one proposal under way at a time, with
 * seq 1, 2, 3, ...; after max clients the one whose last proposal is oldest in
 * the log is forgotten, and told so if it comes back. */
#ifndef RAFT_SESSION_H
#define RAFT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sessions;

struct session {
	int64_t client, seq; /* of the last proposal that was applied */
	int64_t index;       /* of its entry */
	const void *reply;
	size_t len;
};

enum session_verdict {
	SESSION_NEW,     /* apply it, then session_end() */
	SESSION_REPLAY,  /* was applied: answer with the reply kept */
	SESSION_STALE,   /* older than the last: nobody waits for it */
	SESSION_EXPIRED, /* seq > 1 of a client that is not known: do not
			  * apply; the client starts a new session */
};

struct sessions *sessions_new(size_t max, size_t max_reply);
void sessions_free(struct sessions *s);

/* What to do with proposal (client, seq); client > 0, seq > 0. For
 * SESSION_REPLAY *last is the session, borrowed until the next change of s. */
enum session_verdict session_begin(const struct sessions *s, int64_t client,
				   int64_t seq, struct session *last);

/* The proposal that session_begin() called new was applied as entry index with
 * this reply, of which max_reply bytes are kept. Returns the client that was
 * forgotten to make room, or 0, so that a stored table can follow. Also loads
 * a stored table, by ascending index. */
int64_t session_end(struct sessions *s, const struct session *now);

/* Every session, by ascending index: what session_end() makes the same table
 * of. Borrowed for the call. */
typedef void session_fn(const struct session *now, void *arg);
void sessions_each(const struct sessions *s, session_fn *fn, void *arg);
size_t sessions_count(const struct sessions *s);

#endif
