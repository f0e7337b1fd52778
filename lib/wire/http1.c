#include "wire/http1.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

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

static const unsigned char kinds[256] = {
	['\t'] = VALUE,
	[' '] = VALUE,
	['!'] = TOKEN | VALUE | TARGET,
	['"'] = VALUE | TARGET,
	['#' ... '\''] = TOKEN | VALUE | TARGET,
	['(' ... ')'] = VALUE | TARGET,
	['*' ... '+'] = TOKEN | VALUE | TARGET,
	[','] = VALUE | TARGET,
	['-' ... '.'] = TOKEN | VALUE | TARGET,
	['/'] = VALUE | TARGET,
	['0' ... '9'] = TOKEN | VALUE | TARGET,
	[':' ... '@'] = VALUE | TARGET,
	['A' ... 'Z'] = TOKEN | VALUE | TARGET,
	['[' ... ']'] = VALUE | TARGET,
	['^' ... 'z'] = TOKEN | VALUE | TARGET,
	['{'] = VALUE | TARGET,
	['|'] = TOKEN | VALUE | TARGET,
	['}'] = VALUE | TARGET,
	['~'] = TOKEN | VALUE | TARGET,
	[128 ... 255] = VALUE,
};

/* Length of the run at s whose bytes are all of this kind. */
static size_t run(const char *s, const char *end, int kind)
{
	const char *p = s;

	while (p < end && (kinds[(unsigned char)*p] & kind))
		p++;
	return (size_t)(p - s);
}

static enum http1_event bad(struct http1 *p, int status, const char *reason)
{
	p->state = AT_BAD;
	p->status = status;
	p->reason = reason;
	p->keep_alive = false;
	return HTTP1_BAD;
}

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

/* The request line, without CRLF: METHOD SP TARGET SP HTTP/1.x. It begins the
 * head, is cut into strings in place, and loses the query's '?'. */
static enum http1_event request_line(struct http1 *p, char *s, char *end)
{
	size_t method = run(s, end, TOKEN), target;
	char *mark;

	if (!method || s + method == end || s[method] != ' ')
		return bad(p, 400, "bad request line");
	p->target = (uint16_t)(method + 1);
	s += method + 1;
	target = run(s, end, TARGET);
	if (!target || s + target == end || s[target] != ' ')
		return bad(p, 400, "bad request line");
	if (s[0] != '/' && !(s[0] == '*' && target == 1))
		return bad(p, 400, "the target is not a path");
	if (end - (s + target) != 9 || memcmp(s + target, " HTTP/", 6) ||
	    s[target + 7] != '.')
		return bad(p, 400, "bad request line");
	if (s[target + 6] != '1' || (s[target + 8] | 1) != '1')
		return bad(p, 505, "not HTTP/1.1");
	p->is_1_0 = s[target + 8] == '0';
	s[-1] = s[target] = '\0';
	mark = memchr(s, '?', target);
	p->query = mark ? (uint16_t)(mark + 1 - p->head.p) : 0;
	if (mark)
		*mark = '\0';
	p->state = AT_FIELDS;
	return HTTP1_MORE;
}

static enum http1_event content_length(struct http1 *p, const char *value)
{
	size_t digits = strspn(value, "0123456789");

	if (p->content_length >= 0)
		return bad(p, 400, "Content-Length twice");
	if (!digits || value[digits] || digits > 15)
		return bad(p, 400, "bad Content-Length");
	p->content_length = strtoll(value, NULL, 10);
	return HTTP1_MORE;
}

static enum http1_event transfer_encoding(struct http1 *p, const char *value)
{
	if (p->chunked)
		return bad(p, 400, "Transfer-Encoding twice");
	if (p->is_1_0)
		return bad(p, 400, "Transfer-Encoding in HTTP/1.0");
	if (strcasecmp(value, "chunked"))
		return bad(p, 501, "a transfer coding other than chunked");
	p->chunked = true;
	return HTTP1_MORE;
}

static enum http1_event connection(struct http1 *p, const char *value)
{
	while (*value) {
		size_t len = strcspn(value, ", \t");

		if (len == 5 && !strncasecmp(value, "close", len))
			p->close = true;
		if (len == 10 && !strncasecmp(value, "keep-alive", len))
			p->keep = true;
		value += len;
		value += strspn(value, ", \t");
	}
	return HTTP1_MORE;
}

/* The headers on which the framing depends. */
static enum http1_event framing(struct http1 *p, const char *name, size_t len,
				const char *value)
{
	switch (len) {
	case 4:
		if (!memcmp(name, "host", len) && http1_header(p, "host"))
			return bad(p, 400, "Host twice");
		return HTTP1_MORE;
	case 10:
		if (!memcmp(name, "connection", len))
			return connection(p, value);
		return HTTP1_MORE;
	case 14:
		if (!memcmp(name, "content-length", len))
			return content_length(p, value);
		return HTTP1_MORE;
	case 17:
		if (!memcmp(name, "transfer-encoding", len))
			return transfer_encoding(p, value);
		return HTTP1_MORE;
	default:
		return HTTP1_MORE;
	}
}

/* Cut "name: value" into two strings in place, the name in lower case. */
static enum http1_event split_field(struct http1 *p, char *s, char *end,
				    char **value, size_t *name_len)
{
	size_t name = run(s, end, TOKEN);

	if (*s == ' ' || *s == '\t')
		return bad(p, 400, "a folded header");
	if (!name || s + name == end)
		return bad(p, 400, "bad header");
	if (s[name] != ':')
		return bad(p, 400,
			   s[name] == ' ' || s[name] == '\t'
				   ? "a space before the colon"
				   : "bad header");
	*value = s + name + 1;
	*name_len = name;
	if (run(*value, end, VALUE) != (size_t)(end - *value))
		return bad(p, 400, "a control character in a header");
	while (*value < end && (**value == ' ' || **value == '\t'))
		(*value)++;
	while (end > *value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = s[name] = '\0';
	for (size_t i = 0; i < name; i++)
		if (s[i] >= 'A' && s[i] <= 'Z')
			s[i] |= 0x20;
	return HTTP1_MORE;
}

static enum http1_event field_line(struct http1 *p, char *s, char *end)
{
	char *value;
	size_t len;

	if (split_field(p, s, end, &value, &len))
		return HTTP1_BAD;
	if (p->n_fields == HTTP1_MAX_FIELDS)
		return bad(p, 431, "more than 100 headers");
	if (framing(p, s, len, value))
		return HTTP1_BAD;
	p->fields = mem_grow(p->fields, &p->fields_cap, p->n_fields + 1u,
			     sizeof(*p->fields));
	p->fields[p->n_fields++] = (struct http1_field){
		.name = (uint16_t)(s - p->head.p),
		.name_len = (uint16_t)len,
		.value = (uint16_t)(value - p->head.p),
	};
	return HTTP1_MORE;
}

/* The empty line after the headers. */
static enum http1_event head_ends(struct http1 *p)
{
	if (p->chunked && p->content_length >= 0)
		return bad(p, 400, "both Content-Length and Transfer-Encoding");
	if (!p->is_1_0 && !http1_header(p, "host"))
		return bad(p, 400, "no Host");
	p->head.max = HTTP1_MAX_HEAD + HTTP1_MAX_LINE;
	p->keep_alive = !p->close && (!p->is_1_0 || p->keep);
	p->left = p->content_length > 0 ? (uint64_t)p->content_length : 0;
	p->state = p->chunked ? AT_CHUNK_SIZE : p->left ? AT_BODY : AT_END;
	return HTTP1_HEAD;
}

/* Hexadecimal size, then perhaps extensions, which mean nothing to us. */
static enum http1_event chunk_size(struct http1 *p, const char *s,
				   const char *end)
{
	size_t digits = strspn(s, "0123456789abcdefABCDEF");

	if (!digits || digits > 12)
		return bad(p, 400, "bad chunk size");
	if (s + digits != end && s[digits] != ';')
		return bad(p, 400, "bad chunk size");
	if (run(s, end, VALUE) != (size_t)(end - s))
		return bad(p, 400, "bad chunk size");
	p->left = strtoull(s, NULL, 16);
	p->state = p->left ? AT_CHUNK : AT_TRAILERS;
	return HTTP1_MORE;
}

/* Trailers are checked like headers and dropped. */
static enum http1_event trailer_line(struct http1 *p, char *s, char *end)
{
	char *value;
	size_t len;

	if (s == end) {
		p->state = AT_END;
		return HTTP1_MORE;
	}
	if (++p->trailers > HTTP1_MAX_FIELDS)
		return bad(p, 431, "more than 100 trailers");
	return split_field(p, s, end, &value, &len);
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
		return request_line(p, s, end);
	case AT_FIELDS:
		return s == end ? head_ends(p) : field_line(p, s, end);
	case AT_CHUNK_SIZE:
		return chunk_size(p, s, end);
	case AT_CHUNK_END:
		if (s != end)
			return bad(p, 400, "a chunk longer than its size");
		p->state = AT_CHUNK_SIZE;
		return HTTP1_MORE;
	default:
		return trailer_line(p, s, end);
	}
}

static enum http1_event too_long(struct http1 *p)
{
	if (p->state <= AT_REQUEST)
		return bad(p, 414, "request line above 16384 bytes");
	return bad(p, 431, "head above 16384 bytes");
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
		return bad(p, 400, "bad chunk");
	if (!lf)
		return HTTP1_MORE;
	s = p->head.p + p->line;
	end = p->head.p + p->head.len - 2;
	if (end < s || *end != '\r')
		return bad(p, 400, "a line ends in a bare LF");
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
