/* tensor.h - tensors and files between programs, as streams of 1 MiB chunks
 * that go straight from their place to their place: nobody holds the whole.
 *
 *	tensor_give()  a server sends one      tensor_pull()  its client takes
 *it tensor_push()  a client sends one      tensor_take()  its server takes it
 *
 * The first chunk says what comes, with the SHA-256 of all; who takes it checks
 * that, and DATA_LOSS is what does not fit. A pull whose connection breaks goes
 * on where it was. At most 2 MiB wait for a slow reader. */
#ifndef WIRE_TENSOR_H
#define WIRE_TENSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/client.h"
#include "wire/server.h"

enum {
	TENSOR_CHUNK = 1 << 20,
	TENSOR_RANK = 8,
	TENSOR_SHA256 = 65, /* hex digits and a NUL */
};

struct tensor_info {
	char dtype[8]; /* as in safetensors: "F32"; empty: bytes, of a file */
	int rank;
	uint64_t shape[TENSOR_RANK];
	uint64_t size; /* bytes in all */
	char sha256[TENSOR_SHA256];
	char layout[65];
	int64_t version;
};

/* Where bytes are: in memory, or, p being NULL, in a file. Borrowed until the
 * stream is over. */
struct tensor_bytes {
	const void *p;
	int fd;
};

/* The SHA-256 of size bytes, into info. A file that is shorter is DATA_LOSS.
 * Takes a second per GB. */
int tensor_hash(struct tensor_info *info, const struct tensor_bytes *from,
		struct err *err) MUST_CHECK;

/* What becomes of a tensor that is taken. begin sees it first and may refuse;
 * sink gets all of its bytes once, in their order. Their failures end the
 * stream. Of arg both. */
struct tensor_sink {
	int (*begin)(const struct tensor_info *info, void *arg,
		     struct err *err);
	int (*bytes)(uint64_t offset, const void *p, size_t len, void *arg,
		     struct err *err);
	/* Chunks with a CRC-32C of their own are enough: the SHA-256 of all,
	 * which takes 20 times as long, is not computed then, and need not be
	 * there. Without it a stream that breaks is followed by the whole of
	 * what there is then, to begin() and bytes(). */
	bool brief;
};

/* Write len bytes to a file, at offset: for sinks. */
int tensor_write(int fd, uint64_t offset, const void *p, size_t len,
		 struct err *err) MUST_CHECK;

/* Answer a call of a method that streams TensorChunks with what is from offset
 * on (0 if that is past the end). The call is ours from now on; over runs
 * once, when from and arg are not needed any more. NULL if that was at once;
 * what is returned may be ended before, with err. */
struct tensor_gift;
typedef void tensor_over_fn(void *arg);
struct tensor_gift *tensor_give(struct call *call,
				const struct tensor_info *info,
				const struct tensor_bytes *from,
				uint64_t offset, tensor_over_fn *over,
				void *arg);
void tensor_give_end(struct tensor_gift *g, const struct err *err);

/* Take what a client's stream of TensorChunks brings, within the handler. done
 * runs once: err is NULL when all is there and right, and done answers the
 * call; with an err the call is over. */
typedef void tensor_taken_fn(struct call *call, const struct err *err,
			     void *arg);
void tensor_take(struct call *call, const struct tensor_sink *sink,
		 tensor_taken_fn *done, void *arg);

/* Pull the tensor that method gives at url. ask fills the request: for what is
 * from offset on of the one with this sum, or, with "", for the whole of any;
 * it returns what is borrowed until the next call. After UNAVAILABLE, and when
 * nothing comes for 30 s once the first chunk is there, it asks again, with
 * jittered backoff, inside of timeout_ms (> 0), and of try_ms (if > 0) since
 * the first failure after the last byte; a source that has another one by then
 * ends it with ABORTED. Callbacks may tensor_pull_cancel(). */
typedef const ProtobufCMessage *tensor_ask_fn(uint64_t offset,
					      const char *sha256, void *arg);
typedef void tensor_done_fn(const struct err *err, void *arg);
struct tensor_pull;
struct tensor_pull *tensor_pull(struct client *c, const char *url,
				const struct rpc_method *method,
				const struct rpc_opts *opts, tensor_ask_fn *ask,
				const struct tensor_sink *sink,
				tensor_done_fn *done, void *arg);
void tensor_pull_cancel(struct tensor_pull *p); /* NULL is nothing */

/* The same where some of it is there already: the first `had` bytes, in the
 * file fd, of what has this sum. sink gets the rest; ABORTED when the source has
 * another one. A file that cannot be read is an error, and *out not set. */
struct tensor_had {
	char sha256[TENSOR_SHA256];
	int fd;
	uint64_t had;
};
int tensor_pull_rest(struct tensor_pull **out, struct client *c,
		     const char *url, const struct rpc_method *method,
		     const struct rpc_opts *opts, const struct tensor_had *had,
		     tensor_ask_fn *ask, const struct tensor_sink *sink,
		     tensor_done_fn *done, void *arg,
		     struct err *err) MUST_CHECK;

/* Send a tensor to a method that takes a stream of TensorChunks; done gets its
 * answer. Not tried again. Freed once done has run, or by cancelling before
 * that. */
struct tensor_push;
struct tensor_push *
tensor_push(struct loop *loop, const char *url, const struct rpc_method *method,
	    const struct rpc_opts *opts, const struct tensor_info *info,
	    const struct tensor_bytes *from, rpc_done_fn *done, void *arg);
void tensor_push_cancel(struct tensor_push *p); /* NULL is nothing */

#endif
