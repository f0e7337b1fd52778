/* dialect.h - how one message, and the end of a call, look on the wire.
 *
 * A handler sees messages and errors only; what differs between gRPC, gRPC-web,
 * Connect unary (plain JSON) and Connect streaming is here, whatever carries
 * it. Pure. */
#ifndef WIRE_DIALECT_H
#define WIRE_DIALECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/gzip.h"
#include "wire/rpc.h"

enum dialect_kind {
	DIALECT_GRPC,    /* frames, then trailers of HTTP/2 */
	DIALECT_WEB,     /* gRPC-web: frames, the last one holds trailers */
	DIALECT_UNARY,   /* Connect unary: the body is the message */
	DIALECT_CONNECT, /* Connect streaming: frames, the last one is JSON */
};

struct dialect {
	const char *type;       /* content type of request and answer */
	const char *error_type; /* of an answer that is an error */
	enum dialect_kind kind;
	bool json;
	bool text; /* all of it is base64, in pieces that may be padded */
	int flags; /* of json_print() */
};

/* Whether the messages of a call may be packed. */
struct coding {
	struct gzip *gzip; /* borrowed */
	bool in, out;      /* requests, and answers that are worth it */
	size_t max;        /* most bytes that a request may unpack to */
	const char *bound; /* the name of that */
};

/* Of the paths of the first comm manager: JSON as its clients know it, with
 * the schema's names, numbers as numbers, and what is zero as well. */
extern const struct dialect dialect_old;

/* By content type (parameters are ignored); NULL if we speak none of it. */
const struct dialect *dialect_classify(const char *content_type);

/* The dialect of the answer: of gRPC-web, whose answer may be text or not
 * whatever the request was, the Accept header decides (or NULL). */
const struct dialect *dialect_answer(const struct dialect *asked,
				     const char *accept);

/* May a method of this kind be called in this dialect? */
bool dialect_serves(const struct dialect *d, enum rpc_kind kind);

/* The value of the dialect's timeout header in ms; NULL gives INT64_MAX. */
int dialect_timeout(const struct dialect *d, const char *value, int64_t *ms,
		    struct err *err) MUST_CHECK;
const char *dialect_timeout_name(const struct dialect *d);

/* The one message of a request's body, which is text no more; rpc_free() it.
 * c may be NULL: nothing is packed. */
int dialect_decode(const struct dialect *d, const struct coding *c,
		   const ProtobufCMessageDescriptor *type, const char *body,
		   size_t len, ProtobufCMessage **out,
		   struct err *err) MUST_CHECK;

/* Of a stream: bytes of the frame that p begins with, its head included, or 0
 * while they do not tell. */
size_t dialect_frame_size(const char *p, size_t len);

/* Append a message as it travels; bare ones are not packed. max bounds its
 * bytes, c may be NULL. */
int dialect_frame(const struct dialect *d, const struct coding *c,
		  struct buf *out, const ProtobufCMessage *msg, size_t max,
		  struct err *err) MUST_CHECK;

/* Pack what begins at start, if that makes it smaller. */
bool dialect_shrink(const struct coding *c, struct buf *out, size_t start);

/* Around the content of a frame that begins at start. */
void dialect_frame_begin(struct buf *out);
void dialect_frame_end(const struct dialect *d, struct buf *out, size_t start,
		       unsigned char flags);

/* Append the end of the call: err is NULL if it went well. For Connect unary
 * that is the whole body of an error, and nothing for success; for gRPC the
 * trailers, as lines. */
void dialect_finish(const struct dialect *d, struct buf *out,
		    const struct err *err);

/* The HTTP status of an answer that begins with this error, or NULL. */
int dialect_status(const struct dialect *d, const struct err *err);

#endif
