/* Chunks of tensors: what is taken in place is what protobuf-c would copy. */
#include "fuzz.h"

#include <string.h>

#include "wire/tensor_impl.h"

static void check_head(const struct tensor_chunk *c)
{
	struct tensor_info info;
	ProtobufCMessage *head;
	struct err err;
	uint64_t offset;

	if (rpc_unpack(&head, &gfl__v1__tensor_head__descriptor, c->head,
		       c->head_len, &err))
		return;
	if (!tensor_info_of(&info, &offset, (Gfl__V1__TensorHead *)head,
			    &err)) {
		FUZZ_CHECK(offset <= info.size);
		FUZZ_CHECK(info.rank <= TENSOR_RANK);
		FUZZ_CHECK(!*info.sha256 || strlen(info.sha256) == 64);
	}
	rpc_free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	Gfl__V1__TensorChunk *same;
	struct tensor_chunk c;
	struct err err;
	int rc = tensor_parse(&c, data, len, &err);

	FUZZ_CHECK(!rc || err.code == ERR_INVALID_ARGUMENT);
	if (!rc && c.head)
		check_head(&c);
	if (rpc_unpack((ProtobufCMessage **)&same,
		       &gfl__v1__tensor_chunk__descriptor, data, len, &err))
		return 0;
	FUZZ_CHECK(!rc || same->data.len > TENSOR_CHUNK);
	if (!rc) {
		FUZZ_CHECK(same->data.len == c.len);
		FUZZ_CHECK(!c.len || !memcmp(same->data.data, c.data, c.len));
		FUZZ_CHECK(!same->head == !c.head);
		FUZZ_CHECK(!same->_crc32c_case == !c.crc);
	}
	rpc_free(&same->base);
	return 0;
}
