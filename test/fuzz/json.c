/* Messages as JSON: byte 0 says which type, the rest is the text. */
#include "types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const int flags[] = {0, JSON_DEFAULTS, JSON_SNAKE, JSON_NUMBERS,
				    JSON_NULLS};
	ProtobufCMessage *msg;
	struct err err;

	if (!len)
		return 0;
	if (json_parse(&msg, fuzz_type(data[0]), (const char *)data + 1,
		       len - 1, 0, &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT ||
			   err.code == ERR_RESOURCE_EXHAUSTED);
		return 0;
	}
	fuzz_repack(msg);
	for (size_t i = 0; i < 4; i++)
		fuzz_reparse(msg, flags[i]);
	rpc_free(msg);
	return 0;
}
