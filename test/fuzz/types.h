/* types.h - a byte chooses a message type: one that can be called, or the one
 * that has every kind of field. */
#ifndef FUZZ_TYPES_H
#define FUZZ_TYPES_H

#include <string.h>

#include "fuzz.h"
#include "test/unit/all.pb-c.h"
#include "wire/json.h"
#include "wire/rpc.h"

static inline const ProtobufCMessageDescriptor *fuzz_type(uint8_t byte)
{
	unsigned n = byte % 128u % (RPC_COUNT + 1);

	if (n == RPC_COUNT)
		return &test__all__descriptor;
	return byte < 128 ? rpc_methods[n].in : rpc_methods[n].out;
}

/* A copy of what is printed; the caller frees it. */
static inline char *fuzz_print(const ProtobufCMessage *msg, int flags)
{
	struct buf b = BUF_INIT(0);

	FUZZ_CHECK(!json_print(&b, msg, flags, NULL));
	return buf_take(&b);
}

/* The binary form of msg says the same. */
static inline void fuzz_repack(const ProtobufCMessage *msg, const char *text)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t *p = malloc(len + 1);
	ProtobufCMessage *back;
	char *again;

	FUZZ_CHECK(p && protobuf_c_message_pack(msg, p) == len);
	FUZZ_CHECK(!rpc_unpack(&back, msg->descriptor, p, len, NULL));
	again = fuzz_print(back, 0);
	FUZZ_CHECK(!strcmp(text, again));
	rpc_free(back);
	free(again);
	free(p);
}

/* The text that is printed, however it is, says the same; only what becomes
 * larger than text may be is excused. */
static inline void fuzz_reparse(const ProtobufCMessage *msg, int flags)
{
	char *text = fuzz_print(msg, flags), *want = fuzz_print(msg, 0), *again;
	ProtobufCMessage *back;
	struct err err;

	if (json_parse(&back, msg->descriptor, text, strlen(text), JSON_STRICT,
		       &err)) {
		if (err.code != ERR_RESOURCE_EXHAUSTED)
			fprintf(stderr, "%s\n%s\n", text, err.msg);
		FUZZ_CHECK(err.code == ERR_RESOURCE_EXHAUSTED);
	} else {
		again = fuzz_print(back, 0);
		FUZZ_CHECK(!strcmp(want, again));
		rpc_free(back);
		free(again);
	}
	free(text);
	free(want);
}

#endif
