/* tensor_bench - one large tensor in 1 MiB chunks from one process to another,
 * for tensor.sh.
 *
 *	tensor_bench serve|raw-serve BYTES [FILE]   prints its port, until TERM
 *	tensor_bench pull|stream|push|raw PORT BYTES   prints bytes/s
 *	tensor_bench beside|alone PORT BYTES   prints ms of a small call, p99
 *	tensor_bench watch PORT BYTES PID      prints MiB, the most of RssAnon
 *
 * stream is what pull does but for the sum of it; raw is TCP alone. A served
 * FILE is made, and its bytes are read from it. beside calls while the same
 * client streams from the same server, alone when nobody does. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "proto/gateway.pb-c.h"
#include "proto/trainer.pb-c.h"
#include "wire/tensor_impl.h"

static const struct rpc_method pull_method = {
	.path = "/bench/Pull",
	.in = &gfl__v1__pull_model_request__descriptor,
	.out = &gfl__v1__tensor_chunk__descriptor,
	.kind = RPC_SERVER_STREAM,
	.channel = RPC_BULK,
};

static const struct rpc_method push_method = {
	.path = "/bench/Push",
	.in = &gfl__v1__tensor_chunk__descriptor,
	.out = &gfl__v1__probe_response__descriptor,
	.kind = RPC_CLIENT_STREAM,
	.channel = RPC_BULK,
};

static struct tensor_info info;
static struct tensor_bytes from;
static uint8_t *place; /* where what is pulled goes */
static uint64_t at;
static struct loop *loop;
static int status;

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "tensor_bench: %s: %s\n", what, err ? err->msg : "");
	exit(1);
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void make_bytes(uint64_t size)
{
	uint8_t *p = mem_zero(size, 1);

	for (uint64_t i = 0; i < size; i += 64)
		p[i] = (uint8_t)(i >> 6);
	from.p = p;
	info.size = size;
}

static void make_file(const char *path)
{
	struct err err;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || tensor_write(fd, 0, from.p, info.size, &err))
		die(path, NULL);
	free((void *)(uintptr_t)from.p);
	from = (struct tensor_bytes){.fd = fd};
}

/* ---- serving ---- */

static void serve_pull(struct call *call, const ProtobufCMessage *in, void *arg)
{
	(void)in, (void)arg;
	tensor_give(call, &info, &from, 0, NULL, NULL);
}

static int begin(const struct tensor_info *what, void *arg, struct err *err)
{
	(void)arg, (void)err;
	if (!place)
		place = mem_zero(what->size, 1);
	return 0;
}

static int put(uint64_t offset, const void *p, size_t len, void *arg,
	       struct err *err)
{
	(void)arg, (void)err;
	memcpy(place + offset, p, len);
	return 0;
}

static const struct tensor_sink sink = {.begin = begin, .bytes = put};

static void taken(struct call *call, const struct err *err, void *arg)
{
	Gfl__V1__ProbeResponse out = GFL__V1__PROBE_RESPONSE__INIT;

	(void)arg;
	if (!err)
		call_reply(call, &out.base);
}

static void serve_push(struct call *call, const ProtobufCMessage *in, void *arg)
{
	(void)in, (void)arg;
	tensor_take(call, &sink, taken, NULL);
}

static void heartbeat(struct call *call, const ProtobufCMessage *in, void *arg)
{
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;

	(void)in, (void)arg;
	call_reply(call, &out.base);
}

static void serve(void)
{
	struct server_opts opts = {.listen = "127.0.0.1:0"};
	struct server *server;
	struct err err;

	if (server_open(&server, loop, &opts, &err))
		die("serve", &err);
	server_handle_method(server, &pull_method, serve_pull, NULL);
	server_handle_method(server, &push_method, serve_push, NULL);
	server_handle(server, RPC_GATEWAY_HEARTBEAT, heartbeat, NULL);
	loop_signals(loop, stop, NULL, NULL);
	printf("%d\n", server_port(server));
	fflush(stdout);
	loop_run(loop);
	server_close(server, 0);
}

/* ---- calling ---- */

static void over(const struct err *err, void *arg)
{
	(void)arg;
	if (err)
		die("pull", err);
	loop_stop(loop);
}

static void pushed(const struct err *err, const ProtobufCMessage *out,
		   void *arg)
{
	(void)out;
	over(err, arg);
}

static void chunk(const uint8_t *p, size_t len, void *arg)
{
	struct tensor_chunk c;

	(void)arg;
	if (tensor_parse(&c, p, len, NULL))
		die("parse", NULL);
	memcpy(place + at, c.data, c.len);
	at += c.len;
}

static const ProtobufCMessage *ask(uint64_t offset, const char *sha256,
				   void *arg)
{
	static Gfl__V1__PullModelRequest in;

	(void)offset, (void)sha256, (void)arg;
	gfl__v1__pull_model_request__init(&in);
	return &in.base;
}

/* ---- small calls beside ---- */

enum { BEATS_MAX = 100000, ALONE = 2000 };

static double beats[BEATS_MAX];
static int nbeats;
static int64_t beat_us;
static bool streams, ended;
static char url[64];
static struct client *c;

static void beat(void);

static void beaten(const struct err *err, const ProtobufCMessage *out,
		   void *arg)
{
	(void)out, (void)arg;
	if (err)
		die("heartbeat", err);
	if (nbeats < BEATS_MAX)
		beats[nbeats++] = (double)(clock_us() - beat_us) / 1000;
	if (streams ? ended : nbeats == ALONE)
		loop_stop(loop);
	else
		beat();
}

static void beat(void)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = 60000};

	beat_us = clock_us();
	client_call(c, url, RPC_GATEWAY_HEARTBEAT, &in.base, &opts, beaten,
		    NULL);
}

static void streamed(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	(void)out, (void)arg;
	if (err)
		die("stream", err);
	ended = true;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void beside(void)
{
	struct rpc_opts opts = {.timeout_ms = 600000};

	if (streams)
		client_bytes(c, url, &pull_method, ask(0, "", NULL), &opts,
			     chunk, streamed, NULL);
	beat();
	loop_run(loop);
	qsort(beats, (size_t)nbeats, sizeof(beats[0]), by_size);
	printf("%.3f\n", beats[nbeats * 99 / 100]);
}

/* ---- memory ---- */

static double most_mb;
static const char *watched;

static void look(void)
{
	char path[64], line[256];
	unsigned long kb;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/status", watched);
	f = fopen(path, "r");
	if (!f)
		die(path, NULL);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %lu", &kb) == 1 &&
		    (double)kb / 1024 > most_mb)
			most_mb = (double)kb / 1024;
	fclose(f);
}

static void watch_chunk(const uint8_t *p, size_t len, void *arg)
{
	(void)p, (void)len, (void)arg;
	look();
}

static void call(const char *what, const char *port)
{
	struct rpc_opts opts = {.timeout_ms = 600000};
	struct err err;

	snprintf(url, sizeof(url), "http://127.0.0.1:%s", port);
	if (client_open(&c, loop, NULL, &err))
		die("client", &err);
	if (!strcmp(what, "pull"))
		tensor_pull(c, url, &pull_method, &opts, ask, &sink, over,
			    NULL);
	else if (!strcmp(what, "push"))
		tensor_push(loop, url, &push_method, &opts, &info, &from,
			    pushed, NULL);
	else if (watched)
		client_bytes(c, url, &pull_method, ask(0, "", NULL), &opts,
			     watch_chunk, pushed, NULL);
	else if (!strcmp(what, "stream"))
		client_bytes(c, url, &pull_method, ask(0, "", NULL), &opts,
			     chunk, pushed, NULL);
	else
		beside();
	loop_run(loop);
	client_close(c);
}

/* ---- raw ---- */

static int tcp(int port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(to);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (port)
		return connect(fd, (struct sockaddr *)&to, len) ? -1 : fd;
	if (bind(fd, (struct sockaddr *)&to, len) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)&to, &len))
		return -1;
	printf("%d\n", ntohs(to.sin_port));
	fflush(stdout);
	return fd;
}

static void raw_serve(void)
{
	int fd = tcp(0), s;

	while ((s = accept(fd, NULL, NULL)) >= 0) {
		for (uint64_t sent = 0; sent < info.size;) {
			uint64_t left = info.size - sent;
			ssize_t n =
				send(s, (const char *)from.p + sent,
				     left < TENSOR_CHUNK ? left : TENSOR_CHUNK,
				     MSG_NOSIGNAL);

			if (n <= 0)
				break;
			sent += (uint64_t)n;
		}
		close(s);
	}
}

static void raw(const char *port)
{
	int fd = tcp(atoi(port));
	ssize_t n;

	while (at < info.size &&
	       (n = recv(fd, place + at, TENSOR_CHUNK, 0)) > 0)
		at += (uint64_t)n;
	status = at < info.size;
}

int main(int argc, char **argv)
{
	bool serving = argc > 2 && strstr(argv[1], "serve");
	uint64_t size = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	int64_t began_us;
	struct err err;

	mem_bulk(); /* as the trainer */
	if (argc < 3 || loop_open(&loop, &err))
		return 2;
	if (serving)
		size = strtoull(argv[2], NULL, 10);
	if (serving || !strcmp(argv[1], "push")) {
		make_bytes(size);
		if (tensor_hash(&info, &from, &err))
			die("hash", &err);
	}
	if (serving && argc > 3 && *argv[3])
		make_file(argv[3]);
	if (!strcmp(argv[1], "raw-serve"))
		raw_serve();
	if (serving) {
		serve();
		return 0;
	}
	if (!strcmp(argv[1], "watch"))
		watched = argv[4];
	streams = !strcmp(argv[1], "beside");
	info.size = size;
	place = mem_zero(size, 1);
	memset(place, 1, size);
	began_us = clock_us();
	if (!strcmp(argv[1], "raw"))
		raw(argv[2]);
	else
		call(argv[1], argv[2]);
	if (watched)
		printf("%.2f\n", most_mb);
	else if (!nbeats)
		printf("%.0f\n",
		       (double)size * 1e6 / (double)(clock_us() - began_us));
	loop_close(loop);
	return status;
}
