#include "wire/backoff.h"

int64_t backoff_next(struct backoff *b, struct rand *r)
{
	int64_t half;

	if (!b->now_ms)
		b->now_ms = b->first_ms;
	else
		b->now_ms =
			b->now_ms < b->max_ms / 2 ? 2 * b->now_ms : b->max_ms;
	half = b->now_ms / 2;
	return half + (int64_t)rand_below(r, (uint64_t)(b->now_ms - half) + 1);
}
