/* The waiting for readers: each receiver's node, or the one through which the
 * messages go, is asked until all are taken. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "registry/post_impl.h"
#include "wire/backoff.h"

enum {
	HOLD_MAX_MS = 25000, /* one request waits no longer; then ask again */
	ANSWER_MS = 5000,    /* for an answer once the node has done waiting */
	IDS_MAX = 1000,      /* in one request */
};

struct waiting {
	struct post *p;
	struct post_receiver *r;
	size_t first; /* of the named that are still to be asked for */
	int64_t end_ms;
	int64_t waiting, lost; /* as answered last */
	struct backoff pause;
	struct rand rand;
	struct timer timer;
};

static void begin_some(struct post *p);

static void done(struct waiting *w)
{
	struct post *p = w->p;

	timer_stop(&w->timer);
	free(w);
	p->under_way--;
	begin_some(p);
	if (!p->under_way)
		loop_stop(p->loop);
}

static int64_t left_ms(const struct waiting *w)
{
	int64_t ms = w->end_ms - clock_ms();

	return ms > 0 ? ms : 0;
}

static void give_up(struct waiting *w, const struct err *err)
{
	struct post_receiver *r = w->r;

	if (err)
		err_set(&r->failed, ERR_DEADLINE_EXCEEDED, "%s", err->msg);
	else
		err_set(&r->failed, ERR_DEADLINE_EXCEEDED,
			"%" PRId64 " of %" PRId64 " not taken in time",
			w->waiting, r->sent);
	err_wrap(&r->failed, "wait for the reader of %s", r->name);
	done(w);
}

static void ask(void *arg);

static void ask_later(struct waiting *w, const struct err *err)
{
	if (w->end_ms <= clock_ms())
		give_up(w, err);
	else
		timer_set(&w->timer, w->p->loop,
			  backoff_next(&w->pause, &w->rand), ask, w);
}

static void all_taken(struct waiting *w)
{
	struct post_receiver *r = w->r;

	if (w->lost) {
		err_set(&r->failed, ERR_ABORTED,
			"%" PRId64 " of %" PRId64
			" expired, or were refused for good",
			w->lost, r->sent);
		err_wrap(&r->failed, "wait for the reader of %s", r->name);
	}
	r->taken = !w->lost;
	done(w);
}

static void answered(const struct err *err, const ProtobufCMessage *msg,
		     void *arg)
{
	const Gfl__V1__WaitTakenResponse *out =
		(const Gfl__V1__WaitTakenResponse *)msg;
	struct waiting *w = arg;

	if (err) {
		ask_later(w, err);
		return;
	}
	w->pause.now_ms = 0;
	w->waiting = out->waiting;
	if (out->waiting) {
		ask_later(w, NULL);
		return;
	}
	w->lost += out->lost;
	w->first += IDS_MAX;
	if (w->first < w->r->nnamed)
		ask(w);
	else
		all_taken(w);
}

static void ask(void *arg)
{
	struct waiting *w = arg;
	struct post_receiver *r = w->r;
	int64_t hold_ms = left_ms(w) < HOLD_MAX_MS ? left_ms(w) : HOLD_MAX_MS;
	const struct rpc_opts opts = {.timeout_ms = hold_ms + ANSWER_MS};
	Gfl__V1__WaitTakenRequest in = GFL__V1__WAIT_TAKEN_REQUEST__INIT;
	size_t rest = w->first < r->nnamed ? r->nnamed - w->first : 0;

	in.to = r->id;
	if (!w->first)
		in.prefix = w->p->prefix;
	in.ids = rest ? r->named + w->first : NULL;
	in.n_ids = rest < IDS_MAX ? rest : IDS_MAX;
	in.queued = r->queued;
	in.wait_ms = hold_ms;
	client_call(w->p->calls, r->url, RPC_NODE_WAIT_TAKEN, &in.base, &opts,
		    answered, w);
}

static void begin_some(struct post *p)
{
	while (p->next < p->n && p->under_way < POST_AT_ONCE) {
		struct post_receiver *r = p->all[p->next++];
		struct waiting *w;

		if (!r->sent || r->failed.code)
			continue;
		w = mem_zero(1, sizeof(*w));
		w->p = p;
		w->r = r;
		w->end_ms = p->wait_end_ms;
		w->pause = (struct backoff){.first_ms = 50, .max_ms = 1000};
		w->rand.state = rand_id();
		p->under_way++;
		ask(w);
	}
}

void post_wait(struct post *p)
{
	const int64_t timeout_ms = p->client.timeout_ms;

	p->wait_end_ms = timeout_ms ? clock_ms() + timeout_ms : INT64_MAX;
	p->next = 0;
	begin_some(p);
	if (p->under_way)
		loop_run(p->loop);
}
