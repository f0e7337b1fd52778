/* What hostile clients of HTTP/2 try: frames made by hand, over sockets. */
#include "test.h"

#include <sys/socket.h>
#include <unistd.h>

#include "caller.h"

enum {
	HEADERS = 1,
	SETTINGS = 4,
	PING = 6,
	GOAWAY = 7,
	WINDOW_UPDATE = 8,
	CONTINUATION = 9,
	END_STREAM = 1,
	AT_MOST = 1 << 20, /* frames that no bound lets through */
};

static void put_frame(struct buf *out, size_t len, int type, int flags,
		      uint32_t id)
{
	const char head[9] = {
		(char)(len >> 16), (char)(len >> 8), (char)len,
		(char)type,        (char)flags,      (char)(id >> 24),
		(char)(id >> 16),  (char)(id >> 8),  (char)id};

	buf_put(out, head, sizeof(head));
}

/* A head: GET /healthz, of 127.0.0.1. */
static void put_request(struct buf *out)
{
	buf_put(out,
		"\x82\x86\x04\x08/healthz\x01\x09"
		"127.0.0.1",
		23);
}

static void begin(struct buf *out)
{
	buf_put(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	put_frame(out, 0, SETTINGS, 0, 0);
}

/* Send these bytes, and then more (or nothing) again and again, each after so
 * many ms, until the server hangs up; returns how often more went. What the
 * server says comes into got. */
static int flood(struct world *w, const struct buf *first,
		 const struct buf *more, int wait_ms, struct buf *got)
{
	struct pollfd at = {.fd = dial(w), .events = POLLIN};
	char in[4096];
	ssize_t n = 1;
	int sent = 0;

	say_bytes(at.fd, first->p, first->len);
	while (n) {
		if (more && send(at.fd, more->p, more->len,
				 MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			CHECK(++sent < AT_MOST);
		world_turn(w);
		if (!poll(&at, 1, wait_ms))
			continue;
		n = recv(at.fd, in, sizeof(in), MSG_DONTWAIT);
		if (n < 0)
			break;
		buf_put(got, in, (size_t)n);
	}
	close(at.fd);
	return sent;
}

/* Is there a frame of this type, with this code (of GOAWAY) or any (-1)? */
static bool has_frame(const struct buf *got, int type, int code)
{
	const uint8_t *p = (const uint8_t *)got->p;
	size_t at = 0;

	while (at + 9 <= got->len) {
		size_t len = (size_t)p[at] << 16 | (size_t)p[at + 1] << 8 |
			     p[at + 2];

		if (p[at + 3] == type && at + 9 + len <= got->len &&
		    (code < 0 || p[at + 9 + 7] == code))
			return true;
		at += 9 + len;
	}
	return false;
}

static void check_served(struct world *w)
{
	int fd = dial(w);

	get(w, fd, "/healthz");
	hear_part(w, fd, "ok");
	close(fd);
}

static void check_flood(struct world *w, struct buf *first, struct buf *more,
			int most)
{
	struct buf got = BUF_INIT(0);
	int sent = flood(w, first, more, 0, &got);

	CHECK(sent <= most);
	CHECK(got.len < 1 << 20);
	check_served(w);
	buf_release(&got);
	buf_release(first);
	buf_release(more);
}

TEST(a_head_that_goes_on_for_ever_ends_the_connection)
{
	struct buf first = BUF_INIT(0), more = BUF_INIT(0);
	struct world w;

	world_open(&w, (struct server_opts){0});
	begin(&first);
	put_frame(&first, 23, HEADERS, END_STREAM, 1);
	put_request(&first);
	put_frame(&more, 0, CONTINUATION, 0, 1);
	check_flood(&w, &first, &more, 20000);
	begin(&first);
	put_frame(&first, 23, HEADERS, END_STREAM, 1);
	put_request(&first);
	put_frame(&more, 6, CONTINUATION, 0, 1);
	buf_put(&more, "\x00\x01x\x02yz", 6);
	check_flood(&w, &first, &more, 20000);
	world_close(&w);
}

TEST(a_flood_of_frames_that_bring_nothing_ends_the_connection)
{
	static const struct {
		int type, len;
		uint32_t id;
	} rows[] = {{SETTINGS, 0, 0}, {PING, 8, 0}, {SETTINGS, 6, 0}};
	struct buf first = BUF_INIT(0), more = BUF_INIT(0);
	struct world w;

	world_open(&w, (struct server_opts){0});
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(&first);
		put_frame(&more, (size_t)rows[i].len, rows[i].type, 0,
			  rows[i].id);
		/* SETTINGS: the initial window, which changes all streams */
		buf_put(&more, "\0\4\0\0\1\0\0\0", (size_t)rows[i].len);
		check_flood(&w, &first, &more, 20000);
	}
	world_close(&w);
}

TEST(windows_that_overflow_are_an_error)
{
	struct buf first = BUF_INIT(0), got = BUF_INIT(0);
	struct world w;

	world_open(&w, (struct server_opts){0});
	begin(&first);
	put_frame(&first, 4, WINDOW_UPDATE, 0, 0);
	buf_put(&first, "\x7f\xff\xff\xff", 4);
	CHECK_INT(flood(&w, &first, NULL, 1, &got), 0);
	CHECK(has_frame(&got, GOAWAY, NGHTTP2_FLOW_CONTROL_ERROR));
	buf_reset(&first);
	buf_reset(&got);
	begin(&first);
	put_frame(&first, 4, WINDOW_UPDATE, 0, 0);
	buf_put(&first, "\0\0\0\0", 4);
	CHECK_INT(flood(&w, &first, NULL, 1, &got), 0);
	CHECK(has_frame(&got, GOAWAY, NGHTTP2_PROTOCOL_ERROR));
	check_served(&w);
	buf_release(&first);
	buf_release(&got);
	world_close(&w);
}

/* One that stops, and one of which bytes come and come. */
TEST(a_head_that_drips_is_cut_on_http2)
{
	struct buf first = BUF_INIT(0), more = BUF_INIT(0), got = BUF_INIT(0);
	struct world w;

	world_open(&w, (struct server_opts){.receive_ms = 30, .idle_ms = 100});
	begin(&first);
	put_frame(&first, 1024, HEADERS, END_STREAM, 1);
	put_request(&first);
	buf_put(&first, "\0\1x\x7f\xff\x7f", 6);
	flood(&w, &first, NULL, 1, &got);
	CHECK(has_frame(&got, HEADERS, -1)); /* status 408 */
	buf_puts(&more, "y");
	buf_reset(&got);
	CHECK(flood(&w, &first, &more, 1, &got) < 1024);
	check_served(&w);
	buf_release(&first);
	buf_release(&more);
	buf_release(&got);
	world_close(&w);
}

/* RFC 9113 8.2.2: how a request could be smuggled on from HTTP/2 to 1.1. */
TEST(headers_of_a_connection_are_refused_on_http2)
{
	static const char *const rows[][3] = {
		{"connection", "close"},
		{"transfer-encoding", "chunked"},
		{"keep-alive", "timeout=5"},
		{"upgrade", "h2c"},
		{"proxy-connection", "keep-alive"},
		{"te", "gzip"},
		{"content-length", "5"}, /* no body follows */
		{"x-bad", "a\r\nb: c"},
		{"x bad", "a"},
	};
	struct caller c;
	struct world w;

	world_open(&w, (struct server_opts){0});
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reply *r;

		caller_open(&c, &w, 1 << 20, false);
		r = caller_wait(&c, caller_get(&c, "GET", "/healthz", rows[i]));
		CHECK(r->status != 200);
		CHECK(r->code == NGHTTP2_PROTOCOL_ERROR || r->status == 400);
		caller_close(&c);
	}
	check_served(&w);
	world_close(&w);
}
