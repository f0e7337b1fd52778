/* standby.h - a server whose node does not lead: it keeps the newest state of
 * the active one, and sends clients away.
 *
 * It asks each peer what it has; an active one holds that request until it has
 * something new, which is then pulled and written. */
#ifndef FL_STANDBY_H
#define FL_STANDBY_H

#include "base/loop.h"
#include "base/opt.h"
#include "wire/client.h"
#include "wire/server.h"

struct standby;

/* All borrowed until standby_close(). */
struct standby_opts {
	const char *db;
	const char *layout; /* of the model, 16 hex digits */
	size_t max_bytes;   /* of a state */
	const struct opt_list
		*peers;  /* URLs of all servers; our own may be in */
	loop_fn *over;   /* the active one says that the run is */
	loop_fn *unled;  /* for a while nobody knows of an active one; again
			    and again until somebody does */
	/* the active one, of this term, wants another one to take over, and
	   ours is its state; likewise */
	void (*left)(int64_t term, void *arg);
	loop_fn *failed; /* see standby_failed() */
	void *arg;
};

/* Opens the file, serves on s, follows. */
int standby_open(struct standby **out, struct client *client, struct server *s,
		 const struct standby_opts *opts, struct err *err) MUST_CHECK;
const struct err *standby_failed(const struct standby *s); /* or NULL */

/* Ask every peer, and pull the newest state that any of them has which answers;
 * done(arg) runs when ours is as new, in a later turn of the loop. Who asks us
 * meanwhile hears that somebody is to be active in term. */
void standby_survey(struct standby *s, int64_t term, loop_fn *done, void *arg);
void standby_follow(struct standby *s);           /* instead of that */
int standby_peers_there(const struct standby *s); /* and will follow */
void standby_close(struct standby *s);            /* NULL is nothing */

#endif
