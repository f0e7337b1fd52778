/* http1.h - a strict parser of HTTP/1.1 requests: bytes in, events out.
 *
 * Strict beyond RFC 9112 where leniency has let requests be smuggled: a line
 * ends in CRLF and never in a bare LF; both Content-Length and
 * Transfer-Encoding, either of them twice, a folded header, a space before the
 * colon and control characters are errors; the target is a path or "*". The
 * events do not depend on how the bytes were cut into pieces, but for the
 * slices of a body. */
#ifndef WIRE_HTTP1_H
#define WIRE_HTTP1_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum {
	HTTP1_MAX_HEAD = 16 << 10, /* bytes of request line and headers */
	HTTP1_MAX_FIELDS = 100,
	HTTP1_MAX_CHUNK_LINE = 256,
	HTTP1_MAX_LINE = 1024, /* of a trailer, at least */
};

enum http1_event {
	HTTP1_MORE, /* all bytes are used up */
	HTTP1_HEAD, /* the head is complete */
	HTTP1_BODY, /* body and body_len: a slice of the bytes given */
	HTTP1_END,  /* the request is complete; http1_reset() for the next */
	HTTP1_BAD,  /* status and reason say why; give it no more bytes */
};

/* Offsets into head, whose memory may move; text there ends in NUL. */
struct http1_field {
	uint16_t name, name_len, value;
};

struct http1 {
	/* Of the request whose head is complete. */
	bool keep_alive; /* the client will take another answer */
	bool chunked;
	bool is_1_0;
	int64_t content_length; /* -1: none was given */

	const char *body; /* HTTP1_BODY */
	size_t body_len;
	int status; /* HTTP1_BAD: 400, 414, 431, 501 or 505 */
	const char *reason;

	/* The parser's own. */
	int state;
	bool close, keep; /* words of Connection */
	struct buf head;
	size_t line;   /* where the unfinished line begins */
	uint64_t left; /* bytes of the body or chunk to come */
	unsigned trailers;
	uint16_t target, query;
	uint16_t n_fields;
	size_t fields_cap;
	struct http1_field *fields;
};

void http1_init(struct http1 *p);
void http1_reset(struct http1 *p); /* for the next request, keeping memory */
void http1_release(struct http1 *p);

/* Use up bytes of *data (moving it and *len on) until the next event. An event
 * may need no byte: call it until it says HTTP1_MORE. */
enum http1_event http1_next(struct http1 *p, const char **data, size_t *len);

/* Has some of a request arrived, but not all? */
bool http1_begun(const struct http1 *p);

/* Body bytes that are sure to follow one another without framing in between:
 * the owner may read up to so many into place and say so. */
uint64_t http1_plain_left(const struct http1 *p);
void http1_skip(struct http1 *p, uint64_t n);

/* Valid from HTTP1_HEAD until http1_reset(), but the pointers only until the
 * next http1_next(). */
const char *http1_method(const struct http1 *p);
const char *http1_path(const struct http1 *p);  /* without the query */
const char *http1_query(const struct http1 *p); /* "" if there is none */

/* The value of a header by its lower-case name, or NULL. Of a header that came
 * more than once, the first. */
const char *http1_header(const struct http1 *p, const char *name);

#endif
