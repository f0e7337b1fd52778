#include "wire/rpc.h"

#include <stdlib.h>

#include "base/mem.h"
#include "proto/comm.pb-c.h"
#include "proto/gateway.pb-c.h"
#include "proto/master.pb-c.h"
#include "proto/node.pb-c.h"
#include "proto/participation.pb-c.h"
#include "proto/raft.pb-c.h"
#include "proto/server.pb-c.h"
#include "proto/task.pb-c.h"
#include "proto/tensor.pb-c.h"
#include "proto/trainer.pb-c.h"
#include "wire/binary.h"

const struct rpc_method rpc_methods[RPC_COUNT] = {
#define RPC_ROW(NAME, path, in, out, kind, channel, again, guard)          \
	{path,          &in##__descriptor, &out##__descriptor, RPC_##kind, \
	 RPC_##channel, (again),           RPC_##guard},
	RPC_METHODS(RPC_ROW)
#undef RPC_ROW
};

int rpc_unpack(ProtobufCMessage **out, const ProtobufCMessageDescriptor *type,
	       const void *p, size_t len, struct err *err)
{
	ProtobufCMessage *msg;
	int rc = binary_check(type, p, len, err);

	if (rc)
		return rc;
	msg = protobuf_c_message_unpack(type, NULL, len, p);
	if (!msg)
		return err_set(err, ERR_INVALID_ARGUMENT, "malformed %s",
			       type->name);
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
