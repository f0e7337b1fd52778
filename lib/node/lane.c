#include "node/lane.h"

enum { PAUSE_FIRST_MS = 20, PAUSE_MAX_MS = 2000, FULL_MAX_MS = 200 };

void lane_init(struct lane *l)
{
	*l = (struct lane){
		.soonest_ms = INT64_MAX,
		.pause = {.first_ms = PAUSE_FIRST_MS, .max_ms = PAUSE_MAX_MS},
	};
}

void lane_add(struct lane *l, int64_t len, int64_t expire_ms)
{
	l->waiting++;
	l->bytes += len;
	if (expire_ms < l->soonest_ms)
		l->soonest_ms = expire_ms;
}

void lane_settled(struct lane *l, int64_t seq, int64_t len)
{
	l->waiting--;
	l->bytes -= len;
	l->done = seq;
	if (!l->waiting)
		l->soonest_ms = INT64_MAX;
}

enum lane_act lane_next(const struct lane *l, int64_t now_ms, int64_t wall_ms,
			int64_t *wait_ms)
{
	int64_t expiry_ms = l->soonest_ms - wall_ms;

	if (l->busy || !l->waiting)
		return LANE_REST;
	if (expiry_ms <= 0)
		return LANE_SWEEP;
	if (l->retry_ms <= now_ms)
		return LANE_SEND;
	*wait_ms = l->retry_ms - now_ms;
	if (expiry_ms < *wait_ms)
		*wait_ms = expiry_ms;
	return LANE_WAIT;
}

enum lane_fate lane_fate(enum err_code code)
{
	switch (code) {
	case ERR_OK:
		return LANE_DELIVERED;
	case ERR_INVALID_ARGUMENT:
	case ERR_OUT_OF_RANGE:
	case ERR_PERMISSION_DENIED:
		return LANE_NEVER;
	default:
		return LANE_AGAIN;
	}
}

void lane_failed(struct lane *l, enum err_code code, int64_t now_ms,
		 struct rand *r)
{
	bool full = code == ERR_RESOURCE_EXHAUSTED;

	l->pause.max_ms = full ? FULL_MAX_MS : PAUSE_MAX_MS;
	l->retry_ms = now_ms + backoff_next(&l->pause, r);
}

int lane_try(const struct lane *l, int max)
{
	return l->pause.now_ms ? 1 : max;
}

void lane_works(struct lane *l)
{
	l->pause.now_ms = 0;
	l->retry_ms = 0;
}
