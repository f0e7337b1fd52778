#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fl/participants_impl.h"

static const char *const states[] = {
	[POOL_IDLE] = "idle",
	[POOL_WORKING] = "working",
	[POOL_LATE] = "late",
	[POOL_AWAY] = "away",
};

static void describe(const struct seat *seat, Gfl__V1__Participant *out,
		     int64_t ago_ms)
{
	struct pool_info info = {0};

	gfl__v1__participant__init(out);
	pool_look(&seat->ps->pool, seat->id, &info);
	out->id = seat->id;
	out->state = (char *)states[info.state];
	out->address = seat->address;
	out->via = (char *)(*seat->token ? "requests" : "stream");
	out->instruction = info.job;
	out->since_ms = info.since_ms + ago_ms;
	out->answered = seat->answered;
	out->failed = seat->failed;
}

void list_serve(struct call *call, const ProtobufCMessage *in, void *arg)
{
	Gfl__V1__ListParticipantsResponse out =
		GFL__V1__LIST_PARTICIPANTS_RESPONSE__INIT;
	struct participants *ps = arg;
	size_t n = HASH_COUNT(ps->seats);
	Gfl__V1__Participant *rows = mem_zero(n + 1, sizeof(*rows));
	int64_t ago_ms = clock_wall_ms() - clock_ms();
	struct seat *seat, *next;

	(void)in;
	out.participants = mem_zero(n + 1, sizeof(*out.participants));
	HASH_ITER (hh, ps->seats, seat, next) {
		if (!seat->there)
			continue;
		describe(seat, &rows[out.n_participants], ago_ms);
		out.participants[out.n_participants] =
			&rows[out.n_participants];
		out.n_participants++;
	}
	call_reply(call, &out.base);
	free(out.participants);
	free(rows);
}

void list_metrics(struct buf *text, void *arg)
{
	const struct participants *ps = arg;

	buf_putf(text,
		 "# TYPE gfl_participants gauge\n"
		 "gfl_participants %zu\n"
		 "# TYPE gfl_participants_instructions gauge\n"
		 "gfl_participants_instructions %zu\n"
		 "# TYPE gfl_participants_answers counter\n"
		 "gfl_participants_answers %" PRIu64 "\n"
		 "# TYPE gfl_participants_vanished counter\n"
		 "gfl_participants_vanished %" PRIu64 "\n"
		 "# TYPE gfl_participants_moved counter\n"
		 "gfl_participants_moved %" PRIu64 "\n"
		 "# TYPE gfl_participants_late counter\n"
		 "gfl_participants_late %" PRIu64 "\n",
		 ps->n_there, pool_jobs(&ps->pool), ps->answers, ps->vanished,
		 ps->moved, ps->late);
}
