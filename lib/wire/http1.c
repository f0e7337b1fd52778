#include "wire/http1_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void http1_init(struct http1 *p)
{
	*p = (struct http1){.head = BUF_INIT(HTTP1_MAX_HEAD)};
	http1_reset(p);
}

void http1_reset(struct http1 *p)
{
	if (p->head.cap > 1024)
		buf_release(&p->head);
	buf_reset(&p->head);
	p->head.max = HTTP1_MAX_HEAD;
	p->state = AT_START;
	p->content_length = -1;
	p->keep_alive = p->chunked = p->is_1_0 = false;
	p->close = p->keep = false;
	p->line = 0;
	p->left = 0;
	p->trailers = 0;
	p->n_fields = 0;
}

void http1_release(struct http1 *p)
{
	buf_release(&p->head);
	free(p->fields);
	p->fields = NULL;
	p->fields_cap = 0;
}

bool http1_begun(const struct http1 *p)
{
	return p->state == AT_START ? p->head.len > 0 : p->state < AT_DONE;
}

uint64_t http1_plain_left(const struct http1 *p)
{
	return p->state == AT_BODY ? p->left : 0;
}

void http1_skip(struct http1 *p, uint64_t n)
{
	p->left -= n;
	if (!p->left)
		p->state = AT_END;
}

const char *http1_method(const struct http1 *p)
{
	return p->head.p;
}

const char *http1_path(const struct http1 *p)
{
	return p->head.p + p->target;
}

const char *http1_query(const struct http1 *p)
{
	return p->query ? p->head.p + p->query : "";
}

const char *http1_header(const struct http1 *p, const char *name)
{
	size_t len = strlen(name);

	for (unsigned i = 0; i < p->n_fields; i++) {
		const struct http1_field *f = &p->fields[i];

		if (f->name_len == len &&
		    !memcmp(p->head.p + f->name, name, len))
			return p->head.p + f->value;
	}
	return NULL;
}

/* Hexadecimal size, then perhaps extensions, which mean nothing to us. */
static enum http1_event chunk_size(struct http1 *p, const char *s,
				   const char *end)
{
	size_t digits = strspn(s, "0123456789abcdefABCDEF");

	if (!digits || digits > 12)
		return http1_bad(p, 400, "bad chunk size");
	if (s + digits != end && s[digits] != ';')
		return http1_bad(p, 400, "bad chunk size");
	if (http1_run(s, end, VALUE) != (size_t)(end - s))
		return http1_bad(p, 400, "bad chunk size");
	p->left = strtoull(s, NULL, 16);
	p->state = p->left ? AT_CHUNK : AT_TRAILERS;
	return HTTP1_MORE;
}

/* A complete line, without its CRLF; *end is '\0'. */
static enum http1_event line(struct http1 *p, char *s, char *end)
{
	switch (p->state) {
	case AT_START: /* RFC 9112 2.2: one empty line is forgiven */
	case AT_REQUEST:
		if (s == end && p->state == AT_START) {
			p->state = AT_REQUEST;
			buf_reset(&p->head);
			return HTTP1_MORE;
		}
		return http1_request_line(p, s, end);
	case AT_FIELDS:
		return s == end ? http1_head_ends(p)
				: http1_field_line(p, s, end);
	case AT_CHUNK_SIZE:
		return chunk_size(p, s, end);
	case AT_CHUNK_END:
		if (s != end)
			return http1_bad(p, 400,
					 "a chunk longer than its size");
		p->state = AT_CHUNK_SIZE;
		return HTTP1_MORE;
	default:
		return http1_trailer_line(p, s, end);
	}
}

static enum http1_event too_long(struct http1 *p)
{
	if (p->state <= AT_REQUEST)
		return http1_bad(p, 414, "request line above 16384 bytes");
	return http1_bad(p, 431, "head above 16384 bytes");
}

/* A line between chunks that is longer than it may become. */
static bool hopeless(const struct http1 *p)
{
	size_t len = p->head.len - p->line;

	return (p->state == AT_CHUNK_SIZE && len > HTTP1_MAX_CHUNK_LINE) ||
	       (p->state == AT_CHUNK_END && len > 2);
}

/* Take bytes up to the end of a line; lines after the head use the room
 * behind it for a while. */
static enum http1_event take_line(struct http1 *p, const char **data,
				  size_t *len)
{
	const char *lf = memchr(*data, '\n', *len);
	size_t n = lf ? (size_t)(lf + 1 - *data) : *len;
	enum http1_event ev;
	char *s, *end;

	if (!p->head.p)
		(void)!buf_room(&p->head, 480);
	if (buf_add(&p->head, *data, n, NULL))
		return too_long(p);
	*data += n;
	*len -= n;
	if (hopeless(p))
		return http1_bad(p, 400, "bad chunk");
	if (!lf)
		return HTTP1_MORE;
	s = p->head.p + p->line;
	end = p->head.p + p->head.len - 2;
	if (end < s || *end != '\r')
		return http1_bad(p, 400, "a line ends in a bare LF");
	*end = '\0';
	ev = line(p, s, end);
	if (p->state >= AT_BODY && ev == HTTP1_MORE)
		p->head.len = p->line;
	p->line = p->head.len;
	return ev;
}

static enum http1_event take_body(struct http1 *p, const char **data,
				  size_t *len)
{
	size_t n = *len < p->left ? *len : (size_t)p->left;

	p->body = *data;
	p->body_len = n;
	*data += n;
	*len -= n;
	p->left -= n;
	if (!p->left)
		p->state = p->state == AT_BODY ? AT_END : AT_CHUNK_END;
	return HTTP1_BODY;
}

enum http1_event http1_next(struct http1 *p, const char **data, size_t *len)
{
	enum http1_event ev = HTTP1_MORE;

	if (p->state == AT_BAD)
		return HTTP1_BAD;
	if (p->state == AT_END) {
		p->state = AT_DONE;
		return HTTP1_END;
	}
	while (*len && ev == HTTP1_MORE && p->state != AT_DONE) {
		if (p->state == AT_END)
			return http1_next(p, data, len);
		ev = p->state == AT_BODY || p->state == AT_CHUNK
			     ? take_body(p, data, len)
			     : take_line(p, data, len);
	}
	if (ev == HTTP1_MORE && p->state == AT_END)
		return http1_next(p, data, len);
	return ev;
}
