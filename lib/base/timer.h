/* timer.h - a timer held in the struct of its owner. */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H

#include <stdint.h>
#include <uv.h>

struct loop;

typedef void timer_fn(void *arg);

/* All zero is a stopped timer. While it runs it may not move. */
struct timer {
	uv_timer_t *h; /* outlives the struct until libuv has closed it */
	timer_fn *fn;
	void *arg;
};

/* Call fn(arg) once, after_ms from now (0: in the next turn of the loop); a
 * timer that runs already is set anew. fn may set or stop its timer, and may
 * free the struct after stopping it. */
void timer_set(struct timer *t, struct loop *loop, int64_t after_ms,
	       timer_fn *fn, void *arg);

/* The same, again and again every period_ms (at least 1). */
void timer_every(struct timer *t, struct loop *loop, int64_t period_ms,
		 timer_fn *fn, void *arg);

/* Stop, and let go of libuv's handle: before the struct goes away, and before
 * loop_close(). Stopping twice is fine. */
void timer_stop(struct timer *t);

#endif
