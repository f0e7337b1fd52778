/* Submitters that wait for results. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "task/master_impl.h"

enum { HOLD_MAX_MS = 25000 };

static void waiter_free(struct waiter *w)
{
	LIST_REMOVE(w, next);
	free(w->token);
	free(w);
}

static void waiter_gone(struct call *call, void *arg)
{
	(void)call;
	waiter_free(arg);
}

static void answer_results(struct waiter *w, const struct queue_rows *rows)
{
	Gfl__V1__WaitResultsResponse out = GFL__V1__WAIT_RESULTS_RESPONSE__INIT;

	out.n_tasks = rows->n;
	out.tasks = rows->at;
	out.after = out.n_tasks ? rows->at[out.n_tasks - 1]->ended : w->after;
	call_reply(w->call, &out.base);
	waiter_free(w);
}

/* Answer w if there is something for it, or if it is too late. */
static void look(struct waiter *w, bool late)
{
	struct queue_rows rows = {0};
	struct err err;

	w->due = false;
	if (queue_results(w->m->reader, w->token, w->after, w->max, &rows,
			  &w->submission, &err)) {
		call_fail(w->call, &err);
		waiter_free(w);
	} else if (rows.n || late) {
		answer_results(w, &rows);
	}
	queue_rows_release(&rows);
}

void master_wake(struct master *m, int64_t submission)
{
	struct waiter *w;

	LIST_FOREACH (w, &m->waiters, next)
		w->due =
			w->due || !w->submission || w->submission == submission;
}

void master_tell_waiters(struct master *m, int64_t now_ms)
{
	struct waiter *w, *next;

	for (w = LIST_FIRST(&m->waiters); w; w = next) {
		next = LIST_NEXT(w, next);
		if (w->due || w->until_ms <= now_ms)
			look(w, w->until_ms <= now_ms);
	}
}

void master_end_waiters(struct master *m)
{
	while (!LIST_EMPTY(&m->waiters))
		waiter_free(LIST_FIRST(&m->waiters));
}

int master_rows(int32_t max)
{
	return max < 1 || max > MASTER_ROWS ? MASTER_ROWS : max;
}

static void on_wait(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__WaitResultsRequest *in =
		(const Gfl__V1__WaitResultsRequest *)msg;
	struct waiter *w = mem_zero(1, sizeof(*w));
	struct master *m = arg;
	int64_t wait_ms = in->wait_ms < HOLD_MAX_MS ? in->wait_ms : HOLD_MAX_MS;

	w->m = m;
	w->call = call;
	w->token = mem_str(in->token);
	w->after = in->after;
	w->max = master_rows(in->max);
	w->until_ms = clock_ms() + wait_ms;
	LIST_INSERT_HEAD(&m->waiters, w, next);
	call_on_cancel(call, waiter_gone, w);
	look(w, wait_ms <= 0);
}

void master_serve_waits(struct master *m)
{
	server_handle(m->server, RPC_TASK_WAIT_RESULTS, on_wait, m);
}
