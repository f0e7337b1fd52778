#include "wire/http1_impl.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

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

size_t http1_run(const char *s, const char *end, int kind)
{
	const char *p = s;

	while (p < end && (kinds[(unsigned char)*p] & kind))
		p++;
	return (size_t)(p - s);
}

enum http1_event http1_bad(struct http1 *p, int status, const char *reason)
{
	p->state = AT_BAD;
	p->status = status;
	p->reason = reason;
	p->keep_alive = false;
	return HTTP1_BAD;
}

/* The request line, without CRLF: METHOD SP TARGET SP HTTP/1.x. It begins the
 * head, is cut into strings in place, and loses the query's '?'. */
enum http1_event http1_request_line(struct http1 *p, char *s, char *end)
{
	size_t method = http1_run(s, end, TOKEN), target;
	char *mark;

	if (!method || s + method == end || s[method] != ' ')
		return http1_bad(p, 400, "bad request line");
	p->target = (uint16_t)(method + 1);
	s += method + 1;
	target = http1_run(s, end, TARGET);
	if (!target || s + target == end || s[target] != ' ')
		return http1_bad(p, 400, "bad request line");
	if (s[0] != '/' && !(s[0] == '*' && target == 1))
		return http1_bad(p, 400, "the target is not a path");
	if (end - (s + target) != 9 || memcmp(s + target, " HTTP/", 6) ||
	    s[target + 7] != '.')
		return http1_bad(p, 400, "bad request line");
	if (s[target + 6] != '1' || (s[target + 8] | 1) != '1')
		return http1_bad(p, 505, "not HTTP/1.1");
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
		return http1_bad(p, 400, "Content-Length twice");
	if (!digits || value[digits] || digits > 15)
		return http1_bad(p, 400, "bad Content-Length");
	p->content_length = strtoll(value, NULL, 10);
	return HTTP1_MORE;
}

static enum http1_event transfer_encoding(struct http1 *p, const char *value)
{
	if (p->chunked)
		return http1_bad(p, 400, "Transfer-Encoding twice");
	if (p->is_1_0)
		return http1_bad(p, 400, "Transfer-Encoding in HTTP/1.0");
	if (strcasecmp(value, "chunked"))
		return http1_bad(p, 501,
				 "a transfer coding other than chunked");
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
			return http1_bad(p, 400, "Host twice");
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
	size_t name = http1_run(s, end, TOKEN);

	if (*s == ' ' || *s == '\t')
		return http1_bad(p, 400, "a folded header");
	if (!name || s + name == end)
		return http1_bad(p, 400, "bad header");
	if (s[name] != ':')
		return http1_bad(p, 400,
				 s[name] == ' ' || s[name] == '\t'
					 ? "a space before the colon"
					 : "bad header");
	*value = s + name + 1;
	*name_len = name;
	if (http1_run(*value, end, VALUE) != (size_t)(end - *value))
		return http1_bad(p, 400, "a control character in a header");
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

enum http1_event http1_field_line(struct http1 *p, char *s, char *end)
{
	char *value;
	size_t len;

	if (split_field(p, s, end, &value, &len))
		return HTTP1_BAD;
	if (p->n_fields == HTTP1_MAX_FIELDS)
		return http1_bad(p, 431, "more than 100 headers");
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
enum http1_event http1_head_ends(struct http1 *p)
{
	if (p->chunked && p->content_length >= 0)
		return http1_bad(p, 400,
				 "both Content-Length and Transfer-Encoding");
	if (!p->is_1_0 && !http1_header(p, "host"))
		return http1_bad(p, 400, "no Host");
	p->head.max = HTTP1_MAX_HEAD + HTTP1_MAX_LINE;
	p->keep_alive = !p->close && (!p->is_1_0 || p->keep);
	p->left = p->content_length > 0 ? (uint64_t)p->content_length : 0;
	p->state = p->chunked ? AT_CHUNK_SIZE : p->left ? AT_BODY : AT_END;
	return HTTP1_HEAD;
}

/* Trailers are checked like headers and dropped. */
enum http1_event http1_trailer_line(struct http1 *p, char *s, char *end)
{
	char *value;
	size_t len;

	if (s == end) {
		p->state = AT_END;
		return HTTP1_MORE;
	}
	if (++p->trailers > HTTP1_MAX_FIELDS)
		return http1_bad(p, 431, "more than 100 trailers");
	return split_field(p, s, end, &value, &len);
}
