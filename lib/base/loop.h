/* loop.h - the event loop that owns a program's state, over libuv.
 *
 * Everything here is for the thread that opened the loop. SIGPIPE is ignored
 * from loop_open() on: a peer that goes away is an error of that write. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <uv.h>

#include "base/err.h"
#include "base/timer.h"

struct loop;

typedef void loop_fn(void *arg);

/* On success *out is owned by the caller. */
int loop_open(struct loop **out, struct err *err) MUST_CHECK;

/* libuv's loop, for handles of one's own. Its data pointer is taken. */
uv_loop_t *loop_uv(struct loop *l);

/* Call on_stop(arg) at the first INT or TERM; the second, unless it comes
 * together with the first, ends the process at once by that signal (128+n).
 * on_hup(arg), unless NULL, at every HUP. Without
 * this call the signals keep their usual effect. */
void loop_signals(struct loop *l, loop_fn *on_stop, loop_fn *on_hup, void *arg);

/* INT calls this instead, with the arg of loop_signals(), and each time; with
 * NULL it is as before. */
void loop_on_interrupt(struct loop *l, loop_fn *on_int);

/* Run until loop_stop(), or until nothing is left to wait for. Meanwhile
 * systemd's watchdog, if it looks after this process, learns that the loop
 * turns. */
void loop_run(struct loop *l);

/* End loop_run() after the callbacks of this turn. */
void loop_stop(struct loop *l);

/* Finish the closing of handles, then free. A handle that its owner has not
 * closed is a bug: it is named on stderr, and the process aborts. */
void loop_close(struct loop *l);

#endif
