#include "base/clock.h"
#include "fl/participants_impl.h"

enum { STALL_MS = 30000 };

/* Who has gone, or does not read, is told nothing, but over the call is. */
static void refuse(struct call *call, int reconnect_in_s)
{
	CoordinatorMessage m = COORDINATOR_MESSAGE__INIT;

	m.message_case = COORDINATOR_MESSAGE__MESSAGE_RECONNECT_IN;
	m.reconnect_in = reconnect_in_s;
	(void)!call_send(call, &m.base);
	call_end(call);
}

static void on_gone(struct call *call, void *arg)
{
	(void)call;
	seat_vanish(arg);
}

/* What it says is no part of the exchange. */
static void end_badly(struct seat *seat, const struct err *err)
{
	struct call *call = seat->call;

	call_on_cancel(call, NULL, NULL);
	seat_vanish(seat);
	call_fail(call, err);
}

static bool is_empty(const ParticipantMessage *msg)
{
	return msg->message_case == PARTICIPANT_MESSAGE__MESSAGE__NOT_SET;
}

/* Nothing that it was given is unanswered. */
static bool is_owed_nothing(const struct seat *seat)
{
	struct pool_info info;

	return seat->to_give || !pool_look(&seat->ps->pool, seat->id, &info) ||
	       (info.state != POOL_WORKING && info.state != POOL_LATE);
}

static void take(struct seat *seat, const ParticipantMessage *msg)
{
	struct participants *ps = seat->ps;
	struct pool_info info;
	int64_t id = seat->id;
	struct err err;

	if (is_empty(msg) && is_owed_nothing(seat)) {
		if (!seat->there)
			seat_ask(seat);
		return;
	}
	if (is_owed_nothing(seat)) {
		err_set(&err, ERR_FAILED_PRECONDITION,
			"an answer to no instruction");
		end_badly(seat, &err);
	} else if (seat_answer(seat, msg, &err)) {
		end_badly(seat, &err);
	} else if (pool_look(&ps->pool, id, &info)) {
		seat_ask(seat); /* no callback has sent it away */
	}
}

static void on_message(struct call *call, const ProtobufCMessage *msg,
		       void *arg)
{
	struct seat *seat = arg;

	if (msg) {
		take(seat, (const ParticipantMessage *)msg);
		return;
	}
	call_on_cancel(call, NULL, NULL);
	seat_vanish(seat);
	call_end(call);
}

void stream_serve(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct participants *ps = arg;
	struct seat *seat;
	struct err err;

	(void)in;
	seat = seat_new(ps, call, &err);
	if (!seat) {
		refuse(call, FULL_S);
		return;
	}
	call_be_patient(call);
	call_stall(call, STALL_MS);
	call_on_message(call, on_message, seat);
	call_on_cancel(call, on_gone, seat);
	participants_act(ps); /* time runs until it says something */
}

/* If that fails it has vanished by the time. */
void seat_send(struct seat *seat, const CoordinatorMessage *msg)
{
	(void)!call_send(seat->call, &msg->base);
}

void seat_hang_up(struct seat *seat, int reconnect_in_s)
{
	struct call *call = seat->call;

	seat->call = NULL;
	call_on_cancel(call, NULL, NULL);
	call_on_message(call, NULL, NULL);
	if (reconnect_in_s < 0)
		call_end(call);
	else
		refuse(call, reconnect_in_s);
}
