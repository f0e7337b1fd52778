/* Messages in binary: byte 0 says which type, the rest is the message. */
#include "types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	ProtobufCMessage *msg, *copy;
	struct err err;

	if (!len)
		return 0;
	if (rpc_unpack(&msg, fuzz_type(data[0]), data + 1, len - 1, &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT ||
			   err.code == ERR_RESOURCE_EXHAUSTED);
		return 0;
	}
	fuzz_repack(msg);
	fuzz_reparse(msg, 0);
	copy = rpc_copy(msg);
	rpc_free(copy);
	rpc_free(msg);
	return 0;
}
