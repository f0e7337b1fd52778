#include "wire/rpc.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/gateway.pb-c.h"
#include "proto/node.pb-c.h"
#include "proto/raft.pb-c.h"
#include "proto/trainer.pb-c.h"
#include "wire/utf8.h"

const struct rpc_method rpc_methods[RPC_COUNT] = {
#define RPC_ROW(NAME, path, in, out, kind, channel, again)                     \
	{path,	      &in##__descriptor, &out##__descriptor,                   \
	 RPC_##kind, RPC_##channel,	  (again)},
	RPC_METHODS(RPC_ROW)
#undef RPC_ROW
};

static bool strings_ok(const ProtobufCMessage *msg);

/* One value at p, of a field of this descriptor, is sound. */
static bool value_ok(const ProtobufCFieldDescriptor *f, const void *p)
{
	const char *s;

	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		const ProtobufCMessage *sub = *(ProtobufCMessage *const *)p;

		return !sub || strings_ok(sub);
	}
	if (f->type != PROTOBUF_C_TYPE_STRING)
		return true;
	s = *(const char *const *)p;
	return !s || utf8_ok(s, strlen(s));
}

static bool field_ok(const ProtobufCFieldDescriptor *f,
		     const ProtobufCMessage *msg)
{
	const char *at = (const char *)msg + f->offset;
	const char *quantifier = (const char *)msg + f->quantifier_offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		const void *const *items = *(const void *const *const *)at;
		size_t n = *(const size_t *)quantifier;

		if (f->type != PROTOBUF_C_TYPE_STRING &&
		    f->type != PROTOBUF_C_TYPE_MESSAGE)
			return true;
		for (size_t i = 0; i < n; i++)
			if (!value_ok(f, &items[i]))
				return false;
		return true;
	}
	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
	    *(const uint32_t *)quantifier != f->id)
		return true;
	return value_ok(f, at);
}

static bool strings_ok(const ProtobufCMessage *msg)
{
	const ProtobufCMessageDescriptor *d = msg->descriptor;

	for (unsigned i = 0; i < d->n_fields; i++)
		if (!field_ok(&d->fields[i], msg))
			return false;
	return true;
}

int rpc_unpack(ProtobufCMessage **out, const ProtobufCMessageDescriptor *type,
	       const void *p, size_t len, struct err *err)
{
	ProtobufCMessage *msg = protobuf_c_message_unpack(type, NULL, len, p);

	if (!msg)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s: malformed message of %zu bytes", type->name,
			       len);
	if (!strings_ok(msg)) {
		rpc_free(msg);
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s: a string is not UTF-8", type->name);
	}
	*out = msg;
	return 0;
}

void rpc_free(ProtobufCMessage *msg)
{
	if (msg)
		protobuf_c_message_free_unpacked(msg, NULL);
}

ProtobufCMessage *rpc_copy(const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t *bytes = mem_zero(len, 1);
	ProtobufCMessage *copy;

	protobuf_c_message_pack(msg, bytes);
	copy = protobuf_c_message_unpack(msg->descriptor, NULL, len, bytes);
	free(bytes);
	return copy;
}
