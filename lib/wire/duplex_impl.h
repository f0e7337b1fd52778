/* duplex_impl.h - what the files of a stream share: its life and its user's
 * side in duplex.c, nghttp2's in duplex_session.c, what the bytes that came
 * mean in duplex_in.c. */
#ifndef WIRE_DUPLEX_IMPL_H
#define WIRE_DUPLEX_IMPL_H

#include <nghttp2/nghttp2.h>

#include "wire/dial.h"
#include "wire/duplex.h"
#include "wire/frames.h"

enum { DUPLEX_STREAM = 1 }; /* the only one, of HTTP/2 */

/* What the heads of the answer said. */
struct head {
	int status;
	char type[64], grpc_status[16];
	char *grpc_message;
};

struct duplex {
	struct loop *loop;
	const struct rpc_method *method;
	rpc_each_fn *each;
	rpc_done_fn *done;
	duplex_fn *on_drain;
	void *arg, *drain_arg;
	char *base;
	bool forwarded;
	int64_t timeout_ms, deadline_ms; /* by clock_ms(); 0: none */
	struct timer timer;              /* the deadline, or an early failure */

	struct dial *dial;
	nghttp2_session *session; /* NULL before it is connected */
	struct buf out, flying;   /* frames; flying: being taken by nghttp2 */
	size_t taken;             /* of flying */
	struct head head;
	struct frames in;
	size_t unconsumed; /* bytes that the window does not count back yet */
	ProtobufCMessage *answer;
	uint32_t reset; /* why the server ended the stream */
	struct err err; /* code 0: none */

	bool finished;   /* no more of ours */
	bool heard_all;  /* no more of theirs */
	bool has_status; /* err is it */
	bool paused, filled;
	bool is_busy, is_cancelled;
};

/* duplex.c: d->err is how it ends. */
void duplex_fail(struct duplex *d);

/* duplex_session.c: there is a connection, so begin. */
void duplex_begin(struct duplex *d);

/* duplex_in.c: deliver the messages that are there, unless we are to wait; then
 * what all that came means, if it is over. */
void duplex_deliver(struct duplex *d);
void duplex_conclude(struct duplex *d);

#endif
