#include "test.h"

#include <signal.h>
#include <unistd.h>

#include "base/loop.h"
#include "capture.h"

struct state {
	struct loop *loop;
	struct timer a, b;
	char text[32];
	int left;
};

static void fire_a(void *arg)
{
	struct state *s = arg;

	strcat(s->text, "a");
}

static void fire_b(void *arg)
{
	struct state *s = arg;

	strcat(s->text, "b");
	timer_stop(&s->a);
	timer_stop(&s->b);
}

static void count_down(void *arg)
{
	struct state *s = arg;

	strcat(s->text, ".");
	if (--s->left == 0)
		loop_stop(s->loop);
}

TEST(timers_fire_in_the_order_of_their_times)
{
	struct state s = {0};
	struct err err;

	CHECK(!loop_open(&s.loop, &err));
	timer_set(&s.b, s.loop, 300, fire_b, &s);
	timer_set(&s.a, s.loop, 1, fire_a, &s);
	loop_run(s.loop);
	CHECK_STR(s.text, "ab");
	loop_close(s.loop);
}

TEST(a_timer_set_anew_fires_once)
{
	struct state s = {0};
	struct err err;

	CHECK(!loop_open(&s.loop, &err));
	timer_set(&s.a, s.loop, 3600000, fire_a, &s);
	timer_set(&s.a, s.loop, 0, fire_a, &s);
	loop_run(s.loop);
	CHECK_STR(s.text, "a");
	timer_stop(&s.a);
	timer_stop(&s.a);
	loop_close(s.loop);
}

TEST(a_stopped_timer_may_vanish_at_once)
{
	struct timer *t = calloc(1, sizeof(*t));
	struct loop *loop;
	struct err err;

	CHECK(t && !loop_open(&loop, &err));
	timer_set(t, loop, 0, fire_a, NULL);
	timer_stop(t);
	free(t);
	loop_run(loop);
	loop_close(loop);
}

TEST(a_repeated_timer_goes_on_until_stopped)
{
	struct state s = {.left = 3};
	struct err err;

	CHECK(!loop_open(&s.loop, &err));
	timer_every(&s.a, s.loop, 1, count_down, &s);
	loop_run(s.loop);
	CHECK_STR(s.text, "...");
	timer_stop(&s.a);
	loop_close(s.loop);
}

static void hang_up(void *arg)
{
	struct state *s = arg;

	strcat(s->text, "h");
	raise(SIGTERM);
}

static void stop(void *arg)
{
	struct state *s = arg;

	strcat(s->text, "s");
	loop_stop(s->loop);
}

static void idle(void *arg)
{
	(void)arg;
}

TEST(signals_reach_the_loop)
{
	struct state s = {0};
	struct err err;

	CHECK(!loop_open(&s.loop, &err));
	loop_signals(s.loop, stop, hang_up, &s);
	timer_every(&s.a, s.loop, 3600000, idle, NULL);
	raise(SIGHUP);
	loop_run(s.loop);
	CHECK_STR(s.text, "hs");
	timer_stop(&s.a);
	loop_close(s.loop);
}

/* A loop that hangs in its on_stop still obeys. */
static void signal_again(void *arg)
{
	(void)arg;
	for (;;)
		raise(SIGINT);
}

static struct loop *stopped;

static void signal_together(void *arg)
{
	(void)arg;
	raise(SIGTERM);
	raise(SIGINT);
	loop_stop(stopped);
}

static int stop_with(void *on_stop)
{
	struct timer t = {0};

	if (loop_open(&stopped, NULL))
		return 99;
	loop_signals(stopped, *(loop_fn **)on_stop, NULL, NULL);
	timer_every(&t, stopped, 3600000, idle, NULL);
	raise(SIGTERM);
	loop_run(stopped);
	return 98;
}

TEST(the_second_signal_ends_the_process_at_once)
{
	loop_fn *on_stop = signal_again;

	CHECK_INT(capture_run(stop_with, &on_stop).status, 128 + SIGINT);
}

TEST(two_signals_together_are_one)
{
	loop_fn *on_stop = signal_together;

	CHECK_INT(capture_run(stop_with, &on_stop).status, 98);
}

static int leave_open(void *arg)
{
	struct timer t = {0};
	struct loop *loop;

	(void)arg;
	if (loop_open(&loop, NULL))
		return 99;
	timer_set(&t, loop, 0, idle, NULL);
	loop_close(loop);
	return 98;
}

TEST(a_handle_left_open_is_named)
{
	struct capture c = capture_run(leave_open, NULL);

	CHECK(c.status != 98);
	CHECK_HAS(c.err, "loop_close: a timer handle is still open");
}
