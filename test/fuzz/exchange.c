/* A checkpoint's exchange state: what is loaded is dumped by the same bytes,
 * loaded once or twice, and exchanges go on from it. */
#include "fuzz.h"

#include <string.h>

#include "fl/exchange.h"

enum { PARAMS = 8, RUN = 7, SELF = 2 };

/* Drain; the outputs borrow from e, so the sanitisers look at the values. */
static void drain(struct exchange *e)
{
	struct exchange_out out;
	unsigned sum = 0;

	while (exchange_next(e, &out))
		if (out.kind == EXCHANGE_SEND || out.kind == EXCHANGE_ANSWER)
			for (size_t i = 0; i < out.message.len; i++)
				sum += ((const uint8_t *)out.message.values)[i];
	FUZZ_CHECK(sum < UINT32_MAX);
}

static void go_on(struct exchange *e)
{
	const struct exchange_round r = {.run = RUN,
					 .epoch = 1,
					 .t = 6,
					 .peer = 1,
					 .seed = 99,
					 .c = 2,
					 .deadline_ms = 100,
					 .weight = 0.5F};
	struct exchange_message m = {
		.key = {RUN, 1, 5, 1, SELF}, .values = "", .len = 0};

	exchange_request(e, &m, 1, 0);
	drain(e);
	if (exchange_round_at(e) < r.t) {
		exchange_arrive(e, &r, 1);
		drain(e);
	}
	exchange_epoch(e, 2, 2);
	exchange_tick(e, 200);
	drain(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct exchange *e = exchange_new(SELF);
	struct buf again = BUF_INIT(0);
	float x[PARAMS] = {0};
	struct err err;

	exchange_begin(e, RUN, x, PARAMS, 77);
	if (exchange_load(e, data, len, &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT);
	} else {
		FUZZ_CHECK(!exchange_load(e, data, len, &err));
		exchange_dump(e, &again);
		FUZZ_CHECK(again.len == len && !memcmp(again.p, data, len));
	}
	go_on(e);
	buf_release(&again);
	exchange_free(e);
	return 0;
}
