/* What commands print as arrays: what is understood is the same as an
 * archive. */
#include "fuzz.h"

#include <string.h>

#include "fl/theta.h"

enum { MAX = 1 << 20 };

static void check_same(const struct theta *a, const struct theta *b)
{
	FUZZ_CHECK(a->n == b->n);
	for (size_t i = 0; i < a->n; i++) {
		const ProtobufCBinaryData *x = &a->at[i]->ndarray;
		const ProtobufCBinaryData *y = &b->at[i]->ndarray;

		FUZZ_CHECK(x->len == y->len &&
			   !memcmp(x->data, y->data, x->len));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf npz = BUF_INIT(0);
	struct theta t, again;
	struct err err;

	if (theta_parse(&t, data, len, MAX, "it", &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT ||
			   err.code == ERR_RESOURCE_EXHAUSTED);
		return 0;
	}
	if (t.n) { /* an archive of nothing is nothing */
		FUZZ_CHECK(!theta_pack(&npz, t.at, t.n, &err));
		FUZZ_CHECK(
			!theta_parse(&again, npz.p, npz.len, MAX, "it", &err));
		check_same(&t, &again);
		theta_release(&again);
	}
	theta_release(&t);
	buf_release(&npz);
	return 0;
}
