/* The names in certificates: what is taken is written by the same bytes, and
 * what is refused changes nothing. */
#include "fuzz.h"

#include <string.h>

#include "wire/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct identity before = {.cn = "x", .cluster = "y"};
	struct identity who = before;
	char again[4 * PEER_PART];

	if (peer_parse(&who, (const char *)data, len)) {
		int n = snprintf(again, sizeof(again), "gfl://%s/%s/%s",
				 who.cluster, who.role, who.id);

		FUZZ_CHECK((size_t)n == len && !memcmp(again, data, len));
		FUZZ_CHECK(!strcmp(who.cn, "x"));
	} else {
		FUZZ_CHECK(!memcmp(&who, &before, sizeof(who)));
	}
	peer_set_cn(&who, (const char *)data, len);
	FUZZ_CHECK(!*who.cn || (strlen(who.cn) == len &&
				!memcmp(who.cn, data, len)));
	return 0;
}
