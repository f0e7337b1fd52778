/* participant.h - a participant's side of ParticipantManager: it waits on one
 * stream for instructions (consume) and answers them (dispatch), comes back
 * when the stream breaks, and when and as it is told to.
 *
 * All on the loop's thread. */
#ifndef FL_PARTICIPANT_H
#define FL_PARTICIPANT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "proto/participant.pb-c.h"
#include "wire/tls.h"

struct participant;

struct participant_opts {
	const char *url;          /* the coordinator's; copied */
	const char *bind;         /* source address, or NULL; borrowed */
	struct tls *tls;          /* borrowed, or NULL */
	int64_t first_ms, max_ms; /* between attempts; 0: 200 ms, 30 s */
};

/* Each may call participant_dispatch() and participant_close(). */
struct participant_hooks {
	/* An instruction, borrowed, to be answered once; the next one follows
	 * the answer. What is no instruction that we know is answered already,
	 * and so is reconnect_in. */
	void (*consume)(const CoordinatorMessage *in, void *arg);
	/* The stream has ended, and the answer to what was consumed is not
	 * wanted any more. err: why, or NULL, as the coordinator asked for it.
	 * It will be opened again after_ms from now. */
	void (*lost)(const struct err *err, int64_t after_ms, void *arg);
	/* The work is done (err NULL), or it will never be ours: nothing more
	 * happens. */
	void (*over)(const struct err *err, void *arg);
};

/* Come to the coordinator, for ever until over. *hooks is borrowed. Never
 * NULL. */
struct participant *participant_open(struct loop *loop,
				     const struct participant_opts *opts,
				     const struct participant_hooks *hooks,
				     void *arg);

/* Answer the instruction; msg is borrowed. False: there is none to answer, as
 * the stream has been lost since. */
bool participant_dispatch(struct participant *p, const ParticipantMessage *msg);

/* Take no further instruction: once that at hand is answered, over. */
void participant_finish(struct participant *p);

/* Leave; no hook runs any more. NULL is nothing. */
void participant_close(struct participant *p);

#endif
