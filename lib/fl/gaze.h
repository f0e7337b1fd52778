/* gaze.h - a server of rounds (hub.h) watched from outside: asked once a second
 * how it is, and what has changed told as events. */
#ifndef FL_GAZE_H
#define FL_GAZE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/opt.h"
#include "base/out.h"
#include "proto/server.pb-c.h"

/* What has happened:
 * watch   connected, lost: of the server; text says why
 * client  here, gone: of client; at the first look only those that are here
 * participant  likewise, of a server that leads participants
 * round   ended: status has its figures
 * server  waiting, training, …: what it is at, at the first look; ending */
struct gaze_event {
	const char *what, *event;
	int64_t client; /* id, also of a participant, or 0 */
	const char *text;
	const Gfl__V1__FlStatus *status; /* NULL: lost */
};

typedef void gaze_fn(const struct gaze_event *e, void *arg);

/* What lies between two looks; before is NULL at the first. Pure. */
void gaze_compare(const Gfl__V1__FlStatus *before, const Gfl__V1__FlStatus *now,
		  gaze_fn *fn, void *arg);

/* Does it lead participants, and train no model? */
bool gaze_leads(const Gfl__V1__FlStatus *s);

/* Logical clients, or participants, that are there; refusals of all reasons. */
int64_t gaze_here(const Gfl__V1__FlStatus *s);
int64_t gaze_refused(const Gfl__V1__FlStatus *s);

/* The event as words: "round 3 ended: loss 0.5, accuracy 0.8". Pure. */
void gaze_words(struct buf *out, const struct gaze_event *e);

/* The event as a row of these. */
enum { GAZE_COLS = 17 };
extern const struct out_col gaze_cols[GAZE_COLS];
void gaze_row(struct out *o, const struct gaze_event *e);

/* Append at most height lines of at most width columns: the server called url,
 * its round and its clients, then the last lines of events that have room.
 * status is NULL while it is looked for. Pure. */
void gaze_draw(struct buf *out, const char *url, const Gfl__V1__FlStatus *s,
	       char *const *events, size_t nevents, size_t width,
	       size_t height);

struct gaze;

/* Find the server, of several the active one, within the client's timeout, and
 * begin to watch; nobody there is UNAVAILABLE. From then on it is asked until
 * gaze_close(), and another one where it is gone or stands by. urls and opts
 * are borrowed until then. */
int gaze_open(struct gaze **out, struct loop *loop, const struct opt_list *urls,
	      const struct client_opts *opts, gaze_fn *fn, void *arg,
	      struct err *err) MUST_CHECK;
void gaze_close(struct gaze *g); /* NULL is nothing */

/* The last answer; NULL while there is none. */
const Gfl__V1__FlStatus *gaze_status(const struct gaze *g);
const char *gaze_url(const struct gaze *g); /* who is asked */

#endif
