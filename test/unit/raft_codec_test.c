#include "test.h"

#include "raft/codec.h"
#include "wire/rpc.h"

/* Through the bytes of the wire and back; *in is freed by rpc_free(). */
static void through(const struct raft_msg *msg, Gfl__V1__RaftMessage **in)
{
	size_t size, len;
	Gfl__V1__RaftMessage *out = raft_encode(msg, &size);
	uint8_t *bytes;
	struct err err;

	len = gfl__v1__raft_message__get_packed_size(out);
	CHECK(len <= size);
	bytes = malloc(len ? len : 1);
	gfl__v1__raft_message__pack(out, bytes);
	CHECK(!rpc_unpack((ProtobufCMessage **)in,
			  &gfl__v1__raft_message__descriptor, bytes, len,
			  &err));
	free(bytes);
	free(out);
}

TEST(raft_message_comes_back_as_it_was)
{
	const struct raft_entry e[] = {
		{.index = 8, .term = 3, .type = RAFT_NOOP},
		{.index = 9,
		 .term = 3,
		 .type = RAFT_CONFIG,
		 .client = INT64_MAX,
		 .seq = 2,
		 .conf = "conf",
		 .conf_len = 4,
		 .data = "a\0b",
		 .len = 3},
	};
	const struct raft_msg msg = {
		.type = RAFT_APPEND,
		.from = 1,
		.to = 2,
		.term = 4,
		.index = 7,
		.log_term = 3,
		.hint = 5,
		.commit = 6,
		.context = 11,
		.reject = true,
		.force = true,
		.removed = true,
		.lost = true,
		.entries = e,
		.n = 2,
	};
	struct raft_msg got;
	Gfl__V1__RaftMessage *in;

	through(&msg, &in);
	CHECK(!raft_decode(&got, in, NULL));
	CHECK(got.type == msg.type && got.from == 1 && got.to == 2);
	CHECK(got.term == 4 && got.index == 7 && got.log_term == 3);
	CHECK(got.hint == 5 && got.commit == 6 && got.context == 11);
	CHECK(got.reject && got.force && got.removed && got.lost);
	CHECK_INT(got.n, 2);
	CHECK(got.entries[0].type == RAFT_NOOP && !got.entries[0].len);
	CHECK(got.entries[1].index == 9 && got.entries[1].client == INT64_MAX);
	CHECK(got.entries[1].conf_len == 4 && got.entries[1].len == 3);
	CHECK(!memcmp(got.entries[1].conf, "conf", 4));
	CHECK(!memcmp(got.entries[1].data, "a\0b", 3));
	free((void *)got.entries);
	rpc_free(&in->base);
}

TEST(raft_message_with_a_number_out_of_range_is_refused)
{
	Gfl__V1__RaftMessage in = GFL__V1__RAFT_MESSAGE__INIT;
	Gfl__V1__RaftEntry e = GFL__V1__RAFT_ENTRY__INIT;
	Gfl__V1__RaftEntry *entries[] = {&e};
	struct raft_msg got;

	in.commit = UINT64_MAX;
	CHECK(raft_decode(&got, &in, NULL) == ERR_INVALID_ARGUMENT);
	in.commit = 0;
	in.type = UINT32_MAX;
	CHECK(raft_decode(&got, &in, NULL) == ERR_INVALID_ARGUMENT);
	in.type = RAFT_APPEND;
	in.entries = entries;
	in.n_entries = 1;
	e.seq = (uint64_t)1 << 63;
	CHECK(raft_decode(&got, &in, NULL) == ERR_INVALID_ARGUMENT);
}
