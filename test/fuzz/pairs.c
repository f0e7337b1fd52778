/* The pairs of a round: what is read is written by the same bytes. */
#include "fuzz.h"

#include <string.h>

#include "plan/round.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf again = BUF_INIT(0);
	struct plan_round r = {0};
	struct err err;

	if (plan_pairs_decode(&r, data, len, &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT && !r.pairs);
		return 0;
	}
	for (size_t i = 0; i < r.npairs; i++) {
		const struct plan_pair *p = &r.pairs[i];

		FUZZ_CHECK(p->a > 0 && p->a < p->b);
		FUZZ_CHECK(plan_partner(&r, p->a) == p->b);
		FUZZ_CHECK(plan_partner(&r, p->b) == p->a);
	}
	plan_pairs_encode(&r, &again);
	FUZZ_CHECK(again.len == len && !memcmp(again.p, data, len));
	buf_release(&again);
	plan_round_release(&r);
	return 0;
}
