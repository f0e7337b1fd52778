/* duplex.h - client and bidirectional streams of other programs' methods:
 * messages to a server and from it, at any time.
 *
 * Each has a connection of its own, which speaks native gRPC over HTTP/2, by
 * prior knowledge or, for https, by ALPN: libcurl 7.88 breaks on the second
 * request over a reused one (CURLE_HTTP2, curl #10634), and has no streams
 * towards the server. Nothing is tried again: who knows what the messages did.
 */
#ifndef WIRE_DUPLEX_H
#define WIRE_DUPLEX_H

#include "wire/client.h"

struct duplex;

enum { DUPLEX_QUEUE = 16 << 20 }; /* bytes that may wait to be sent */

/* Call a method of any kind at url. Of the options timeout_ms, forwarded, bind
 * and tls count. each may be NULL where the server says nothing but one answer,
 * which done gets; see client.h for both, and for the sentences of failures.
 * None runs within a duplex_…(). Never NULL; freed once done has run. */
struct duplex *duplex_open(struct loop *loop, const char *url,
			   const struct rpc_method *method,
			   const struct rpc_opts *opts, rpc_each_fn *each,
			   rpc_done_fn *done, void *arg);

/* Queue a message, also before the connection is there. False, and nothing
 * queued, while DUPLEX_QUEUE waits: try again at the drain. Not after
 * duplex_finish(). */
bool duplex_send(struct duplex *d, const ProtobufCMessage *msg) MUST_CHECK;

/* The same, and it goes to the kernel at once, not in the next turn with what
 * else is queued until then. */
bool duplex_send_now(struct duplex *d, const ProtobufCMessage *msg) MUST_CHECK;
size_t duplex_queued(const struct duplex *d); /* bytes the kernel lacks */

/* fn runs whenever the queue has become empty. */
typedef void duplex_fn(void *arg);
void duplex_on_drain(struct duplex *d, duplex_fn *fn, void *arg);

void duplex_finish(struct duplex *d); /* no more messages of ours */

/* Hold the server back: each does not run until duplex_resume(), and the
 * server can send 4 MiB meanwhile. */
void duplex_pause(struct duplex *d);
void duplex_resume(struct duplex *d);

/* End it; its callbacks do not run. NULL is nothing. */
void duplex_cancel(struct duplex *d);

#endif
