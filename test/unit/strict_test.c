/* What hostile clients of HTTP/1.1 try, over sockets. */
#include "test.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "world.h"

#define POST "POST " HEARTBEAT " HTTP/1.1\r\nContent-Type: " JSON "\r\n"

static void open_plain(struct world *w, struct server_opts opts)
{
	world_open(w, opts);
	server_handle(w->server, RPC_GATEWAY_HEARTBEAT, heartbeat, w);
}

/* "$" stands for the line of Host. */
static char *filled(const struct world *w, const char *text)
{
	const char *at = strchr(text, '$');

	return mem_fmt("%.*sHost: 127.0.0.1:%d\r\n%s", (int)(at - text), text,
		       server_port(w->server), at + 1);
}

static int count(const char *text, const char *part)
{
	int n = 0;

	while ((text = strstr(text, part))) {
		text += strlen(part);
		n++;
	}
	return n;
}

/* Each of these hides a second request from somebody. It gets one answer, and
 * what follows it is read by nobody. */
TEST(no_request_is_smuggled_behind_another)
{
	static const char *const rows[] = {
		POST "$Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
		     "0\r\n\r\n",
		POST "$Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n"
		     "0\r\n\r\n",
		POST "$Content-Length: 2\r\nContent-Length: 0\r\n\r\n{}",
		POST "$Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		POST "$Content-Length: 2, 2\r\n\r\n{}",
		POST "$Content-Length: +2\r\n\r\n{}",
		POST "$Content-Length: 0x2\r\n\r\n{}",
		POST "$Content-Length : 2\r\n\r\n{}",
		POST "$X: y\r\n Content-Length: 2\r\n\r\n{}",
		POST "$X: y\r\n\tContent-Length: 2\r\n\r\n{}",
		POST "$X: y\nContent-Length: 2\r\n\r\n{}",
		POST "$X: y\rContent-Length: 2\r\n\r\n{}",
		POST "$X: y\x01\r\nContent-Length: 2\r\n\r\n{}",
		POST "$\x0bTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		POST "$Transfer-Encoding: chunked\r\n"
		     "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		POST "$Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
		POST "$Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		POST "$Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		POST "$Transfer-Encoding: \x0b"
		     "chunked\r\n\r\n0\r\n\r\n",
		POST "$Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
		POST "$Transfer-Encoding: chunked\r\n\r\n-0\r\n\r\n",
		POST "$Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
		POST "$Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n",
		POST "$Transfer-Encoding: chunked\r\n\r\n"
		     "10000000000000002\r\n{}\r\n0\r\n\r\n",
		POST "$Transfer-Encoding: chunked\r\n\r\n"
		     "2;a\n=b\r\n{}\r\n0\r\n\r\n",
		"POST " HEARTBEAT " HTTP/1.0\r\n$Transfer-Encoding: chunked"
		"\r\n\r\n0\r\n\r\n",
		POST "$Host: a\r\nContent-Length: 2\r\n\r\n{}",
	};
	struct world w;

	open_plain(&w, (struct server_opts){0});
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = filled(&w, rows[i]);
		int fd = dial(&w);
		char *got;

		say(fd, text);
		get(&w, fd, "/healthz");
		got = hear_all(&w, fd);
		CHECK(!strncmp(got, "HTTP/1.1 400 ", 13) ||
		      !strncmp(got, "HTTP/1.1 501 ", 13));
		CHECK_INT(count(got, "HTTP/1.1 "), 1);
		CHECK_HAS(got, "\r\nconnection: close\r\n");
		free(got);
		free(text);
		close(fd);
	}
	CHECK_INT(w.calls, 0);
	world_close(&w);
}

static char *repeat(const char *begin, const char *part, int n, const char *end)
{
	struct buf b = BUF_INIT(0);

	buf_puts(&b, begin);
	for (int i = 0; i < n; i++)
		buf_puts(&b, part);
	buf_puts(&b, end);
	return buf_take(&b);
}

static void check_json(struct world *w, char *json, const char *status,
		       const char *part)
{
	char *text = mem_fmt(POST "Host: 127.0.0.1:%d\r\nContent-Length: %zu"
				  "\r\n\r\n",
			     server_port(w->server), strlen(json));
	int fd = dial(w);
	char *got;

	say(fd, text);
	for (size_t at = 0, len = strlen(json); at < len;) {
		ssize_t n = send(fd, json + at, len - at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		CHECK(n >= 0 || errno == EAGAIN);
		at += n > 0 ? (size_t)n : 0;
		world_turn(w);
	}
	got = hear(w, fd);
	CHECK_HAS(got, status);
	CHECK_HAS(got, part);
	free(got);
	get(w, fd, "/healthz");
	hear_part(w, fd, "ok");
	close(fd);
	free(text);
	free(json);
}

TEST(json_that_would_cost_much_is_refused_by_name)
{
	static const char too_much[] = "HTTP/1.1 429 ";
	struct world w;

	open_plain(&w, (struct server_opts){0});
	check_json(&w, repeat("{\"x\":", "[", 40, ""), too_much,
		   "nested deeper than 32");
	check_json(&w, repeat("{\"x\":[0", ",0", 70000, "]}"), too_much,
		   "more than 65536 of the characters");
	check_json(&w, repeat("{\"nodeId\":1", "0", 1000000, "}"), too_much,
		   "a number of more than 256 characters");
	check_json(&w, repeat("{\"x\":1e", "9", 200, "}"), "HTTP/1.1 400 ",
		   "\"invalid_argument\"");
	check_json(&w, mem_str("{\"nodeId\":1,\"nodeId\":2}"), "HTTP/1.1 400 ",
		   "duplicate");
	check_json(&w, mem_str("{\"x\":{\"a\":1,\"a\":1}}"), "HTTP/1.1 400 ",
		   "duplicate");
	CHECK_INT(w.calls, 0);
	world_close(&w);
}

/* One byte after the other, as fast as the loop turns: it never ends, but for
 * the time that the server gives. */
static void check_drip(struct world *w, const char *begin, const char *drop)
{
	char *text = filled(w, begin), *got;
	struct pollfd in = {.fd = dial(w), .events = POLLIN};

	say(in.fd, text);
	while (!poll(&in, 1, 1)) {
		(void)!send(in.fd, drop, strlen(drop), MSG_NOSIGNAL);
		world_turn(w);
	}
	got = hear_all(w, in.fd);
	CHECK_HAS(got, "HTTP/1.1 408 Request Timeout\r\n");
	free(got);
	free(text);
	close(in.fd);
}

TEST(a_request_that_drips_is_cut)
{
	struct world w;

	open_plain(&w, (struct server_opts){.receive_ms = 30});
	check_drip(&w, POST "$X: ", "y");
	check_drip(&w, POST "$Content-Length: 100000\r\n\r\n", " ");
	check_drip(&w, POST "$Transfer-Encoding: chunked\r\n\r\n",
		   "1\r\n \r\n");
	check_drip(&w, POST "$Transfer-Encoding: chunked\r\n\r\n1;", "x");
	CHECK_INT(w.calls, 0);
	world_close(&w);
}

TEST(a_message_is_64_MiB_at_most_unless_told)
{
	struct world w;
	char *text, *got;
	int fd;

	open_plain(&w, (struct server_opts){0});
	text = mem_fmt("POST " HEARTBEAT " HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
		       "Content-Type: application/proto\r\n"
		       "Content-Length: %d\r\n\r\n",
		       server_port(w.server), (64 << 20) + 1);
	fd = dial(&w);
	say(fd, text);
	got = hear_all(&w, fd);
	CHECK_HAS(got, "body is above max-message (67108864 bytes)");
	free(got);
	free(text);
	close(fd);
	world_close(&w);
}
