#include "test.h"

#include "base/buf.h"
#include "wire/http1.h"

#define HOST "Host: a\r\n"

/* Append what the parser says of these bytes to trace, bodies joined. */
static void feed(struct http1 *p, struct buf *trace, const char *s, size_t len)
{
	enum http1_event ev;

	while ((ev = http1_next(p, &s, &len)) != HTTP1_MORE) {
		switch (ev) {
		case HTTP1_HEAD:
			buf_putf(trace, "<%s %s %s", http1_method(p),
				 http1_path(p), http1_query(p));
			for (unsigned i = 0; i < p->n_fields; i++)
				buf_putf(trace, "|%s=%s",
					 p->head.p + p->fields[i].name,
					 p->head.p + p->fields[i].value);
			buf_putf(trace, "|%d>", p->keep_alive);
			break;
		case HTTP1_BODY:
			buf_put(trace, p->body, p->body_len);
			break;
		case HTTP1_END:
			buf_puts(trace, ".");
			http1_reset(p);
			break;
		default:
			buf_putf(trace, "!%d %s", p->status, p->reason);
			return;
		}
	}
	CHECK_INT(len, 0);
}

/* The events of text, cut in two at `cut`, or into bytes. */
static char *trace_of(const char *text, size_t len, size_t cut, bool bytes)
{
	struct buf trace = BUF_INIT(0);
	struct http1 p;

	http1_init(&p);
	if (bytes) {
		for (size_t i = 0; i < len && !p.status; i++)
			feed(&p, &trace, text + i, 1);
	} else {
		feed(&p, &trace, text, cut);
		if (!p.status)
			feed(&p, &trace, text + cut, len - cut);
	}
	http1_release(&p);
	return buf_take(&trace);
}

/* text gives these events, however it is cut. */
static void check_bytes(const char *text, size_t len, const char *want)
{
	char *got = trace_of(text, len, len, false);

	CHECK_STR(got, want);
	free(got);
	for (size_t cut = 0; cut < len; cut++) {
		got = trace_of(text, len, cut, false);
		CHECK_STR(got, want);
		free(got);
	}
	got = trace_of(text, len, 0, true);
	CHECK_STR(got, want);
	free(got);
}

static void check(const char *text, const char *want)
{
	check_bytes(text, strlen(text), want);
}

TEST(http1_reads_requests_however_they_are_cut)
{
	check("GET / HTTP/1.1\r\n" HOST "\r\n", "<GET / |host=a|1>.");
	check("GET /a?b=c&d?e HTTP/1.1\r\n" HOST "\r\n",
	      "<GET /a b=c&d?e|host=a|1>.");
	check("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "<OPTIONS * |host=a|1>.");
	check("POST /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
	      "<POST /x |host=a|content-length=5|1>hello.");
	check("POST /x HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
	      "<POST /x |host=a|content-length=0|1>.");
	check("GET / HTTP/1.1\r\nHOST:a\r\nX-Odd:  \t b c \t\r\nEmpty:\r\n\r\n",
	      "<GET / |host=a|x-odd=b c|empty=|1>.");
	check("GET / HTTP/1.1\r\n" HOST "X: \xc3\xa4\r\n\r\n",
	      "<GET / |host=a|x=\xc3\xa4|1>.");
}

TEST(http1_reads_chunks_however_they_are_cut)
{
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
#define CHUNKED_HEAD "<POST / |host=a|transfer-encoding=Chunked|1>"
	check(CHUNKED "0\r\n\r\n", CHUNKED_HEAD ".");
	check(CHUNKED "5\r\nhello\r\nB\r\n and\r\nthere\r\n0\r\n\r\n",
	      CHUNKED_HEAD "hello and\r\nthere.");
	check(CHUNKED "1;a=\"b\"\r\nx\r\n000\r\nTrailer: y\r\n\r\n",
	      CHUNKED_HEAD "x.");
}

TEST(http1_reads_one_request_after_the_other)
{
	check("GET /1 HTTP/1.1\r\n" HOST "\r\n"
	      "POST /2 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab"
	      "\r\nGET /3 HTTP/1.1\r\n" HOST "\r\n",
	      "<GET /1 |host=a|1>."
	      "<POST /2 |host=a|content-length=2|1>ab."
	      "<GET /3 |host=a|1>.");
}

TEST(http1_knows_who_keeps_the_connection)
{
	check("GET / HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n",
	      "<GET / |host=a|connection=x, Close|0>.");
	check("GET / HTTP/1.0\r\n\r\n", "<GET / |0>.");
	check("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	      "<GET / |connection=keep-alive|1>.");
}

TEST(http1_refuses_what_is_not_strict)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"GET / HTTP/1.1\n", "!400 a line ends in a bare LF"},
		{"\n", "!400 a line ends in a bare LF"},
		{"\r\n\r\n", "!400 bad request line"},
		{"GET /\r\n", "!400 bad request line"},
		{"GET  / HTTP/1.1\r\n", "!400 bad request line"},
		{"GET / HTTP/1.1 \r\n", "!400 bad request line"},
		{"GET / http/1.1\r\n", "!400 bad request line"},
		{"GET / HTTP/1x1\r\n", "!400 bad request line"},
		{"GET / HTTP/1.2\r\n", "!505 not HTTP/1.1"},
		{"PRI * HTTP/2.0\r\n", "!505 not HTTP/1.1"},
		{" GET / HTTP/1.1\r\n", "!400 bad request line"},
		{"G(T / HTTP/1.1\r\n", "!400 bad request line"},
		{"GET /\x7f HTTP/1.1\r\n", "!400 bad request line"},
		{"GET /\tx HTTP/1.1\r\n", "!400 bad request line"},
		{"GET http://a/ HTTP/1.1\r\n", "!400 the target is not a path"},
		{"GET *a HTTP/1.1\r\n", "!400 the target is not a path"},
		{"GET / HTTP/1.1\r\n\r\n", "!400 no Host"},
#define H "GET / HTTP/1.1\r\n" HOST
		{H "Host: b\r\n", "!400 Host twice"},
		{H "A : b\r\n", "!400 a space before the colon"},
		{H "A\t: b\r\n", "!400 a space before the colon"},
		{H " folded\r\n", "!400 a folded header"},
		{H "\tfolded: x\r\n", "!400 a folded header"},
		{H ": x\r\n", "!400 bad header"},
		{H "A\r\n", "!400 bad header"},
		{H "A=b\r\n", "!400 bad header"},
		{H "A: b\rc\r\n", "!400 a control character in a header"},
		{H "A: b\x01\r\n", "!400 a control character in a header"},
		{H "A: b\n", "!400 a line ends in a bare LF"},
		{H "Content-Length: 1\r\nContent-Length: 1\r\n",
		 "!400 Content-Length twice"},
		{H "Content-Length: 1, 1\r\n", "!400 bad Content-Length"},
		{H "Content-Length: +1\r\n", "!400 bad Content-Length"},
		{H "Content-Length: -1\r\n", "!400 bad Content-Length"},
		{H "Content-Length: 0x1\r\n", "!400 bad Content-Length"},
		{H "Content-Length:\r\n", "!400 bad Content-Length"},
		{H "Content-Length: 9999999999999999\r\n",
		 "!400 bad Content-Length"},
		{H "Transfer-Encoding: gzip, chunked\r\n",
		 "!501 a transfer coding other than chunked"},
		{H
		 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		 "!400 Transfer-Encoding twice"},
		{H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
		 "!400 both Content-Length and Transfer-Encoding"},
		{H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		 "!400 both Content-Length and Transfer-Encoding"},
		{"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
		 "!400 Transfer-Encoding in HTTP/1.0"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(rows[i].text, rows[i].want);
	check_bytes("GET /\0 HTTP/1.1\r\n", 18, "!400 bad request line");
	check_bytes(H "A: b\0c\r\n", sizeof(H) - 1 + 8,
		    "!400 a control character in a header");
}

TEST(http1_refuses_bad_chunks)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{CHUNKED "x\r\n", CHUNKED_HEAD "!400 bad chunk size"},
		{CHUNKED "\r\n", CHUNKED_HEAD "!400 bad chunk size"},
		{CHUNKED "-1\r\n", CHUNKED_HEAD "!400 bad chunk size"},
		{CHUNKED "0x1\r\n", CHUNKED_HEAD "!400 bad chunk size"},
		{CHUNKED " 1\r\n", CHUNKED_HEAD "!400 bad chunk size"},
		{CHUNKED "1 \r\n", CHUNKED_HEAD "!400 bad chunk size"},
		{CHUNKED "1\nx", CHUNKED_HEAD "!400 a line ends in a bare LF"},
		{CHUNKED "1;\x01\r\n", CHUNKED_HEAD "!400 bad chunk size"},
		{CHUNKED "1000000000000\r\n",
		 CHUNKED_HEAD "!400 bad chunk size"},
		{CHUNKED "1\r\nxy\r\n", CHUNKED_HEAD "x!400 bad chunk"},
		{CHUNKED "1\r\nx\n",
		 CHUNKED_HEAD "x!400 a line ends in a bare LF"},
		{CHUNKED "0\r\nA : b\r\n",
		 CHUNKED_HEAD "!400 a space before the colon"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(rows[i].text, rows[i].want);
}

/* A request with n headers besides Host. */
static char *with_headers(int n)
{
	struct buf b = BUF_INIT(0);

	buf_puts(&b, "GET / HTTP/1.1\r\n" HOST);
	for (int i = 0; i < n; i++)
		buf_puts(&b, "A: b\r\n");
	buf_puts(&b, "\r\n");
	return buf_take(&b);
}

static void check_ends(const char *text, const char *want)
{
	char *whole = trace_of(text, strlen(text), 0, false);
	char *bytes = trace_of(text, strlen(text), 0, true);
	size_t len = strlen(whole), end = strlen(want);

	CHECK(len >= end);
	CHECK_STR(whole + len - end, want);
	CHECK_STR(bytes, whole);
	free(whole);
	free(bytes);
}

TEST(http1_bounds_the_number_of_headers)
{
	char *most = with_headers(99), *more = with_headers(100);

	check_ends(most, "|a=b|1>.");
	check_ends(more, "!431 more than 100 headers");
	free(most);
	free(more);
}

/* A line of n bytes after `begin`, then `end`. */
static char *padded(const char *begin, size_t n, const char *end)
{
	struct buf b = BUF_INIT(0);

	buf_puts(&b, begin);
	for (size_t i = 0; i < n; i++)
		buf_putc(&b, 'x');
	buf_puts(&b, end);
	return buf_take(&b);
}

TEST(http1_bounds_the_head)
{
	size_t rest = strlen("GET / HTTP/1.1\r\n" HOST "A: \r\n\r\n");
	char *most =
		padded("GET / HTTP/1.1\r\n" HOST "A: ", HTTP1_MAX_HEAD - rest,
		       "\r\n\r\n");
	char *more = padded("GET / HTTP/1.1\r\n" HOST "A: ",
			    HTTP1_MAX_HEAD - rest + 1, "\r\n\r\n");
	char *line = padded("GET /", HTTP1_MAX_HEAD, " HTTP/1.1\r\n");

	check_ends(most, "x|1>.");
	check_ends(more, "!431 head above 16384 bytes");
	check_ends(line, "!414 request line above 16384 bytes");
	free(most);
	free(more);
	free(line);
}

TEST(http1_bounds_what_is_between_chunks)
{
	char *extension = padded(CHUNKED "1;", 300, "\r\n");
	char *trailer = padded(CHUNKED "0\r\nA: ", 20000, "\r\n\r\n");

	check_ends(extension, "!400 bad chunk");
	check_ends(trailer, "!431 head above 16384 bytes");
	free(extension);
	free(trailer);
}

TEST(http1_lets_its_owner_read_the_body_into_place)
{
	const char *s =
		"POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nab";
	size_t len = strlen(s);
	struct http1 p;

	http1_init(&p);
	CHECK(!http1_begun(&p));
	CHECK(http1_next(&p, &s, &len) == HTTP1_HEAD);
	CHECK(http1_next(&p, &s, &len) == HTTP1_BODY);
	CHECK(http1_next(&p, &s, &len) == HTTP1_MORE);
	CHECK_INT(http1_plain_left(&p), 7);
	http1_skip(&p, 7);
	CHECK(http1_next(&p, &s, &len) == HTTP1_END);
	CHECK_INT(http1_plain_left(&p), 0);
	http1_release(&p);
}
