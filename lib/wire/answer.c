#include "wire/engine.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	LENGTH_DIGITS = 10, /* room kept for Content-Length */
	CHUNK_HEAD = 10,    /* eight digits and CRLF */
	MOVE_MAX = 64 << 10,
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{200, "OK"},
	{204, "No Content"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{417, "Expectation Failed"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{499, "Client Closed Request"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
};

static const char *reason_of(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Other";
}

/* The Date line, made once a second (RFC 9110 6.6.1). */
static const char *date_line(struct server *s)
{
	int64_t now = (int64_t)uv_now(s->uv) / 1000;
	time_t t = time(NULL);
	struct tm tm;

	if (s->date[0] && now == s->date_s)
		return s->date;
	s->date_s = now;
	strftime(s->date, sizeof(s->date), "date: %a, %d %b %Y %T GMT\r\n",
		 gmtime_r(&t, &tm));
	return s->date;
}

static void head(struct conn *c, int status, const char *type)
{
	struct buf *out = &c->out;

	if (!out->p) {
		*out = c->s->spare_out;
		c->s->spare_out = (struct buf){0};
	}
	if (status == 200)
		buf_puts(out, "HTTP/1.1 200 OK\r\n");
	else
		buf_putf(out, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
	buf_puts(out, date_line(c->s));
	if (type) {
		buf_puts(out, "content-type: ");
		buf_puts(out, type);
		buf_puts(out, "\r\n");
	}
	if (!c->keep)
		buf_puts(out, "connection: close\r\n");
	else if (c->is_1_0)
		buf_puts(out, "connection: keep-alive\r\n");
}

/* The length is not known yet: blanks keep its place. */
void answer_begin(struct conn *c, int status, const char *type,
		  const char *allow)
{
	c->head_at = c->out.len;
	head(c, status, type);
	if (allow)
		buf_putf(&c->out, "allow: %s\r\n", allow);
	if (status == 204) {
		buf_puts(&c->out, "\r\n");
		c->mark = 0;
		return;
	}
	buf_puts(&c->out, "content-length: ");
	c->mark = c->out.len;
	buf_puts(&c->out, "          \r\n\r\n");
	c->body_at = c->out.len;
}

/* n in decimal, right-aligned in the LENGTH_DIGITS bytes at p. Returns how many
 * blanks are left before it. */
static size_t put_digits(char *p, size_t n)
{
	size_t at = LENGTH_DIGITS;

	do {
		p[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	return at;
}

/* Write the length into its place. Small bodies move up to it; before large
 * ones some blanks stay, which HTTP allows. */
static void put_length(struct conn *c)
{
	size_t len = c->out.len - c->body_at;
	char *at = c->out.p + c->mark;
	size_t gap = put_digits(at, len);

	if (len > MOVE_MAX)
		return;
	memmove(at, at + gap, LENGTH_DIGITS - gap + 4 + len);
	c->out.len -= gap;
	c->body_at -= gap;
	c->out.p[c->out.len] = '\0';
}

void answer_end(struct conn *c)
{
	if (c->mark)
		put_length(c);
	if (c->mark && c->headless)
		c->out.len = c->body_at;
	conn_flush(c);
	conn_finish(c);
}

/* To HTTP/1.0, which knows no chunks, a stream ends with its connection. */
void answer_stream(struct conn *c, const char *type)
{
	c->chunked = !c->is_1_0;
	c->keep = c->keep && c->chunked;
	head(c, 200, type);
	buf_puts(&c->out,
		 c->chunked ? "transfer-encoding: chunked\r\n\r\n" : "\r\n");
}

void answer_chunk(struct conn *c)
{
	c->mark = c->out.len;
	if (c->chunked)
		buf_puts(&c->out, "00000000\r\n");
}

void answer_chunk_end(struct conn *c)
{
	size_t len = c->out.len - c->mark;
	char size[9];

	if (!c->chunked)
		return;
	snprintf(size, sizeof(size), "%08x", (unsigned)(len - CHUNK_HEAD));
	memcpy(c->out.p + c->mark, size, 8);
	buf_puts(&c->out, "\r\n");
}

void answer_stream_end(struct conn *c)
{
	if (c->chunked)
		buf_puts(&c->out, "0\r\n\r\n");
	conn_flush(c);
	conn_finish(c);
}
