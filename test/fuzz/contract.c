/* What a trainer that people bring prints: bounded, and the same however it is
 * cut into pieces. */
#include "fuzz.h"

#include <math.h>

#include "fl/contract.h"

static int hear(struct contract *c, const uint8_t *p, size_t len, size_t piece)
{
	struct err err;

	contract_begin(c);
	for (size_t i = 0; i < len; i += piece)
		if (contract_feed(c, (const char *)p + i,
				  len - i < piece ? len - i : piece, &err))
			return (int)err.code;
	return contract_end(c, &err) ? (int)err.code : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct contract all = {0}, cut = {0};
	struct buf words = BUF_INIT(0);
	int rc = hear(&all, data, len, len + 1);

	FUZZ_CHECK(hear(&cut, data, len, 3) == rc);
	FUZZ_CHECK(all.result == cut.result && all.ready == cut.ready &&
		   all.num_examples == cut.num_examples);
	FUZZ_CHECK(isnan(all.accuracy) ||
		   (all.accuracy >= 0 && all.accuracy <= 1));
	FUZZ_CHECK(all.num_examples >= 0 && !isinf(all.loss));
	contract_words(&words, (const char *)data, len);
	FUZZ_CHECK(words.len <= len);
	buf_release(&words);
	contract_release(&all);
	contract_release(&cut);
	return 0;
}
