#include "base/loop.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/notify.h"

enum { ON_INT, ON_TERM, ON_HUP, SIGNALS };

struct loop {
	uv_loop_t uv;
	uv_signal_t signals[SIGNALS];
	bool watching;
	loop_fn *on_stop, *on_hup, *on_int; /* the last may be NULL */
	void *arg;
};

int loop_open(struct loop **out, struct err *err)
{
	struct loop *l = mem_zero(1, sizeof(*l));
	int rc = uv_loop_init(&l->uv);

	if (rc) {
		free(l);
		return err_errno(err, -rc, "open event loop");
	}
	l->uv.data = l;
	signal(SIGPIPE, SIG_IGN);
	*out = l;
	return 0;
}

uv_loop_t *loop_uv(struct loop *l)
{
	return &l->uv;
}

/* libuv restores a signal's usual effect with its last watcher, so from here
 * on INT and TERM kill. */
static void on_end(uv_signal_t *h, int number)
{
	struct loop *l = h->loop->data;

	if (number == SIGINT && l->on_int) {
		l->on_int(l->arg);
		return;
	}
	uv_signal_stop(&l->signals[ON_INT]);
	uv_signal_stop(&l->signals[ON_TERM]);
	l->on_stop(l->arg);
}

static void on_hangup(uv_signal_t *h, int number)
{
	struct loop *l = h->loop->data;

	(void)number;
	l->on_hup(l->arg);
}

void loop_signals(struct loop *l, loop_fn *on_stop, loop_fn *on_hup, void *arg)
{
	l->on_stop = on_stop;
	l->on_hup = on_hup;
	l->arg = arg;
	l->watching = true;
	for (int i = 0; i < SIGNALS; i++) {
		uv_signal_init(&l->uv, &l->signals[i]);
		uv_unref((uv_handle_t *)&l->signals[i]);
	}
	uv_signal_start(&l->signals[ON_INT], on_end, SIGINT);
	uv_signal_start(&l->signals[ON_TERM], on_end, SIGTERM);
	if (on_hup)
		uv_signal_start(&l->signals[ON_HUP], on_hangup, SIGHUP);
}

void loop_on_interrupt(struct loop *l, loop_fn *on_int)
{
	l->on_int = on_int;
}

static void tell_watchdog(void *arg)
{
	(void)arg;
	notify_send("WATCHDOG=1");
}

void loop_run(struct loop *l)
{
	int64_t every_ms = notify_watchdog_ms() / 2;
	struct timer tell = {0};

	if (every_ms) {
		tell_watchdog(NULL);
		timer_every(&tell, l, every_ms, tell_watchdog, NULL);
		uv_unref((uv_handle_t *)tell.h);
	}
	uv_run(&l->uv, UV_RUN_DEFAULT);
	timer_stop(&tell);
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

static void check_closing(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (uv_is_closing(h))
		return;
	fprintf(stderr, "loop_close: a %s handle is still open\n",
		uv_handle_type_name(h->type));
	abort();
}

void loop_close(struct loop *l)
{
	if (!l)
		return;
	for (int i = 0; l->watching && i < SIGNALS; i++)
		uv_close((uv_handle_t *)&l->signals[i], NULL);
	while (uv_loop_close(&l->uv)) {
		uv_walk(&l->uv, check_closing, NULL);
		uv_run(&l->uv, UV_RUN_ONCE);
	}
	free(l);
}
