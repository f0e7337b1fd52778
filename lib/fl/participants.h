/* participants.h - a coordinator's side of ParticipantManager: participants who
 * cannot be called come and wait, each gets one instruction at a time, and its
 * answer comes back by a callback.
 *
 * They come by streams (participant.proto) or by requests that are held
 * (participation.proto). Whoever vanishes is noticed when its connection ends, a
 * machine that falls silent within 70 s, and between two requests who does not
 * ask again within the lease. At work by requests that is so of who says that it
 * works; of others nothing tells but the instruction's deadline. What is decided
 * is in pool.h. All on the loop's thread. */
#ifndef FL_PARTICIPANTS_H
#define FL_PARTICIPANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/participant.pb-c.h"
#include "proto/participation.pb-c.h"
#include "wire/server.h"

struct participants;

struct participants_opts {
	size_t max;        /* participants; 0: 100,000 */
	size_t max_out;    /* instructions given or waiting; 0: 100,000 */
	size_t max_unread; /* bytes of answers of the server's that may wait to
			      be read while more instructions are sent, but
			      for those that nobody reads; 0: 64 MiB */
	int64_t lease_ms;  /* 0: 10 s */
	int64_t hold_ms;   /* of a request; 0: 25 s */
};

/* Serve them on s, borrowed until participants_close(). */
void participants_open(struct participants **out, struct loop *loop,
		       struct server *s, const struct participants_opts *opts);

/* End every stream and request: come back in so many seconds, or, below 0, the
 * work is done. No callback runs any more. Before server_close(); NULL is
 * nothing. */
void participants_close(struct participants *ps, int reconnect_in_s);

/* An instruction, to be given to any number of participants and held in memory
 * once. Copies in; instruction_free() lets go of it, runs keep it. */
struct instruction;
struct instruction *instruction_new(const CoordinatorMessage *in);
void instruction_free(struct instruction *i); /* NULL is nothing */

struct run_opts {
	int64_t who;        /* a participant; 0: any, now or to come */
	int64_t timeout_ms; /* from now to the answer; 0: 600 s */
	int tries; /* how many participants it may be given to, one after the
		      other, if one vanishes or fails; 0: 3; with who 1 */
};

struct run_answer {
	int64_t run, who; /* who: 0: nobody had it last */
	int64_t took_ms;  /* since it was last given; 0: never */
	int tries;
	const ParticipantMessage *msg; /* its train_result is set; borrowed;
					  NULL with an error */
};

/* err is NULL, or: UNIMPLEMENTED, the participant does not know such an
 * instruction; ABORTED, it failed, with its reason; UNAVAILABLE, it has gone;
 * DEADLINE_EXCEEDED. Exactly once, unless the run is withdrawn; never within
 * participants_run(). It may call any participants_…() but close. */
typedef void run_done_fn(const struct err *err, const struct run_answer *a,
			 void *arg);

/* Give an instruction to a participant. The run's number, above all before it,
 * is in *run, unless that is NULL. Too many, or what is above the server's
 * max-message: RESOURCE_EXHAUSTED; who is not there: NOT_FOUND. */
int participants_run(struct participants *ps, struct instruction *i,
		     const struct run_opts *opts, run_done_fn *done, void *arg,
		     int64_t *run, struct err *err) MUST_CHECK;

/* Its end is of no interest; an answer to it is thrown away. */
void participants_withdraw(struct participants *ps, int64_t run);

/* Call fn once so many are there, in a later turn of the loop. Only one such
 * wait at a time: a new one replaces it, fn NULL ends it. */
typedef void participants_fn(void *arg);
void participants_get(struct participants *ps, size_t min_n,
		      participants_fn *fn, void *arg);
size_t participants_count(const struct participants *ps);

/* Each that is there, by ascending id; fn calls no participants_…(). */
typedef void participants_each_fn(int64_t who, void *arg);
void participants_each(const struct participants *ps, participants_each_fn *fn,
		       void *arg);

/* What is known of each that is there, *n of them; the caller frees the rows.
 * Their strings are borrowed until the loop's next turn. */
Gfl__V1__Participant *participants_rows(const struct participants *ps,
					size_t *n);

/* Send one away, to come back in so many seconds; its instruction goes to
 * another. Whoever is not there: nothing. */
void participants_dismiss(struct participants *ps, int64_t who,
			  int reconnect_in_s);

#endif
