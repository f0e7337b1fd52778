/* client.h - calls of other programs' methods, many at once, on one loop.
 *
 * libcurl's multi interface in the loop; connections are kept, control and
 * bulk apart. HTTP/1.1, gRPC-web binary.
 *
 * If retry is asked for, a call is tried again inside its deadline, with
 * jittered exponential backoff: after a failure to connect always; a method
 * that may be called twice (rpc_method.again) after any UNAVAILABLE; another
 * one, when the connection was lost before the answer, by its request id,
 * which brings the answer of the first attempt if the server still knows it,
 * and never carries the call out a second time (rpc.h). It ends as UNKNOWN if
 * nobody can tell whether it was carried out. */
#ifndef WIRE_CLIENT_H
#define WIRE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/opt.h"
#include "wire/rpc.h"

struct client;
struct rpc; /* one call under way */
struct tls;

/* tls is for https and borrowed until client_close(); with NULL, or without an
 * authority in it, those of the system are trusted. */
int client_open(struct client **out, struct loop *loop, struct tls *tls,
		struct err *err) MUST_CHECK;

/* The same for a program that is a client alone: the files that tls names, see
 * tls_open(), are loaded and the client's own. NULL is none. */
int client_open_files(struct client **out, struct loop *loop,
		      const struct tls_opts *tls, struct err *err) MUST_CHECK;

/* Cancels what is under way; no callback runs. Not from within a callback of
 * this client. NULL is nothing. */
void client_close(struct client *c);

/* Calls go out from this address from now on; NULL: from any. */
void client_bind(struct client *c, const char *address);
const char *client_bound(const struct client *c); /* or NULL */

struct rpc_opts {
	int64_t timeout_ms; /* for the whole call; 0 is none */
	bool retry; /* needs a timeout; a stream's ends with its first message
		     */
	int64_t try_ms;   /* with retry: a unary attempt that takes longer is
			     given up for another one, though the server may go
			     on until the deadline; 0: no such bound */
	bool forwarded;   /* marks the call as forwarded by a node */
	/* of duplex_open(), other calls use their client's: */
	const char *bind; /* source address, or NULL */
	struct tls *tls;  /* borrowed until it is connected */
	int64_t stall_ms; /* the connection is lost when the other machine has
			     not taken what we sent for so long; 0: the kernel's
			     patience, a quarter of an hour */
};

/* err is NULL when all went well, out then the answer, borrowed for the
 * callback. Runs on the loop's thread, exactly once unless cancelled, never
 * before client_call() has returned. The rpc is gone afterwards. */
typedef void rpc_done_fn(const struct err *err, const ProtobufCMessage *out,
			 void *arg);

/* Call method name at url ("http://127.0.0.1:8901"). in is borrowed for this
 * call. Unreachable is UNAVAILABLE: "cannot reach URL: Connection refused".
 * Never NULL. */
struct rpc *client_call(struct client *c, const char *url, enum rpc_name name,
			const ProtobufCMessage *in, const struct rpc_opts *opts,
			rpc_done_fn *done, void *arg);

/* A server stream: each per message (borrowed), then done, with err NULL at
 * an orderly end. A message on a stream resets no deadline; a connection that
 * dies ends it with UNAVAILABLE. Callbacks may cancel any rpc, their own too,
 * and begin new ones. */
typedef void rpc_each_fn(const ProtobufCMessage *out, void *arg);
struct rpc *client_stream(struct client *c, const char *url, enum rpc_name name,
			  const ProtobufCMessage *in,
			  const struct rpc_opts *opts, rpc_each_fn *each,
			  rpc_done_fn *done, void *arg);

/* The same with each message as it came, not unpacked: len bytes at p,
 * borrowed; and for any method, also one that is in no table. */
typedef void rpc_bytes_fn(const uint8_t *p, size_t len, void *arg);
struct rpc *client_bytes(struct client *c, const char *url,
			 const struct rpc_method *method,
			 const ProtobufCMessage *in,
			 const struct rpc_opts *opts, rpc_bytes_fn *each,
			 rpc_done_fn *done, void *arg);

/* End it; its callbacks do not run. NULL is nothing. */
void client_cancel(struct rpc *r);

struct loop *client_loop(const struct client *c);
struct tls *client_tls(const struct client *c); /* or NULL */

/* Bytes of the answer's body, and from its first to its last byte; valid in
 * done, for the rpc whose done runs. */
void client_timing(const struct client *c, uint64_t *bytes, int64_t *us);

/* For programs without a loop of their own: call and wait. *out is freed by
 * the caller with rpc_free(). timeout_ms 0 waits for ever. tls names
 * files, see tls_open(); NULL is none. */
int client_now(const struct tls_opts *tls, const char *url, enum rpc_name name,
	       const ProtobufCMessage *in, int64_t timeout_ms,
	       ProtobufCMessage **out, struct err *err) MUST_CHECK;

/* The same for a stream, until its end or until each returns false. */
typedef bool rpc_more_fn(const ProtobufCMessage *out, void *arg);
int client_stream_now(const struct tls_opts *tls, const char *url,
		      enum rpc_name name, const ProtobufCMessage *in,
		      int64_t timeout_ms, rpc_more_fn *each, void *arg,
		      struct err *err) MUST_CHECK;

#endif
