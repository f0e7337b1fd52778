#include "certs.h"
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include "proto/gateway.pb-c.h"
#include "test.h"

__attribute__((weak)) bool world_secure(void)
{
	return false;
}

/* What world_secure() asks for. */
void world_certs(struct world *w, struct server_opts *opts)
{
	if (!world_secure())
		return;
	certs_usual();
	w->tls = opts->tls = certs_load("server", "ca");
	w->client_tls = certs_load("member", "ca");
}

void world_open(struct world *w, struct server_opts opts)
{
	struct err err;

	*w = (struct world){0};
	world_certs(w, &opts);
	opts.listen = opts.listen ? opts.listen : "127.0.0.1:0";
	CHECK(!loop_open(&w->loop, &err));
	CHECK(!server_open(&w->server, w->loop, &opts, &err));
}

void world_close(struct world *w)
{
	server_close(w->server, 100);
	world_close_rest(w);
}

void world_close_rest(struct world *w)
{
	tunnels_close(&w->tunnels);
	loop_close(w->loop);
	tls_close(w->tls);
	tls_close(w->client_tls);
}

void world_turn(struct world *w)
{
	uv_run(loop_uv(w->loop), UV_RUN_NOWAIT);
}

void heartbeat(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const HeartbeatRequest *req = (const HeartbeatRequest *)in;
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;
	struct world *w = arg;
	struct err err;

	w->calls++;
	call_timing(call, &w->body, &w->body_us);
	if (req->node_id < 0) {
		err_set(&err, ERR_NOT_FOUND, "no node %d, \"%s\"", req->node_id,
			"100 %");
		call_fail(call, &err);
		return;
	}
	out.status = (char *)"received";
	out.registry_version = req->node_id + 1;
	call_reply(call, &out.base);
}

static void on_cancel(struct call *call, void *arg)
{
	struct world *w = arg;

	CHECK(call == w->kept);
	w->kept = NULL;
	w->cancels++;
}

void hold(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct world *w = arg;

	(void)in;
	w->calls++;
	w->kept = call;
	call_on_cancel(call, on_cancel, w);
}

void hold_blindly(struct call *call, const ProtobufCMessage *in, void *arg)
{
	hold(call, in, arg);
	call_on_cancel(call, NULL, NULL);
}

void answer_kept(struct world *w)
{
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;
	struct call *call = w->kept;

	out.status = (char *)"late";
	w->kept = NULL;
	call_reply(call, &out.base);
}

int dial(struct world *w)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)server_port(w->server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd;

	if (w->tls)
		return tunnel_dial(&w->tunnels, w->loop, w->client_tls,
				   server_port(w->server));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	CHECK(!connect(fd, (struct sockaddr *)&to, sizeof(to)));
	return fd;
}

void say_bytes(int fd, const void *p, size_t len)
{
	CHECK_INT(send(fd, p, len, MSG_NOSIGNAL), len);
}

void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

void post(const struct world *w, int fd, const char *path, const char *type,
	  const char *body, const char *more)
{
	char *text = mem_fmt("POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
			     "Content-Type: %s\r\nContent-Length: %zu\r\n"
			     "%s\r\n%s",
			     path, server_port(w->server), type, strlen(body),
			     more, body);

	say(fd, text);
	free(text);
}

void get(const struct world *w, int fd, const char *path)
{
	char *text = mem_fmt("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n",
			     path, server_port(w->server));

	say(fd, text);
	free(text);
}

bool hear_more(struct world *w, int fd, struct buf *b)
{
	static char part[65536];
	ssize_t n;

	while ((n = recv(fd, part, sizeof(part), MSG_DONTWAIT)) < 0) {
		struct pollfd p = {fd, POLLIN, 0};

		if (errno == ECONNRESET)
			return false;
		CHECK(errno == EAGAIN);
		world_turn(w);
		poll(&p, 1, 1);
	}
	buf_put(b, part, (size_t)n);
	return n > 0;
}

/* Bytes that the answer in b will have, or SIZE_MAX while its head comes. */
static size_t whole(const struct buf *b)
{
	const char *body = b->p ? strstr(b->p, "\r\n\r\n") : NULL;
	const char *length = body ? strstr(b->p, "content-length: ") : NULL;

	if (body && strstr(b->p, " 204 ") == b->p + strlen("HTTP/1.1"))
		return (size_t)(body + 4 - b->p);
	if (!length || length > body)
		return SIZE_MAX;
	return (size_t)(body + 4 - b->p) + (size_t)atol(length + 16);
}

char *hear(struct world *w, int fd)
{
	struct buf b = BUF_INIT(0);
	size_t len = SIZE_MAX;

	while (b.len < len && hear_more(w, fd, &b))
		if (len == SIZE_MAX)
			len = whole(&b);
	return buf_take(&b);
}

char *hear_all(struct world *w, int fd)
{
	struct buf b = BUF_INIT(0);

	while (hear_more(w, fd, &b))
		;
	return buf_take(&b);
}

void hear_part(struct world *w, int fd, const char *part)
{
	char *got = hear(w, fd);

	CHECK_HAS(got, part);
	free(got);
}
