#include "registry/hedge.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/timer.h"

/* One who is asked. */
struct asked {
	struct hedge *h;
	char *url;
	struct rpc *rpc;
};

struct hedge {
	struct client *client;
	struct loop *loop;
	struct hedge_opts opts;
	ProtobufCMessage *in;
	hedge_each_fn *each;
	hedge_done_fn *done;
	void *arg;
	int64_t end_ms; /* 0: none */
	size_t next, under_way, good;
	struct err why; /* what urls[why_at] said */
	size_t why_at;
	struct timer pace, grace;
	struct asked all[];
};

static void on_pace(void *arg);

static void release(struct hedge *h)
{
	timer_stop(&h->pace);
	timer_stop(&h->grace);
	for (size_t i = 0; i < h->opts.n; i++) {
		client_cancel(h->all[i].rpc);
		free(h->all[i].url);
	}
	rpc_free(h->in);
	free(h);
}

static void finish(struct hedge *h, bool good)
{
	hedge_done_fn *done = h->done;
	struct err why = h->why;
	void *arg = h->arg;

	release(h);
	done(good ? NULL : &why, arg);
}

static void on_grace(void *arg)
{
	finish(arg, true);
}

static bool is_final(const struct hedge *h, const struct err *err)
{
	return !h->opts.any_failure && err->code != ERR_UNAVAILABLE &&
	       err->code != ERR_DEADLINE_EXCEEDED;
}

static bool is_spare(const struct hedge *h, size_t i)
{
	return i >= h->opts.n - h->opts.spare;
}

/* Is there somebody left to ask? */
static bool more(const struct hedge *h)
{
	return h->next < h->opts.n && !(h->good && is_spare(h, h->next));
}

static void answered(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	struct asked *a = arg;
	struct hedge *h = a->h;
	size_t i = (size_t)(a - h->all);

	a->rpc = NULL;
	h->under_way--;
	if (err && is_final(h, err)) {
		h->why = *err;
		finish(h, false);
		return;
	}
	if (err && i <= h->why_at) {
		h->why = *err;
		h->why_at = i;
	}
	h->good += !err;
	if (!err && h->each(out, i, h->arg)) {
		finish(h, true);
		return;
	}
	if (h->good == 1 && !err && h->opts.grace_ms)
		timer_set(&h->grace, h->loop, h->opts.grace_ms, on_grace, h);
	if (more(h) && (!is_spare(h, h->next) || !h->under_way))
		timer_set(&h->pace, h->loop, 0, on_pace, h);
	else if (!h->under_way)
		finish(h, h->good > 0);
}

static void ask(struct hedge *h)
{
	struct asked *a = &h->all[h->next++];
	struct rpc_opts opts = {0};

	if (h->end_ms) {
		opts.timeout_ms = h->end_ms - clock_ms();
		if (opts.timeout_ms < 1)
			opts.timeout_ms = 1;
	}
	h->under_way++;
	a->rpc = client_call(h->client, a->url, h->opts.name, h->in, &opts,
			     answered, a);
}

static void on_pace(void *arg)
{
	struct hedge *h = arg;

	if (!more(h))
		return;
	do
		ask(h);
	while (h->next < h->opts.together);
	if (more(h))
		timer_set(&h->pace, h->loop, h->opts.pace_ms, on_pace, h);
}

static void nobody(void *arg)
{
	struct hedge *h = arg;

	err_set(&h->why, ERR_UNAVAILABLE, "nobody to ask is known");
	finish(h, false);
}

struct hedge *hedge_call(struct client *c, struct loop *loop,
			 const struct hedge_opts *opts, hedge_each_fn *each,
			 hedge_done_fn *done, void *arg)
{
	struct hedge *h =
		mem_zero(1, sizeof(*h) + opts->n * sizeof(struct asked));

	h->client = c;
	h->loop = loop;
	h->opts = *opts;
	h->why_at = opts->n;
	if (!h->opts.pace_ms)
		h->opts.pace_ms = HEDGE_PACE_MS;
	h->in = rpc_copy(opts->in);
	h->each = each;
	h->done = done;
	h->arg = arg;
	h->end_ms = opts->timeout_ms ? clock_ms() + opts->timeout_ms : 0;
	for (size_t i = 0; i < opts->n; i++) {
		h->all[i].h = h;
		h->all[i].url = mem_str(opts->urls[i]);
	}
	timer_set(&h->pace, loop, 0, opts->n ? on_pace : nobody, h);
	return h;
}

void hedge_cancel(struct hedge *h)
{
	if (h)
		release(h);
}

struct waiter {
	struct loop *loop;
	hedge_each_fn *each;
	void *arg;
	struct err *err;
	int rc;
};

static bool pass_on(const ProtobufCMessage *out, size_t i, void *arg)
{
	struct waiter *w = arg;

	return w->each(out, i, w->arg);
}

static void over(const struct err *err, void *arg)
{
	struct waiter *w = arg;

	if (err) {
		*w->err = *err;
		w->rc = (int)err->code;
	}
	loop_stop(w->loop);
}

int hedge_now(const struct hedge_opts *opts, hedge_each_fn *each, void *arg,
	      struct err *err)
{
	struct waiter w = {.each = each, .arg = arg, .err = err};
	struct client *c = NULL;
	int rc = loop_open(&w.loop, err);

	if (rc)
		return rc;
	rc = client_open_files(&c, w.loop, opts->tls, err);
	if (!rc) {
		hedge_call(c, w.loop, opts, pass_on, over, &w);
		loop_run(w.loop);
		rc = w.rc;
	}
	client_close(c);
	loop_close(w.loop);
	return rc;
}

void hedge_shuffle(const char **urls, size_t n)
{
	struct rand r;

	rand_os(&r, sizeof(r));
	for (size_t i = n; i > 1; i--) {
		size_t k = (size_t)rand_below(&r, i);
		const char *one = urls[i - 1];

		urls[i - 1] = urls[k];
		urls[k] = one;
	}
}
