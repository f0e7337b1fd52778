#include "base/timer.h"

#include <stdlib.h>

#include "base/loop.h"
#include "base/mem.h"

static void on_fire(uv_timer_t *h)
{
	struct timer *t = h->data;

	t->fn(t->arg);
}

static void start(struct timer *t, struct loop *loop, int64_t after_ms,
		  int64_t repeat_ms, timer_fn *fn, void *arg)
{
	if (!t->h) {
		t->h = mem_zero(1, sizeof(*t->h));
		uv_timer_init(loop_uv(loop), t->h);
		t->h->data = t;
	}
	t->fn = fn;
	t->arg = arg;
	/* libuv counts from the start of this turn, which may be long ago. */
	uv_update_time(loop_uv(loop));
	uv_timer_start(t->h, on_fire, after_ms > 0 ? (uint64_t)after_ms : 0,
		       (uint64_t)repeat_ms);
}

void timer_set(struct timer *t, struct loop *loop, int64_t after_ms,
	       timer_fn *fn, void *arg)
{
	start(t, loop, after_ms, 0, fn, arg);
}

void timer_every(struct timer *t, struct loop *loop, int64_t period_ms,
		 timer_fn *fn, void *arg)
{
	if (period_ms < 1)
		period_ms = 1;
	start(t, loop, period_ms, period_ms, fn, arg);
}

static void on_closed(uv_handle_t *h)
{
	free(h);
}

void timer_stop(struct timer *t)
{
	if (!t->h)
		return;
	uv_timer_stop(t->h);
	uv_close((uv_handle_t *)t->h, on_closed);
	t->h = NULL;
}
