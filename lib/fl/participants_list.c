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

Gfl__V1__Participant *participants_rows(const struct participants *ps,
					size_t *n)
{
	const int64_t ago_ms = clock_wall_ms() - clock_ms();
	Gfl__V1__Participant *rows =
		mem_zero(HASH_COUNT(ps->seats) + 1, sizeof(*rows));
	const struct seat *seat, *next;

	*n = 0;
	HASH_ITER (hh, ps->seats, seat, next)
		if (seat->there)
			describe(seat, &rows[(*n)++], ago_ms);
	return rows;
}

void list_serve(struct call *call, const ProtobufCMessage *in, void *arg)
{
	Gfl__V1__ListParticipantsResponse out =
		GFL__V1__LIST_PARTICIPANTS_RESPONSE__INIT;
	Gfl__V1__Participant *rows =
		participants_rows(arg, &out.n_participants);

	(void)in;
	out.participants =
		mem_zero(out.n_participants + 1, sizeof(*out.participants));
	for (size_t i = 0; i < out.n_participants; i++)
		out.participants[i] = &rows[i];
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
