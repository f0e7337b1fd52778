/* What the pool says is done: instructions are sent, as many as may be under
 * way, their ends reported, whoever is lost forgotten. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "fl/participants_impl.h"

enum {
	GIVE_AGAIN_MS = 2,
	IDLE_MS = 1000,       /* in which readers who read take more than … */
	IDLE_BYTES = 64 << 10 /* … this, together */
};

/* Its instruction ended before it was sent: it waits as before, unless it is to
 * ask again. */
static void take_back(struct seat *seat)
{
	int64_t now_ms = clock_ms();

	pool_answer(&seat->ps->pool, seat->id, ERR_OK, now_ms);
	if (seat->call)
		pool_ask(&seat->ps->pool, seat->id, now_ms);
}

static size_t give_one(struct seat *seat)
{
	struct participants *ps = seat->ps;
	struct pool_info info;
	struct run *run;
	size_t size;

	TAILQ_REMOVE(&ps->giving, seat, giving);
	seat->to_give = false;
	HASH_FIND(hh, ps->runs, &seat->job, sizeof(seat->job), run);
	if (!run || !pool_look(&ps->pool, seat->id, &info) ||
	    info.job != seat->job) {
		take_back(seat);
		return 0;
	}
	run->given_ms = clock_ms();
	size = run->instruction->size;
	if (*seat->token)
		ask_reply(seat, seat->job, run->instruction->msg);
	else
		seat_send(seat, run->instruction->msg);
	return size;
}

static bool is_full(struct participants *ps, size_t unread)
{
	if (unread < ps->idle)
		ps->idle = unread;
	return unread - ps->idle >= ps->opts.max_unread;
}

/* Whoever does not read holds up nobody else: what waits for them alone does not
 * count, until the server cuts them off. */
static void watch_readers(struct participants *ps, size_t unread)
{
	int64_t now_ms = clock_ms();

	if (!is_full(ps, unread)) {
		ps->full_ms = 0;
	} else if (!ps->full_ms || unread + IDLE_BYTES <= ps->full) {
		ps->full_ms = now_ms;
		ps->full = unread;
	} else if (now_ms - ps->full_ms >= IDLE_MS) {
		ps->full_ms = 0;
		ps->idle = unread;
	}
}

/* As much as may wait to be read; more as it is. */
static void give_more(void *arg)
{
	struct participants *ps = arg;
	size_t unread = server_unread(ps->server);
	struct seat *seat;

	watch_readers(ps, unread);
	while ((seat = TAILQ_FIRST(&ps->giving)) && !is_full(ps, unread))
		unread += give_one(seat);
	participants_act(ps);
	if (TAILQ_EMPTY(&ps->giving))
		ps->full_ms = 0;
	else
		timer_set(&ps->give, ps->loop, GIVE_AGAIN_MS, give_more, ps);
}

static void give_soon(struct participants *ps, const struct pool_act *a)
{
	struct seat *seat = seat_find(ps, a->who);

	if (!seat)
		return; /* a callback sent it away */
	if (a->tries > 1 && seat->job != a->job) {
		ps->moved++;
		log_info("given_again",
			 "instruction=%" PRId64 " participant=%" PRId64
			 " try=%d",
			 a->job, a->who, a->tries);
	}
	seat->job = a->job;
	if (seat->to_give)
		return;
	if (TAILQ_EMPTY(&ps->giving))
		timer_set(&ps->give, ps->loop, 0, give_more, ps);
	TAILQ_INSERT_TAIL(&ps->giving, seat, giving);
	seat->to_give = true;
}

static const struct err *verdict(const struct pool_act *a,
				 const struct run *run, struct err *err)
{
	const char *why = run->why;

	switch (a->code) {
	case ERR_OK:
		return NULL;
	case ERR_UNIMPLEMENTED:
		err_set(err, a->code,
			"participant %" PRId64 " does not know the instruction",
			a->who);
		break;
	case ERR_ABORTED:
		err_set(err, a->code, "participant %" PRId64 " failed: %.500s",
			a->who, why ? why : "no reason given");
		break;
	case ERR_UNAVAILABLE:
		err_set(err, a->code, "participant %" PRId64 " has gone",
			a->who);
		break;
	default:
		if (a->who)
			err_set(err, a->code,
				"participant %" PRId64
				" did not answer in time",
				a->who);
		else
			err_set(err, a->code,
				"no participant was free in time%s%.500s",
				why ? "; one failed: " : "", why ? why : "");
	}
	return err;
}

void run_free(struct participants *ps, struct run *run)
{
	HASH_DEL(ps->runs, run);
	instruction_free(run->instruction);
	free(run->why);
	free(run);
}

static void report(struct participants *ps, const struct pool_act *a)
{
	struct seat *seat = seat_find(ps, a->who);
	struct run_answer answer = {
		.run = a->job, .who = a->who, .tries = a->tries};
	struct run *run;
	struct err err;
	run_done_fn *done;
	void *arg;

	HASH_FIND(hh, ps->runs, &a->job, sizeof(a->job), run);
	done = run->done;
	arg = run->arg;
	if (run->given_ms)
		answer.took_ms = clock_ms() - run->given_ms;
	answer.msg = a->code ? NULL : ps->msg;
	if (a->code == ERR_DEADLINE_EXCEEDED)
		seat_rest(seat);
	if (verdict(a, run, &err)) {
		if (a->code != ERR_ABORTED) /* that was told when it failed */
			log_info("unanswered",
				 "instruction=%" PRId64 " error=%s", a->job,
				 err.msg);
		run_free(ps, run);
		done(&err, &answer, arg);
	} else {
		run_free(ps, run);
		done(NULL, &answer, arg);
	}
}

static void lose(struct participants *ps, int64_t who)
{
	struct seat *seat = seat_find(ps, who);
	struct call *call = seat->call;
	struct err err;

	ps->vanished++;
	log_info("vanished", "participant=%" PRId64, who);
	seat_free(seat);
	if (!call)
		return;
	call_on_cancel(call, NULL, NULL);
	err_set(&err, ERR_DEADLINE_EXCEEDED,
		"did not hand over the initiative in time");
	call_fail(call, &err);
}

static void on_tick(void *arg)
{
	struct participants *ps = arg;

	ps->tick_ms = INT64_MAX;
	pool_tick(&ps->pool, clock_ms());
	participants_act(ps);
}

static void watch_time(struct participants *ps)
{
	int64_t due_ms = pool_deadline(&ps->pool), now_ms;

	if (due_ms >= ps->tick_ms)
		return;
	ps->tick_ms = due_ms;
	now_ms = clock_ms();
	timer_set(&ps->tick, ps->loop, due_ms > now_ms ? due_ms - now_ms : 0,
		  on_tick, ps);
}

static void on_enough(void *arg)
{
	struct participants *ps = arg;
	participants_fn *fn = ps->enough;

	if (!fn || ps->n_there < ps->min_n)
		return;
	ps->enough = NULL;
	fn(ps->enough_arg);
}

void participants_look(struct participants *ps)
{
	if (ps->enough && ps->n_there >= ps->min_n)
		timer_set(&ps->wake, ps->loop, 0, on_enough, ps);
}

static void act(struct participants *ps, const struct pool_act *a)
{
	switch (a->what) {
	case POOL_GIVE:
		give_soon(ps, a);
		break;
	case POOL_REPORT:
		report(ps, a);
		break;
	case POOL_LOST:
		lose(ps, a->who);
		break;
	}
}

/* A callback's own events are acted upon here, not within itself. */
void participants_act(struct participants *ps)
{
	struct pool_act a;

	if (ps->acting || ps->closing)
		return;
	ps->acting = true;
	while (pool_next(&ps->pool, &a))
		act(ps, &a);
	ps->acting = false;
	watch_time(ps);
	participants_look(ps);
}
