/* overseer.h - a master of tasks (master.h) watched from outside: asked once a
 * second how it is, and what has changed told as events. */
#ifndef TASK_OVERSEER_H
#define TASK_OVERSEER_H

#include <stddef.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/out.h"
#include "proto/task.pb-c.h"
#include "task/reach.h"

/* What is known of a master. */
struct overseer_view {
	const Gfl__V1__MasterStatus *status; /* NULL: it is looked for */
	const Gfl__V1__ListWorkersResponse *crew;
};

/* What has happened:
 * watch    connected, lost: of the master; text says why
 * master   serving: at the first look
 * worker   here, dead, left; at the first look only those that are here
 * breaker  open, half, closed: of a worker
 * task     done, failed, cancelled */
struct overseer_event {
	const char *what, *event;
	const Gfl__V1__Worker *worker;       /* or NULL */
	const Gfl__V1__Task *task;           /* or NULL */
	const char *text;                    /* or NULL */
	const Gfl__V1__MasterStatus *status; /* NULL: lost */
};

typedef void overseer_fn(const struct overseer_event *e, void *arg);

/* What lies between two looks at the workers; before->status is NULL at the
 * first. Pure. */
void overseer_compare(const struct overseer_view *before,
		      const struct overseer_view *now, overseer_fn *fn,
		      void *arg);

/* The event as words: "task 3 failed on w1 after 0.5 s: ...". Pure. */
void overseer_words(struct buf *out, const struct overseer_event *e);

/* The event as a row of these. */
enum { OVERSEER_COLS = 14 };
extern const struct out_col overseer_cols[OVERSEER_COLS];
void overseer_row(struct out *o, const struct overseer_event *e);

/* Append at most height lines of at most width columns: the master called url,
 * its queue and its workers, then the last lines of events. Pure. */
void overseer_draw(struct buf *out, const char *url,
		   const struct overseer_view *v, char *const *events,
		   size_t nevents, size_t width, size_t height);

struct overseer;

/* Find the master, within r's timeout, and begin to watch; nobody there is
 * UNAVAILABLE. From then on it is asked until overseer_close(). r is borrowed
 * until then. */
int overseer_open(struct overseer **out, struct loop *loop,
		  const struct reach *r, overseer_fn *fn, void *arg,
		  struct err *err) MUST_CHECK;
void overseer_close(struct overseer *o); /* NULL is nothing */

struct overseer_view overseer_view(const struct overseer *o);

#endif
