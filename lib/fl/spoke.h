/* spoke.h - a trainer as the client of a server (hub.h): it asks what to do,
 * pulls the model, trains, and sends what came of it.
 *
 * A passive one has a request held at the server all the time, so that either
 * learns at once when the other ends; an active one asks whenever it has
 * nothing to do. A server that is away is asked again, with jittered backoff,
 * until it says that all is over: as long as it takes where it never was the
 * client of one, else until it is given up. Of several servers it is
 * the client of the one that takes it, and looks for another when that one
 * fails; what it was training for the first is dropped. */
#ifndef FL_SPOKE_H
#define FL_SPOKE_H

#include <stdbool.h>

#include "base/loop.h"
#include "fl/exec.h"
#include "fl/learner.h"
#include "wire/server.h"

struct spoke;

struct spoke_opts {
	/* of the server; or of several, of which one at a time is active */
	const char *const *urls;
	size_t nurls;
	const char *db; /* file of its identity */
	bool active;
	int64_t give_up_ms; /* that no server answers, who has had one; 0: for
			       ever. Then spoke_failed() is UNAVAILABLE */
	const struct index *indexes; /* of each logical client that it hosts */
	int nclients;
	int64_t stuck_ms; /* a batch that takes longer is a bug */
	/* who takes the steps of the one that it hosts, whose indexes say
	   nothing; command NULL: computed here */
	struct exec_opts exec;
	const char *bind; /* source address of calls, or NULL; borrowed */
	struct tls *tls; /* for calls of https, borrowed; or NULL */
};

/* Open the file and begin to ask. ended(arg) runs once it is over: the server
 * said so, it was stopped, or spoke_failed(). s is for status and metrics.
 * Strings, s and data (of which the
 * indexes take the place of its index) are borrowed until spoke_close(). */
int spoke_open(struct spoke **out, struct loop *loop, struct server *s,
	       const struct learner_data *data, const struct spoke_opts *opts,
	       loop_fn *ended, void *arg, struct err *err) MUST_CHECK;
const struct err *spoke_failed(const struct spoke *s); /* or NULL */

void spoke_stop(struct spoke *s);  /* tells the server, then ended() */
void spoke_close(struct spoke *s); /* NULL is nothing; waits for the worker */

#endif
