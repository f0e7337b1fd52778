#include <inttypes.h>
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
	seat->works = false;
	timer_stop(&seat->hold);
	call_on_cancel(call, NULL, NULL);
	return call;
}

static void fail(struct seat *seat, enum err_code code, const char *why)
{
	struct err err;

	err_set(&err, code, "%s", why);
	call_fail(let_go(seat), &err);
}

static void on_gone(struct call *call, void *arg)
{
	struct seat *seat = arg;

	(void)call;
	seat->call = NULL;
	seat_vanish(seat);
}

/* It said that it worked, and says so no more. */
static void on_lapsed(void *arg)
{
	seat_vanish(arg);
}

static void expect_word(struct seat *seat)
{
	struct participants *ps = seat->ps;

	timer_set(&seat->hold, ps->loop, ps->opts.lease_ms, on_lapsed, seat);
}

static void let_work(struct seat *seat)
{
	CoordinatorMessage later = COORDINATOR_MESSAGE__INIT;

	later.message_case = COORDINATOR_MESSAGE__MESSAGE_RECONNECT_IN;
	reply(let_go(seat), seat->token, seat->job, &later);
	expect_word(seat);
}

static void on_held(void *arg)
{
	struct seat *seat = arg;
	struct participants *ps = seat->ps;
	int64_t now_ms = clock_ms();
	struct pool_info info;

	if (seat->works) {
		let_work(seat);
		return;
	}
	if (seat->to_give && !ps->full_ms) { /* any moment now */
		timer_set(&seat->hold, ps->loop, 1, on_held, seat);
		return;
	}
	reply_later(let_go(seat), seat->token, 0);
	if (seat->to_give) { /* others read first; it keeps its place */
		expect_word(seat);
		return;
	}
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

/* Who believes to be here is told, by name, what its answer is worth. */
static void refuse(struct participants *ps, struct call *call,
		   const Gfl__V1__AskRequest *in)
{
	struct err err;

	if (in->instruction && in->answer) {
		seat_late(ps, 0, in->instruction);
		err_set(&err, ERR_NOT_FOUND,
			"the answer to instruction %" PRId64
			" is refused: its participant was taken for gone, and "
			"another one may have it: ask without a name",
			in->instruction);
	} else {
		err_set(&err, ERR_NOT_FOUND,
			"no such participant is there any more: ask without a "
			"name");
	}
	call_fail(call, &err);
}

/* Whoever asks, or NULL, and the call is answered. */
static struct seat *find(struct participants *ps, struct call *call,
			 const Gfl__V1__AskRequest *in)
{
	const char *token = in->participant;
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
	if (!seat)
		refuse(ps, call, in);
	return seat;
}

static void leave(struct seat *seat, struct call *call)
{
	Gfl__V1__AskResponse out = GFL__V1__ASK_RESPONSE__INIT;

	if (seat->call)
		fail(seat, ERR_ABORTED, "the participant leaves");
	seat_vanish(seat);
	call_reply(call, &out.base);
}

/* The instruction was sent to it, and has not ended. */
static bool works_on(const struct seat *seat, int64_t instruction)
{
	struct pool_info info;

	return instruction && !seat->to_give &&
	       pool_look(&seat->ps->pool, seat->id, &info) &&
	       info.job == instruction;
}

/* False: the call is answered. */
static bool take(struct seat *seat, struct call *call,
		 const Gfl__V1__AskRequest *in)
{
	struct err err;

	if (!in->instruction || !in->answer)
		return true;
	if (!works_on(seat, in->instruction)) {
		seat_late(seat->ps, seat->id, in->instruction);
		return true;
	}
	if (!seat_answer(seat, in->answer, &err))
		return true;
	call_fail(call, &err);
	return false;
}

static void supersede(struct seat *seat)
{
	if (seat->call)
		fail(seat, ERR_ABORTED,
		     "a later request of the participant took the place");
}

static void watch(struct seat *seat, struct call *call, int64_t instruction)
{
	struct err err;

	if (!works_on(seat, instruction)) {
		err_set(&err, ERR_FAILED_PRECONDITION,
			"participant %" PRId64
			" does not work on instruction %" PRId64,
			seat->id, instruction);
		call_fail(call, &err);
		return;
	}
	supersede(seat);
	hold(seat, call);
	seat->works = true;
}

static void ask(struct seat *seat, struct call *call,
		const Gfl__V1__AskRequest *in)
{
	struct participants *ps = seat->ps;
	int64_t id = seat->id;
	struct pool_info info;

	if (!take(seat, call, in))
		return;
	if (!pool_look(&ps->pool, id, &info)) { /* a callback's doing */
		reply_later(call, "", 0);
		return;
	}
	supersede(seat);
	seat->will_say = in->working;
	hold(seat, call);
	seat_ask(seat);
}

/* Nobody comes by a request that says what cannot be. */
static int check(const Gfl__V1__AskRequest *in, struct err *err)
{
	if (in->answer && !in->instruction)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "an answer, and not which instruction it is to");
	if (in->instruction && !*in->participant)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "instruction %" PRId64
			       ", and not which participant has it",
			       in->instruction);
	return 0;
}

void ask_serve(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__AskRequest *in = (const Gfl__V1__AskRequest *)msg;
	struct seat *seat;
	struct err err;

	if (check(in, &err)) {
		call_fail(call, &err);
		return;
	}
	seat = find(arg, call, in);
	if (!seat)
		return;
	if (in->leave)
		leave(seat, call);
	else if (in->working && in->instruction && !in->answer)
		watch(seat, call, in->instruction);
	else
		ask(seat, call, in);
}

void ask_reply(struct seat *seat, int64_t job, const CoordinatorMessage *msg)
{
	if (!seat->call)
		return;
	reply(let_go(seat), seat->token, job, msg);
	if (seat->will_say)
		expect_word(seat);
}

/* Whoever asks is told; who does not will find that it is not known. */
void ask_hang_up(struct seat *seat, int reconnect_in_s)
{
	if (!seat->call)
		return;
	if (reconnect_in_s >= 0)
		reply_later(let_go(seat), "", reconnect_in_s);
	else
		fail(seat, ERR_CANCELLED, "the work is done");
}

void ask_rest(struct seat *seat)
{
	if (seat->works)
		fail(seat, ERR_FAILED_PRECONDITION,
		     "the instruction has ended without an answer");
	if (seat->call)
		return; /* it waits */
	timer_stop(&seat->hold);
	pool_rest(&seat->ps->pool, seat->id, clock_ms());
}
