#include "base/loop.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/notify.h"

enum { ON_INT, ON_TERM, ON_HUP, SIGNALS };
enum { TOGETHER_MS = 100 };

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

/* When on_stop() was called. */
static struct timespec stopping;

/* What sends a signal to a process often sends it to its group as well, as
 * timeout(1) and launchers do: within TOGETHER_MS it is the same one. A handler
 * and no watcher, as a loop that hangs has to obey. */
static void on_signal_again(int number)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((now.tv_sec - stopping.tv_sec) * 1000 +
		    (now.tv_nsec - stopping.tv_nsec) / 1000000 <
	    TOGETHER_MS)
		return;
	signal(number, SIG_DFL);
	raise(number);
}

/* With the last watcher libuv gives up a signal, which is ours then. */
static void on_end(uv_signal_t *h, int number)
{
	struct loop *l = h->loop->data;

	if (number == SIGINT && l->on_int) {
		l->on_int(l->arg);
		return;
	}
	uv_signal_stop(&l->signals[ON_INT]);
	uv_signal_stop(&l->signals[ON_TERM]);
	clock_gettime(CLOCK_MONOTONIC, &stopping);
	signal(SIGINT, on_signal_again);
	signal(SIGTERM, on_signal_again);
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
