#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "chaos.h"

void chaos_fail(struct chaos *c, const struct err *err)
{
	if (!c->err.code)
		c->err = *err;
}

void chaos_say(struct chaos *c, const char *fmt, ...)
{
	va_list ap;

	printf("# %7.2f ", (double)(clock_us() - c->began_us) / 1e6);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static void on_time(void *arg)
{
	*(bool *)arg = true;
}

bool turn_until(struct chaos *c, turn_fn *cond, void *arg, int64_t ms)
{
	struct timer timer = {0};
	bool late = false, holds;

	timer_set(&timer, c->loop, ms, on_time, &late);
	while (!(holds = cond(c, arg)) && !late && !c->err.code)
		uv_run(loop_uv(c->loop), UV_RUN_ONCE);
	timer_stop(&timer);
	return holds && !c->err.code;
}

static bool never(struct chaos *c, void *arg)
{
	(void)c, (void)arg;
	return false;
}

void turn_for(struct chaos *c, int64_t ms)
{
	turn_until(c, never, NULL, ms);
}

bool turn_expect(struct chaos *c, turn_fn *cond, void *arg, int64_t ms,
		 const char *what)
{
	struct err err;

	if (turn_until(c, cond, arg, ms))
		return true;
	err_set(&err, ERR_DEADLINE_EXCEEDED,
		"%s: within %lld s it does not come to hold that %s",
		c->doing ? c->doing : "start", (long long)ms / 1000, what);
	chaos_fail(c, &err);
	return false;
}
