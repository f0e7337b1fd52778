/* post_impl.h - what the files of a post share. */
#ifndef REGISTRY_POST_IMPL_H
#define REGISTRY_POST_IMPL_H

#include "proto/gateway.pb-c.h"
#include "proto/node.pb-c.h"
#include "registry/post.h"
#include "wire/client.h"

enum {
	POST_BATCH_MAX = 1000, /* messages of one request */
	POST_BATCH_BYTES = 1 << 20,
	POST_AT_ONCE = 64, /* calls under way, so that descriptors suffice */
	POST_PREFIX = 17,
};

struct post_copy {
	struct post_receiver *to; /* NULL: all */
	char *id;
	bool named; /* the id is not ours */
	int type;
	void *payload;
	size_t len;
	int64_t seq, sent_ms;
};

struct post {
	struct post_opts opts;
	struct client_opts client; /* with via as the node to ask */
	struct loop *loop;
	struct client *calls;
	char *via;               /* URL, or NULL */
	GetNodesResponse *nodes; /* NULL: not asked yet */
	struct post_receiver **all;
	size_t n, cap;

	/* Ours: what we send is told from its repetition by these, and its
	 * ids begin with the prefix. */
	uint64_t origin;
	char prefix[POST_PREFIX];
	int64_t seq;

	struct post_copy batch[POST_BATCH_MAX]; /* to be flushed */
	size_t nbatch, bytes;
	bool sent; /* something was */

	size_t next, under_way; /* of receivers, while there are calls */
	int64_t wait_end_ms;
};

/* post_send.c: send the batch, and wait. */
void post_send_batch(struct post *p);

#endif
