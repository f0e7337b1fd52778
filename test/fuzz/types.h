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
	unsigned n = byte % 128u;

	if (n >= RPC_COUNT)
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

static inline uint8_t *fuzz_pack(const ProtobufCMessage *msg, size_t *len)
{
	uint8_t *p;

	*len = protobuf_c_message_get_packed_size(msg);
	p = malloc(*len + 1);
	FUZZ_CHECK(p && protobuf_c_message_pack(msg, p) == *len);
	return p;
}

/* The binary form of msg says the same. Compared as bytes, since protobuf-c
 * writes no -0.0, which our text does. */
static inline void fuzz_repack(const ProtobufCMessage *msg)
{
	size_t len, len_again;
	uint8_t *p = fuzz_pack(msg, &len), *again;
	ProtobufCMessage *back;
	struct err err;

	FUZZ_CHECK(!rpc_unpack(&back, msg->descriptor, p, len, &err));
	again = fuzz_pack(back, &len_again);
	FUZZ_CHECK(len == len_again && !memcmp(p, again, len));
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
