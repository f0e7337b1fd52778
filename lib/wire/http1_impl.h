/* http1_impl.h - the parser of HTTP/1.1, for its two files: http1.c takes bytes
 * apart into lines and bodies, http1_head.c reads the lines. */
#ifndef WIRE_HTTP1_IMPL_H
#define WIRE_HTTP1_IMPL_H

#include "wire/http1.h"

enum state {
	AT_START, /* before the request line */
	AT_REQUEST,
	AT_FIELDS,
	AT_BODY,
	AT_CHUNK_SIZE,
	AT_CHUNK,
	AT_CHUNK_END,
	AT_TRAILERS,
	AT_END,
	AT_DONE,
	AT_BAD,
};

enum {
	TOKEN = 1,  /* RFC 9110 5.6.2 */
	VALUE = 2,  /* of a field: visible, space, tab, or above ASCII */
	TARGET = 4, /* visible ASCII */
};

/* Length of the run at s whose bytes are all of this kind. */
size_t http1_run(const char *s, const char *end, int kind);

enum http1_event http1_bad(struct http1 *p, int status, const char *reason);

/* One line each, without CRLF; *end is '\0'. HTTP1_MORE: it is right. */
enum http1_event http1_request_line(struct http1 *p, char *s, char *end);
enum http1_event http1_field_line(struct http1 *p, char *s, char *end);
enum http1_event http1_trailer_line(struct http1 *p, char *s, char *end);
enum http1_event http1_head_ends(struct http1 *p); /* the empty line */

#endif
