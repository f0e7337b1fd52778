#include "task/breaker.h"

int breaker_allows(struct breaker *b, int slots, int64_t now_ms)
{
	if (b->state == BREAKER_OPEN && now_ms >= b->until_ms) {
		b->state = BREAKER_HALF;
		b->successes = 0;
	}
	if (b->state == BREAKER_OPEN)
		return 0;
	return b->state == BREAKER_HALF && slots > 1 ? 1 : slots;
}

void breaker_success(struct breaker *b, const struct breaker_config *c)
{
	b->failures = 0;
	b->failed = 0;
	if (b->state == BREAKER_HALF && ++b->successes >= c->successes)
		b->state = BREAKER_CLOSED;
}

bool breaker_failure(struct breaker *b, const struct breaker_config *c,
		     int64_t task, int64_t now_ms)
{
	if (!c->failures || b->state == BREAKER_OPEN)
		return false;
	if (b->failed != task)
		b->failures++;
	b->failed = task;
	if (b->state == BREAKER_CLOSED && b->failures < c->failures)
		return false;
	b->state = BREAKER_OPEN;
	b->until_ms = now_ms + c->open_ms;
	b->failures = 0;
	return true;
}

const char *breaker_name(enum breaker_state state)
{
	static const char *const names[] = {"closed", "open", "half"};

	return names[state];
}
