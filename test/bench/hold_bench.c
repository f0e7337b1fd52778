/* hold_bench - many clients whose requests server_bench holds, for hold.sh:
 *
 *	hold_bench PORT PID CLIENTS [CERT KEY CA]
 *
 * Prints the server's private memory in bytes per held request, the ms until
 * all are answered once they are released, and the ms until it has forgotten
 * all of them when they die. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "wire/tls.h"

struct client {
	int fd;
	struct tls_conn *tls;
	bool answered;
};

static int port, n_clients;
static struct client *clients;
static struct tls *tls;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "hold_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void dial(struct client *c)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
	c->tls = tls ? tls_connect(tls, "127.0.0.1", false) : NULL;
}

static void put(int fd, const char *p, size_t len)
{
	if (send(fd, p, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("send");
}

/* Append what comes next, in plain. */
static void hear(struct client *c, struct buf *to)
{
	struct buf out = BUF_INIT(0);
	char in[16384], text[16384];
	ssize_t n = recv(c->fd, in, sizeof(in), 0);
	struct err err;

	if (n <= 0)
		die("recv");
	if (!c->tls) {
		buf_put(to, in, (size_t)n);
		return;
	}
	tls_feed(c->tls, in, (size_t)n);
	while ((n = tls_read(c->tls, text, sizeof(text), &out, &err)) > 0)
		buf_put(to, text, (size_t)n);
	if (n < 0)
		die("tls");
	put(c->fd, out.p, out.len);
	buf_release(&out);
}

/* A whole answer, in place of what to had. */
static void hear_answer(struct client *c, struct buf *to)
{
	const char *body = NULL, *length;

	buf_reset(to);
	do {
		hear(c, to);
		body = strstr(to->p, "\r\n\r\n");
	} while (!body);
	length = strstr(to->p, "content-length: ");
	while (to->len <
	       (size_t)(body + 4 - to->p) + (size_t)atoi(length + 16)) {
		size_t at = (size_t)(body - to->p);
		size_t digits = (size_t)(length - to->p);

		hear(c, to);
		body = to->p + at;
		length = to->p + digits;
	}
}

static void shake(struct client *c)
{
	struct buf out = BUF_INIT(0), none = BUF_INIT(0);
	struct err err;
	char text[4096];

	(void)!tls_read(c->tls, text, sizeof(text), &out, &err);
	put(c->fd, out.p, out.len);
	buf_release(&out);
	while (!tls_ready(c->tls))
		hear(c, &none);
	buf_release(&none);
}

static void say(struct client *c, const char *text)
{
	struct buf out = BUF_INIT(0);

	if (!c->tls) {
		put(c->fd, text, strlen(text));
		return;
	}
	if (!tls_write(c->tls, text, strlen(text), &out))
		die("tls");
	put(c->fd, out.p, out.len);
	buf_release(&out);
}

static void request(struct client *c, const char *verb, const char *path,
		    const char *body)
{
	char *text = mem_fmt("%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
			     "Content-Type: application/json\r\n"
			     "Content-Length: %zu\r\n\r\n%s",
			     verb, path, port, strlen(body), body);

	say(c, text);
	free(text);
}

static void hold(struct client *c)
{
	c->answered = false;
	request(c, "POST", "/gfl.test.EchoService/Hold", "{}");
}

/* Until the server's row of metrics is n. */
static void await(struct client *c, const char *row, int n)
{
	struct buf text = BUF_INIT(0);
	int is = -1;

	while (is != n) {
		request(c, "GET", "/metrics", "");
		hear_answer(c, &text);
		is = atoi(strstr(text.p, row) + strlen(row));
	}
	buf_release(&text);
}

static long private_bytes(int pid)
{
	char *path = mem_fmt("/proc/%d/status", pid), line[256];
	FILE *f = fopen(path, "r");
	long kb = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	free(path);
	return kb * 1024;
}

/* Until every client has its answer. */
static void hear_all(int poller)
{
	struct epoll_event at[256];
	struct buf text = BUF_INIT(0);
	int left = n_clients;

	while (left) {
		int n = epoll_wait(poller, at, 256, -1);

		for (int i = 0; i < n; i++) {
			struct client *c = at[i].data.ptr;

			hear(c, &text);
			if (text.len && !c->answered)
				left--;
			c->answered = c->answered || text.len;
			buf_reset(&text);
		}
	}
	buf_release(&text);
}

static int watch_all(void)
{
	int poller = epoll_create1(EPOLL_CLOEXEC);

	for (int i = 0; i < n_clients; i++) {
		struct epoll_event e = {.events = EPOLLIN,
					.data.ptr = &clients[i]};

		if (epoll_ctl(poller, EPOLL_CTL_ADD, clients[i].fd, &e))
			die("epoll");
	}
	return poller;
}

/* All at once, as when their machine goes: the connections are reset. */
static void kill_all(void)
{
	struct linger now = {1, 0};

	for (int i = 0; i < n_clients; i++) {
		setsockopt(clients[i].fd, SOL_SOCKET, SO_LINGER, &now,
			   sizeof(now));
		close(clients[i].fd);
	}
}

static void run(int pid)
{
	struct buf text = BUF_INIT(0);
	struct client ask = {0};
	int64_t began;
	int poller;
	long before;

	dial(&ask);
	if (tls)
		shake(&ask);
	await(&ask, "\ngfl_server_held_calls ", 0);
	before = private_bytes(pid);
	for (int i = 0; i < n_clients; i++) {
		dial(&clients[i]);
		if (tls)
			shake(&clients[i]);
		hold(&clients[i]);
	}
	await(&ask, "\ngfl_server_held_calls ", n_clients);
	printf("bytes %ld\n", (private_bytes(pid) - before) / n_clients);
	poller = watch_all();
	began = clock_us();
	request(&ask, "POST", "/release", "{}");
	hear_all(poller);
	printf("released %.1f\n", (double)(clock_us() - began) / 1e3);
	for (int i = 0; i < n_clients; i++)
		hold(&clients[i]);
	hear_answer(&ask, &text);
	buf_release(&text);
	await(&ask, "\ngfl_server_held_calls ", n_clients);
	began = clock_us();
	kill_all();
	await(&ask, "\ngfl_server_connections ", 1);
	printf("dead %.1f\n", (double)(clock_us() - began) / 1e3);
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	struct err err;

	if (argc != 4 && argc != 7)
		return 2;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	port = atoi(argv[1]);
	n_clients = atoi(argv[3]);
	clients = mem_zero((size_t)n_clients, sizeof(*clients));
	if (argc == 7) {
		const struct tls_opts files = {argv[4], argv[5], argv[6]};

		if (tls_open(&tls, &files, &err)) {
			fprintf(stderr, "hold_bench: %s\n", err.msg);
			return 1;
		}
	}
	run(atoi(argv[2]));
	return 0;
}
