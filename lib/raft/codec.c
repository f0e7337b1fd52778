#include "raft/codec.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { HEAD_BYTES = 64, ENTRY_BYTES = 48 }; /* upper bounds on the wire */

static size_t bytes_of(const struct raft_msg *msg)
{
	size_t n = msg->conf_len + msg->len;

	for (size_t i = 0; i < msg->n; i++)
		n += msg->entries[i].len + msg->entries[i].conf_len;
	return n;
}

static ProtobufCBinaryData put(char **at, const void *p, size_t len)
{
	ProtobufCBinaryData copy = {len, (uint8_t *)*at};

	if (len)
		memcpy(*at, p, len);
	*at += len;
	return copy;
}

static void encode_entry(Gfl__V1__RaftEntry *out, const struct raft_entry *e,
			 char **at)
{
	gfl__v1__raft_entry__init(out);
	out->index = (uint64_t)e->index;
	out->term = (uint64_t)e->term;
	out->type = (uint32_t)e->type;
	out->client = (uint64_t)e->client;
	out->seq = (uint64_t)e->seq;
	out->data = put(at, e->data, e->len);
	out->config = put(at, e->conf, e->conf_len);
}

static void encode_head(Gfl__V1__RaftMessage *out, const struct raft_msg *msg)
{
	gfl__v1__raft_message__init(out);
	out->type = (uint32_t)msg->type;
	out->from = (uint64_t)msg->from;
	out->to = (uint64_t)msg->to;
	out->term = (uint64_t)msg->term;
	out->index = (uint64_t)msg->index;
	out->log_term = (uint64_t)msg->log_term;
	out->hint = (uint64_t)msg->hint;
	out->commit = (uint64_t)msg->commit;
	out->context = (uint64_t)msg->context;
	out->reject = msg->reject;
	out->force = msg->force;
	out->removed = msg->removed;
	out->lost = msg->lost;
}

/* The block: message, pointers, entries, their bytes. */
Gfl__V1__RaftMessage *raft_encode(const struct raft_msg *msg, size_t *size)
{
	size_t bytes = bytes_of(msg);
	Gfl__V1__RaftMessage *out =
		mem_zero(1, sizeof(*out) +
				    msg->n * (sizeof(Gfl__V1__RaftEntry *) +
					      sizeof(Gfl__V1__RaftEntry)) +
				    bytes);
	Gfl__V1__RaftEntry **list = (Gfl__V1__RaftEntry **)(out + 1);
	Gfl__V1__RaftEntry *entry = (Gfl__V1__RaftEntry *)(list + msg->n);
	char *at = (char *)(entry + msg->n);

	encode_head(out, msg);
	for (size_t i = 0; i < msg->n; i++) {
		list[i] = &entry[i];
		encode_entry(&entry[i], &msg->entries[i], &at);
	}
	out->config = put(&at, msg->conf, msg->conf_len);
	out->data = put(&at, msg->data, msg->len);
	out->n_entries = msg->n;
	out->entries = list;
	*size = HEAD_BYTES + msg->n * ENTRY_BYTES + bytes;
	return out;
}

static void decode_entry(struct raft_entry *out, const Gfl__V1__RaftEntry *in)
{
	*out = (struct raft_entry){
		.index = (int64_t)in->index,
		.term = (int64_t)in->term,
		.type = (enum raft_entry_type)in->type,
		.client = (int64_t)in->client,
		.seq = (int64_t)in->seq,
		.conf = in->config.data,
		.conf_len = in->config.len,
		.data = in->data.data,
		.len = in->data.len,
	};
}

/* Whether every number is below 2^63; types are small, which the core checks
 * further. */
static bool in_range(const Gfl__V1__RaftMessage *m)
{
	uint64_t all = m->from | m->to | m->term | m->index | m->log_term |
		       m->hint | m->commit | m->context;

	for (size_t i = 0; i < m->n_entries; i++) {
		const Gfl__V1__RaftEntry *e = m->entries[i];

		all |= e->index | e->term | e->client | e->seq;
		if (e->type > 255)
			return false;
	}
	return m->type <= 255 && !(all >> 63);
}

int raft_decode(struct raft_msg *out, const Gfl__V1__RaftMessage *in,
		struct err *err)
{
	struct raft_entry *entries;

	if (!in_range(in))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a Raft message has a number out of range");
	entries = in->n_entries ? mem_zero(in->n_entries, sizeof(*entries))
				: NULL;
	for (size_t i = 0; i < in->n_entries; i++)
		decode_entry(&entries[i], in->entries[i]);
	*out = (struct raft_msg){
		.type = (enum raft_msg_type)in->type,
		.from = (int64_t)in->from,
		.to = (int64_t)in->to,
		.term = (int64_t)in->term,
		.index = (int64_t)in->index,
		.log_term = (int64_t)in->log_term,
		.hint = (int64_t)in->hint,
		.commit = (int64_t)in->commit,
		.context = (int64_t)in->context,
		.reject = in->reject,
		.force = in->force,
		.removed = in->removed,
		.lost = in->lost,
		.entries = entries,
		.n = in->n_entries,
		.conf = in->config.data,
		.conf_len = in->config.len,
		.data = in->data.data,
		.len = in->data.len,
	};
	return 0;
}
