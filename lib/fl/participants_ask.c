#include <stdio.h>

#include "base/clock.h"
#include "base/rand.h"
#include "fl/participants_impl.h"

enum { MARGIN = 8 }; /* of the client's deadline: its last eighth */

static void reply(struct call *call, const char *token, int64_t job,
		  const CoordinatorMessage *msg)
{
	Gfl__V1__AskResponse out = GFL__V1__ASK_RESPONSE__INIT;

	out.participant = (char *)token;
	out.instruction = job;
	out.message = (CoordinatorMessage *)msg;
	call_reply(call, &out.base);
}

/* Let it ask again. */
static void reply_later(struct call *call, const char *token, int after_s)
{
	CoordinatorMessage m = COORDINATOR_MESSAGE__INIT;

	m.message_case = COORDINATOR_MESSAGE__MESSAGE_RECONNECT_IN;
	m.reconnect_in = after_s;
	reply(call, token, 0, &m);
}

/* It waits no more. */
static struct call *let_go(struct seat *seat)
{
	struct call *call = seat->call;

	seat->call = NULL;
	timer_stop(&seat->hold);
	call_on_cancel(call, NULL, NULL);
	return call;
}

static void on_gone(struct call *call, void *arg)
{
	struct seat *seat = arg;

	(void)call;
	seat->call = NULL;
	seat_vanish(seat);
}

static void on_held(void *arg)
{
	struct seat *seat = arg;
	struct participants *ps = seat->ps;
	int64_t now_ms = clock_ms();
	struct pool_info info;

	if (seat->to_give) { /* any moment now */
		timer_set(&seat->hold, ps->loop, 1, on_held, seat);
		return;
	}
	reply_later(let_go(seat), seat->token, 0);
	if (pool_look(&ps->pool, seat->id, &info) && info.state != POOL_WORKING)
		pool_rest(&ps->pool, seat->id, now_ms);
	participants_act(ps);
}

static void hold(struct seat *seat, struct call *call)
{
	struct participants *ps = seat->ps;
	int64_t hold_ms = ps->opts.hold_ms, left_ms;

	if (call_deadline_ms(call) != INT64_MAX) {
		left_ms = call_deadline_ms(call) - clock_ms();
		left_ms -= left_ms / MARGIN;
		hold_ms = left_ms < hold_ms ? left_ms : hold_ms;
	}
	seat->call = call;
	call_on_cancel(call, on_gone, seat);
	timer_set(&seat->hold, ps->loop, hold_ms > 0 ? hold_ms : 0, on_held,
		  seat);
}

static void name(struct seat *seat)
{
	uint64_t random[2];

	rand_os(random, sizeof(random));
	snprintf(seat->token, sizeof(seat->token), "%016llx%016llx",
		 (unsigned long long)random[0], (unsigned long long)random[1]);
	HASH_ADD_KEYPTR(by_token, seat->ps->tokens, seat->token, TOKEN_CHARS,
			seat);
}

/* Whoever asks, or NULL, and the call is answered. */
static struct seat *find(struct participants *ps, struct call *call,
			 const char *token)
{
	struct seat *seat;
	struct err err;

	if (!*token) {
		seat = seat_new(ps, call, &err);
		if (seat) {
			seat->call = NULL;
			name(seat);
		} else {
			reply_later(call, "", FULL_S);
		}
		return seat;
	}
	HASH_FIND(by_token, ps->tokens, token, strlen(token), seat);
	if (seat)
		return seat;
	err_set(&err, ERR_NOT_FOUND,
		"no such participant is there any more: ask without a name");
	call_fail(call, &err);
	return NULL;
}

static void leave(struct seat *seat, struct call *call)
{
	Gfl__V1__AskResponse out = GFL__V1__ASK_RESPONSE__INIT;
	struct err err;

	if (seat->call) {
		err_set(&err, ERR_ABORTED, "the participant leaves");
		call_fail(let_go(seat), &err);
	}
	seat_vanish(seat);
	call_reply(call, &out.base);
}

/* False: the call is answered. */
static bool take(struct seat *seat, struct call *call,
		 const Gfl__V1__AskRequest *in)
{
	struct pool_info info;
	struct err err;

	if (!in->instruction || !in->answer || seat->to_give ||
	    !pool_look(&seat->ps->pool, seat->id, &info) ||
	    info.job != in->instruction)
		return true; /* nothing, or too late */
	if (!seat_answer(seat, in->answer, &err))
		return true;
	call_fail(call, &err);
	return false;
}

void ask_serve(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__AskRequest *in = (const Gfl__V1__AskRequest *)msg;
	struct participants *ps = arg;
	struct seat *seat = find(ps, call, in->participant);
	struct pool_info info;
	struct err err;
	int64_t id;

	if (!seat)
		return;
	if (in->leave) {
		leave(seat, call);
		return;
	}
	id = seat->id;
	if (!take(seat, call, in))
		return;
	if (!pool_look(&ps->pool, id, &info)) { /* a callback's doing */
		reply_later(call, "", 0);
		return;
	}
	if (seat->call) {
		err_set(&err, ERR_ABORTED,
			"a later request of the participant took the place");
		call_fail(let_go(seat), &err);
	}
	hold(seat, call);
	seat_ask(seat);
}

void ask_reply(struct seat *seat, int64_t job, const CoordinatorMessage *msg)
{
	if (seat->call)
		reply(let_go(seat), seat->token, job, msg);
}

/* Whoever asks is told; who does not will find that it is not known. */
void ask_hang_up(struct seat *seat, int reconnect_in_s)
{
	struct err err;

	if (!seat->call)
		return;
	if (reconnect_in_s >= 0) {
		reply_later(let_go(seat), "", reconnect_in_s);
		return;
	}
	err_set(&err, ERR_CANCELLED, "the work is done");
	call_fail(let_go(seat), &err);
}
