/* director.h - rounds that a user's command leads: it is told what the
 * participants (participants.h) have answered, and prints what they are to do
 * next.
 *
 * Its standard output is arrays as theta.h has them: the next instruction. None
 * at all, and exit status 0: the work is done. On its standard input it has a
 * line of JSON for each instruction of the round before,
 *	{"participant":3,"state":"answered","seconds":0.2,"tries":1,
 *	 "arrays":2,"file":"/.../1.npz"}
 *	{"participant":5,"state":"failed","seconds":1.5,"tries":3,
 *	 "code":"aborted","error":"participant 5 failed: no data"}
 * of which the file is there until it exits; and in its environment GFL_ROUND
 * (from 1, and on from where a director was that was killed or stopped), GFL_PARTICIPANTS (there now), GFL_ANSWERED, GFL_FAILED, GFL_DIR
 * (where the files are), and GFL_LAST=1 when no round follows, so that what it
 * prints is of no use. */
#ifndef FL_DIRECTOR_H
#define FL_DIRECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/command.h"
#include "fl/participants.h"

struct director;

/* A round has ended. */
struct director_round {
	int64_t round, instructed, answered, failed;
	double seconds;
};
typedef void director_round_fn(const struct director_round *r, void *arg);

struct director_opts {
	const struct command *command; /* borrowed */
	const char *dir;          /* of answers, for us alone; made; copied */
	const char *reached;      /* file of the rounds that have ended, there
				     until the work is done, and locked for us
				     alone; copied */
	int64_t min_participants; /* no round begins with fewer, and the
				     command is first run when so many came */
	double sample;   /* so many of those there are instructed, 0..1 */
	double fraction; /* a round ends when so many of these have answered */
	int64_t deadline_ms;         /* or after so long */
	int64_t command_ms;          /* the command's time; 0: any */
	int64_t rounds;              /* 0: until the command says */
	size_t max_bytes;            /* that it may print */
	director_round_fn *on_round; /* or NULL */
	void *on_round_arg;
};

/* Lead participants who come to s; over(arg) when it has ended, once, never
 * within a director_...(). Borrowed until director_close(): loop, s. A dir that
 * cannot be made fails, and so does what another process leads from. */
typedef void director_fn(void *arg);
int director_open(struct director **out, struct loop *loop, struct server *s,
		  const struct director_opts *opts, director_fn *over,
		  void *arg, struct err *err) MUST_CHECK;

/* End as soon as the command has (which is told to): then over. */
void director_stop(struct director *d);

/* Why it failed, or NULL. */
const struct err *director_failed(const struct director *d);

/* Participants are told that the work is done, or, if it is not, to come back.
 * Before server_close(); NULL is nothing. */
void director_close(struct director *d);

#endif
