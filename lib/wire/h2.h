/* h2.h - the server's side of HTTP/2 (RFC 9113), by nghttp2: bytes in, bytes
 * out, no socket and no clock.
 *
 * Heads travel here as the text that HTTP/1.1 has for them, so that one strict
 * parser judges both, and one table of headers says what an answer has. Bounds:
 * 1,000 streams at once; of resets, and of pings, settings and empty frames,
 * 1,000 at first and then 33 a second. */
#ifndef WIRE_H2_H
#define WIRE_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct h2; /* one connection */

enum {
	H2_MAX_STREAMS = 1000,
	H2_MAX_LINES = 16, /* of an answer's head or trailers */
	H2_SNIFF = 16,     /* bytes that tell it from HTTP/1.1 */
};

/* A connection of HTTP/2 begins with these. */
extern const char h2_preface[H2_SNIFF + 1];

/* What a stream has to send now. */
enum h2_have {
	H2_LATER,    /* these bytes; more may come: h2_resume() then */
	H2_LAST,     /* these, and then the stream has ended */
	H2_TRAILERS, /* these, and then the trailers */
};

/* Called by h2_input() and h2_output(). stream is what open returned; no hook
 * may call those two or h2_close(). */
struct h2_hooks {
	/* A request begins; NULL refuses it. */
	void *(*open)(void *arg, int32_t id);
	/* Its head as of HTTP/1.1, cut off where it is above a parser's
	 * bound; last: no body follows. */
	void (*head)(void *stream, const char *text, size_t len, bool last);
	/* False: it takes no more for now, and h2_consume() says when so many
	 * bytes have been used up. */
	bool (*body)(void *stream, const char *p, size_t len);
	void (*end)(void *stream); /* the request is complete */
	/* What is there to send, *len bytes at *p; then how many of them
	 * went. */
	enum h2_have (*data)(void *stream, const char **p, size_t *len);
	void (*sent)(void *stream, size_t len);
	/* "name: value\r\n" lines */
	const struct buf *(*trailers)(void *stream);
	/* It is over, or was reset; what open returned is forgotten. */
	void (*closed)(void *stream);
};

/* hooks are borrowed; arg goes to open. Frees by h2_close(), which calls no
 * hook. */
struct h2 *h2_open(const struct h2_hooks *hooks, void *arg);
void h2_close(struct h2 *h);

/* Use up bytes that came. -1: they are not HTTP/2, and the connection is to be
 * closed when h2_output() has no more. */
int h2_input(struct h2 *h, const char *p, size_t len,
	     int64_t now_ms) MUST_CHECK;

/* Append bytes to send until out has about so many. */
void h2_output(struct h2 *h, struct buf *out, size_t enough);
bool h2_pending(const struct h2 *h); /* would h2_output() add some? */
bool h2_over(const struct h2 *h);    /* nothing more will be said or heard */

/* Answer with "name: value\r\n" lines; body: the data hook has one, or
 * trailers. */
void h2_answer(struct h2 *h, int32_t id, int status, const char *lines,
	       bool body);
void h2_resume(struct h2 *h, int32_t id); /* it has more to send */
void h2_consume(struct h2 *h, int32_t id, size_t len);
void h2_reset(struct h2 *h, int32_t id);  /* end it at once */
void h2_goaway(struct h2 *h);             /* take no new streams */

#endif
