#include "fl/participants.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/participants_impl.h"
#include "wire/peer.h"

enum { GIVE_AGAIN_MS = 2, WHY_MAX = 4096 };

/* ---- instructions ---- */

struct instruction *instruction_new(const CoordinatorMessage *in)
{
	struct instruction *i = mem_zero(1, sizeof(*i));

	i->msg = (CoordinatorMessage *)rpc_copy(&in->base);
	i->size = protobuf_c_message_get_packed_size(&in->base);
	i->refs = 1;
	return i;
}

void instruction_free(struct instruction *i)
{
	if (!i || --i->refs)
		return;
	rpc_free(&i->msg->base);
	free(i);
}

/* ---- seats ---- */

struct seat *seat_new(struct participants *ps, struct call *call,
		      struct err *err)
{
	struct seat *seat;
	int64_t id;

	if (pool_enter(&ps->pool, clock_ms(), &id, err))
		return NULL;
	seat = mem_zero(1, sizeof(*seat));
	seat->ps = ps;
	seat->id = id;
	seat->call = call;
	seat->address = mem_str(call_peer(call)->addr);
	HASH_ADD(hh, ps->seats, id, sizeof(seat->id), seat);
	return seat;
}

static struct seat *find_seat(const struct participants *ps, int64_t id)
{
	struct seat *seat;

	HASH_FIND(hh, ps->seats, &id, sizeof(id), seat);
	return seat;
}

void seat_free(struct seat *seat)
{
	struct participants *ps = seat->ps;

	HASH_DEL(ps->seats, seat);
	if (*seat->token)
		HASH_DELETE(by_token, ps->tokens, seat);
	if (seat->to_give)
		TAILQ_REMOVE(&ps->giving, seat, giving);
	ps->n_there -= seat->there;
	timer_stop(&seat->hold);
	free(seat->address);
	free(seat);
}

void seat_ask(struct seat *seat)
{
	struct participants *ps = seat->ps;

	ps->n_there += !seat->there;
	seat->there = true;
	pool_ask(&ps->pool, seat->id, clock_ms());
	participants_act(ps);
}

static bool is_npy(const NDArray *a)
{
	return a->ndarray.len > 10 && !memcmp(a->ndarray.data, "\x93NUMPY", 6);
}

static int check(const ParticipantMessage *msg, struct err *err)
{
	const TrainResult *r = msg->train_result;

	if (msg->message_case == PARTICIPANT_MESSAGE__MESSAGE__NOT_SET)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a message without a result answers nothing");
	if (msg->message_case != PARTICIPANT_MESSAGE__MESSAGE_TRAIN_RESULT)
		return 0;
	for (size_t i = 0; i < r->n_theta; i++)
		if (!is_npy(r->theta[i]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "array %zu of the result does not have "
				       "the form of a .npy file",
				       i);
	return 0;
}

/* Keep what a participant says of its failure, for whoever is told at last. */
static void keep_why(struct seat *seat, const char *why)
{
	struct run *run;

	log_info("failed",
		 "participant=%" PRId64 " instruction=%" PRId64 " error=%.300s",
		 seat->id, seat->job, why);
	HASH_FIND(hh, seat->ps->runs, &seat->job, sizeof(seat->job), run);
	if (!run)
		return;
	free(run->why);
	run->why = mem_dup(why, strnlen(why, WHY_MAX));
}

int seat_answer(struct seat *seat, const ParticipantMessage *msg,
		struct err *err)
{
	struct participants *ps = seat->ps;
	enum err_code code = ERR_OK;

	if (check(msg, err))
		return (int)err->code;
	if (msg->message_case == PARTICIPANT_MESSAGE__MESSAGE_FAILED) {
		code = ERR_ABORTED;
		keep_why(seat, msg->failed);
	} else if (msg->message_case ==
		   PARTICIPANT_MESSAGE__MESSAGE_UNKOWN_INSTRUCTION) {
		code = ERR_UNIMPLEMENTED;
	}
	ps->msg = code ? NULL : msg;
	if (pool_answer(&ps->pool, seat->id, code, clock_ms())) {
		ps->answers++;
		seat->answered += !code;
		seat->failed += code != 0;
	}
	participants_act(ps);
	ps->msg = NULL;
	return 0;
}

void seat_vanish(struct seat *seat)
{
	struct participants *ps = seat->ps;

	ps->vanished++;
	pool_leave(&ps->pool, seat->id, clock_ms());
	seat_free(seat);
	participants_act(ps);
}

/* ---- what the pool says ---- */

static void hang_up(struct seat *seat, int reconnect_in_s)
{
	if (*seat->token)
		ask_hang_up(seat, reconnect_in_s);
	else
		seat_hang_up(seat, reconnect_in_s);
}

/* Its instruction ended before it was sent: it waits as before. */
static void take_back(struct seat *seat)
{
	int64_t now_ms = clock_ms();

	pool_answer(&seat->ps->pool, seat->id, ERR_OK, now_ms);
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

/* As much as may wait to be read; more as it is. */
static void give_more(void *arg)
{
	struct participants *ps = arg;
	size_t unread = server_unread(ps->server);
	struct seat *seat;

	while ((seat = TAILQ_FIRST(&ps->giving)) &&
	       unread < ps->opts.max_unread)
		unread += give_one(seat);
	participants_act(ps);
	if (!TAILQ_EMPTY(&ps->giving))
		timer_set(&ps->give, ps->loop, GIVE_AGAIN_MS, give_more, ps);
}

static void give_soon(struct participants *ps, const struct pool_act *a)
{
	struct seat *seat = find_seat(ps, a->who);

	if (!seat)
		return; /* a callback sent it away */
	ps->moved += a->tries > 1 && seat->job != a->job;
	seat->job = a->job;
	if (seat->to_give)
		return;
	if (TAILQ_EMPTY(&ps->giving))
		timer_set(&ps->give, ps->loop, 0, give_more, ps);
	TAILQ_INSERT_TAIL(&ps->giving, seat, giving);
	seat->to_give = true;
}

/* By requests, and none is under way: it is to ask within the lease. */
static void rest(struct seat *seat)
{
	if (seat && *seat->token && !seat->call)
		pool_rest(&seat->ps->pool, seat->id, clock_ms());
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

static void run_free(struct participants *ps, struct run *run)
{
	HASH_DEL(ps->runs, run);
	instruction_free(run->instruction);
	free(run->why);
	free(run);
}

static void report(struct participants *ps, const struct pool_act *a)
{
	struct seat *seat = find_seat(ps, a->who);
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
		rest(seat);
	if (verdict(a, run, &err)) {
		run_free(ps, run);
		done(&err, &answer, arg);
	} else {
		run_free(ps, run);
		done(NULL, &answer, arg);
	}
}

static void lose(struct participants *ps, int64_t who)
{
	struct seat *seat = find_seat(ps, who);
	struct call *call = seat->call;
	struct err err;

	ps->vanished++;
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

static void look_whether_enough(struct participants *ps)
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
	look_whether_enough(ps);
}

/* ---- for the user ---- */

static const struct participants_opts usual = {
	.max = 100000,
	.max_out = 100000,
	.max_unread = 64 << 20,
	.lease_ms = 10000,
	.hold_ms = 25000,
};

/* What is not said is as usual. */
static struct participants_opts complete(const struct participants_opts *o)
{
	struct participants_opts all = *o;

	all.max = all.max ? all.max : usual.max;
	all.max_out = all.max_out ? all.max_out : usual.max_out;
	all.max_unread = all.max_unread ? all.max_unread : usual.max_unread;
	all.lease_ms = all.lease_ms ? all.lease_ms : usual.lease_ms;
	all.hold_ms = all.hold_ms ? all.hold_ms : usual.hold_ms;
	return all;
}

void participants_open(struct participants **out, struct loop *loop,
		       struct server *s, const struct participants_opts *opts)
{
	struct participants *ps = mem_zero(1, sizeof(*ps));

	ps->loop = loop;
	ps->server = s;
	ps->opts = complete(opts);
	ps->tick_ms = INT64_MAX;
	TAILQ_INIT(&ps->giving);
	pool_init(&ps->pool,
		  &(struct pool_config){.members_max = ps->opts.max,
					.jobs_max = ps->opts.max_out,
					.lease_ms = ps->opts.lease_ms});
	server_handle(s, RPC_PARTICIPANT_CONNECT, stream_serve, ps);
	server_handle(s, RPC_PARTICIPANT_ASK, ask_serve, ps);
	server_handle(s, RPC_PARTICIPANT_LIST, list_serve, ps);
	server_metrics(s, list_metrics, ps);
	*out = ps;
}

void participants_close(struct participants *ps, int reconnect_in_s)
{
	struct seat *seat, *next_seat;
	struct run *run, *next_run;

	if (!ps)
		return;
	ps->closing = true;
	HASH_ITER (hh, ps->seats, seat, next_seat) {
		hang_up(seat, reconnect_in_s);
		seat_free(seat);
	}
	HASH_ITER (hh, ps->runs, run, next_run)
		run_free(ps, run);
	timer_stop(&ps->give);
	timer_stop(&ps->tick);
	timer_stop(&ps->wake);
	pool_release(&ps->pool);
	free(ps);
}

int participants_run(struct participants *ps, struct instruction *i,
		     const struct run_opts *opts, run_done_fn *done, void *arg,
		     int64_t *number, struct err *err)
{
	const struct pool_order order = {
		.who = opts->who,
		.timeout_ms = opts->timeout_ms ? opts->timeout_ms : 600000,
		.tries = opts->tries ? opts->tries : 3,
	};
	struct run *run;
	int64_t job;

	if (pool_submit(&ps->pool, &order, clock_ms(), &job, err))
		return (int)err->code;
	run = mem_zero(1, sizeof(*run));
	run->job = job;
	run->instruction = i;
	i->refs++;
	run->done = done;
	run->arg = arg;
	HASH_ADD(hh, ps->runs, job, sizeof(run->job), run);
	if (number)
		*number = job;
	participants_act(ps);
	return 0;
}

void participants_withdraw(struct participants *ps, int64_t number)
{
	struct run *run;

	HASH_FIND(hh, ps->runs, &number, sizeof(number), run);
	if (!run)
		return;
	run_free(ps, run);
	rest(find_seat(ps, pool_withdraw(&ps->pool, number, clock_ms())));
	participants_act(ps);
}

void participants_get(struct participants *ps, size_t min_n,
		      participants_fn *fn, void *arg)
{
	ps->min_n = min_n;
	ps->enough = fn;
	ps->enough_arg = arg;
	look_whether_enough(ps);
}

size_t participants_count(const struct participants *ps)
{
	return ps->n_there;
}

void participants_each(const struct participants *ps, participants_each_fn *fn,
		       void *arg)
{
	struct seat *seat, *next;

	HASH_ITER (hh, ps->seats, seat, next)
		if (seat->there)
			fn(seat->id, arg);
}

void participants_dismiss(struct participants *ps, int64_t who,
			  int reconnect_in_s)
{
	struct seat *seat = find_seat(ps, who);
	struct pool_info info;

	if (!seat || !pool_look(&ps->pool, who, &info))
		return;
	pool_leave(&ps->pool, who, clock_ms());
	hang_up(seat, reconnect_in_s);
	seat_free(seat);
	participants_act(ps);
}
