/* A configuration of Raft's: what is read is written by the same bytes. */
#include "fuzz.h"

#include <string.h>

#include "raft/raft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct raft_conf conf = {0};
	struct err err;
	void *again;

	if (raft_conf_decode(&conf, data, len, &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT && !conf.member);
		return 0;
	}
	for (int i = 0; i < conf.n; i++)
		FUZZ_CHECK(raft_conf_role(&conf, conf.member[i].id) ==
			   (conf.member[i].old ? RAFT_VOTER
					       : conf.member[i].role));
	FUZZ_CHECK(raft_conf_encode(&conf, &again) == len);
	FUZZ_CHECK(!memcmp(again, data, len));
	free(again);
	raft_conf_release(&conf);
	return 0;
}
