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

/* Memory for what is to be sent. */
static void lend(struct stream *st)
{
	if (st->out.p)
		return;
	st->out = st->s->spare_out;
	st->s->spare_out = (struct buf){0};
}

static void head(struct stream *st, int status, const char *type,
		 const char *more)
{
	struct buf *out = &st->out;

	lend(st);
	if (status == 200)
		buf_puts(out, "HTTP/1.1 200 OK\r\n");
	else
		buf_putf(out, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
	buf_puts(out, date_line(st->s));
	if (type) {
		buf_puts(out, "content-type: ");
		buf_puts(out, type);
		buf_puts(out, "\r\n");
	}
	if (more)
		buf_puts(out, more);
	if (!st->keep)
		buf_puts(out, "connection: close\r\n");
	else if (st->is_1_0)
		buf_puts(out, "connection: keep-alive\r\n");
}

/* Of HTTP/2 all that is kept apart from the body. */
static void head2(struct stream *st, int status, const char *type,
		  const char *more)
{
	lend(st);
	st->status = status;
	st->mark = 0;
	buf_reset(&st->head);
	buf_reset(&st->trailers);
	buf_puts(&st->head, date_line(st->s));
	if (type)
		buf_putf(&st->head, "content-type: %s\r\n", type);
	if (more)
		buf_puts(&st->head, more);
}

/* An answer without a body has its trailers in its head. */
static void end2(struct stream *st)
{
	bool body = st->out.len && !st->headless;

	if (!st->trailers.len && st->status != 204)
		buf_putf(&st->head, "content-length: %zu\r\n", st->out.len);
	if (!body) {
		buf_put(&st->head, st->trailers.p, st->trailers.len);
		buf_reset(&st->out);
	}
	h2_answer(st->conn->h2, st->id, st->status, st->head.p, body);
	buf_release(&st->head);
	stream_finish(st);
}

static void stream2(struct stream *st, const char *type, const char *more)
{
	st->chunked = false;
	head2(st, 200, type, more);
	h2_answer(st->conn->h2, st->id, st->status, st->head.p, true);
	buf_release(&st->head);
}

/* The length is not known yet: blanks keep its place. */
void answer_begin(struct stream *st, int status, const char *type,
		  const char *more)
{
	st->head_at = st->out.len;
	st->keep = st->keep && !st->open;
	if (st->id) {
		head2(st, status, type, more);
		return;
	}
	head(st, status, type, more);
	if (status == 204) {
		buf_puts(&st->out, "\r\n");
		st->mark = 0;
		return;
	}
	buf_puts(&st->out, "content-length: ");
	st->mark = st->out.len;
	buf_puts(&st->out, "          \r\n\r\n");
	st->body_at = st->out.len;
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
static void put_length(struct stream *st)
{
	size_t len = st->out.len - st->body_at;
	char *at = st->out.p + st->mark;
	size_t gap = put_digits(at, len);

	if (len > MOVE_MAX)
		return;
	memmove(at, at + gap, LENGTH_DIGITS - gap + 4 + len);
	st->out.len -= gap;
	st->body_at -= gap;
	st->out.p[st->out.len] = '\0';
}

void answer_end(struct stream *st)
{
	if (st->id) {
		end2(st);
		return;
	}
	if (st->mark)
		put_length(st);
	if (st->mark && st->headless)
		st->out.len = st->body_at;
	stream_flush(st);
	stream_finish(st);
}

/* To HTTP/1.0, which knows no chunks, a stream ends with its connection. */
void answer_stream(struct stream *st, const char *type, const char *more)
{
	if (st->id) {
		stream2(st, type, more);
		return;
	}
	st->chunked = !st->is_1_0;
	st->keep = st->keep && st->chunked;
	head(st, 200, type, more);
	buf_puts(&st->out,
		 st->chunked ? "transfer-encoding: chunked\r\n\r\n" : "\r\n");
}

void answer_chunk(struct stream *st)
{
	st->mark = st->out.len;
	if (st->chunked)
		buf_puts(&st->out, "00000000\r\n");
}

void answer_chunk_end(struct stream *st)
{
	size_t len = st->out.len - st->mark;
	char size[9];

	if (!st->chunked)
		return;
	snprintf(size, sizeof(size), "%08x", (unsigned)(len - CHUNK_HEAD));
	memcpy(st->out.p + st->mark, size, 8);
	buf_puts(&st->out, "\r\n");
}

void answer_stream_end(struct stream *st)
{
	if (st->chunked)
		buf_puts(&st->out, "0\r\n\r\n");
	stream_flush(st);
	stream_finish(st);
}

void answer_status(struct stream *st, const struct dialect *d,
		   const struct err *err)
{
	bool apart = d->kind == DIALECT_GRPC;

	dialect_finish(d, apart ? &st->trailers : &st->out, err);
}
