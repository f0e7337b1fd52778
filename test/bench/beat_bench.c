/* beat_bench - many nodes' heartbeats, for nodes.sh:
 *
 *	beat_bench PORT PID NODES
 *
 * The registry knows them. Sends the heartbeat of each on a connection of its
 * own, which is kept: one in 10 s, evenly, for 10 s, after once for a start.
 * Prints the share of one core that the gateway needed. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "proto/gateway.pb-c.h"

enum { PERIOD_MS = 10000, HEAD = 5 };

static int port, answered, *fds;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "beat_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int dial(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
	return fd;
}

static void call(int fd, const char *method, const ProtobufCMessage *in)
{
	size_t len = protobuf_c_message_get_packed_size(in);
	char text[1024];
	int n = snprintf(text, sizeof(text),
			 "POST /GatewayService/%s HTTP/1.1\r\n"
			 "Host: 127.0.0.1:%d\r\n"
			 "Content-Type: application/grpc-web+proto\r\n"
			 "Content-Length: %zu\r\n\r\n",
			 method, port, len + HEAD);
	uint8_t *body = (uint8_t *)text + n;

	memset(body, 0, HEAD);
	body[HEAD - 1] = (uint8_t)len;
	protobuf_c_message_pack(in, body + HEAD);
	if (send(fd, text, (size_t)n + HEAD + len, MSG_NOSIGNAL) < 0)
		die("send");
}

static void hear(int fd)
{
	char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		die("recv");
	text[n] = '\0';
	if (!memmem(text, (size_t)n, "received", 8))
		die("not received");
	answered++;
}

static void beat(int i)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;
	char instance[33];

	snprintf(instance, sizeof(instance), "%032x", i);
	in.node_id = i;
	in.instance_id = instance;
	call(fds[i], "Heartbeat", &in.base);
}

static long ticks(int pid)
{
	char *path = mem_fmt("/proc/%d/stat", pid), text[1024] = "";
	FILE *f = fopen(path, "r");
	long user = 0, sys = 0;

	if (f && fgets(text, sizeof(text), f))
		sscanf(strrchr(text, ')'),
		       ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld",
		       &user, &sys);
	if (f)
		fclose(f);
	free(path);
	return user + sys;
}

static void run(int poller, int n, int period_ms)
{
	int64_t began = clock_ms();

	answered = 0;
	for (int sent = 0; sent < n || answered < n;) {
		int64_t due = (clock_ms() - began) * n / period_ms;
		struct epoll_event at[256];
		int ready;

		for (; sent < n && sent < due; sent++)
			beat(sent + 1);
		ready = epoll_wait(poller, at, 256, 1);
		for (int i = 0; i < ready; i++)
			hear(at[i].data.fd);
	}
}

int main(int argc, char **argv)
{
	int n = argc == 4 ? atoi(argv[3]) : 0, pid, poller;
	struct rlimit limit;
	long before;

	if (n < 1)
		return 2;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	port = atoi(argv[1]);
	pid = atoi(argv[2]);
	fds = mem_zero((size_t)n + 1, sizeof(*fds));
	poller = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 1; i <= n; i++) {
		struct epoll_event e = {.events = EPOLLIN};

		e.data.fd = fds[i] = dial();
		epoll_ctl(poller, EPOLL_CTL_ADD, fds[i], &e);
	}
	run(poller, n, 1);
	before = ticks(pid);
	run(poller, n, PERIOD_MS);
	printf("%g\n", (double)(ticks(pid) - before) /
			       (double)sysconf(_SC_CLK_TCK) /
			       (PERIOD_MS / 1000.0));
	return 0;
}
