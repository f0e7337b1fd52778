#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/participants_impl.h"
#include "nn/npz.h"
#include "wire/peer.h"

enum { WHY_MAX = 4096 };

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

struct seat *seat_find(const struct participants *ps, int64_t id)
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
	if (r->n_theta > NPZ_MEMBERS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a result of %zu arrays, expected at most %d",
			       r->n_theta, NPZ_MEMBERS_MAX);
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

void seat_late(struct participants *ps, int64_t who, int64_t instruction)
{
	ps->late++;
	log_info("late", "participant=%" PRId64 " instruction=%" PRId64, who,
		 instruction);
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
	} else {
		seat_late(ps, seat->id, seat->job);
	}
	participants_act(ps);
	ps->msg = NULL;
	return 0;
}

void seat_vanish(struct seat *seat)
{
	struct participants *ps = seat->ps;

	ps->vanished++;
	log_info("vanished", "participant=%" PRId64, seat->id);
	pool_leave(&ps->pool, seat->id, clock_ms());
	seat_free(seat);
	participants_act(ps);
}

void seat_rest(struct seat *seat)
{
	if (seat && *seat->token)
		ask_rest(seat);
}
