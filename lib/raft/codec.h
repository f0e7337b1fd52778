/* codec.h - the core's messages as those of proto/raft.proto, and back. */
#ifndef RAFT_CODEC_H
#define RAFT_CODEC_H

#include "proto/raft.pb-c.h"
#include "raft/raft.h"

/* A copy of msg in one block of memory, which the caller frees with free().
 * *size is about what it takes on the wire. */
Gfl__V1__RaftMessage *raft_encode(const struct raft_msg *msg, size_t *size);

/* *out borrows from in, but for its entries, which the caller frees with
 * free((void *)out->entries). INVALID_ARGUMENT for a number past int64. */
int raft_decode(struct raft_msg *out, const Gfl__V1__RaftMessage *in,
		struct err *err) MUST_CHECK;

#endif
