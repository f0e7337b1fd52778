#include "wire/dial.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { KEEPALIVE_S = 30, HOST_MAX = 256 };

struct dial {
	struct loop *loop;
	const struct dial_hooks *hooks;
	void *arg;
	char *url, *bind;
	char host[HOST_MAX], port[8];

	uv_getaddrinfo_t look;
	struct addrinfo *found, *next; /* addresses, and the one to try */
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	uv_idle_t idle; /* runs while a turn is asked for */
	struct buf out, flying;
	struct err err;           /* code 0: all is well */
	int pending;              /* of libuv: handles, and the lookup */
	bool has_tcp;             /* tcp is open */
	bool is_up, closed, told; /* told: over has run */
	char read[64 << 10];
};

static void attempt(struct dial *d);

const char *dial_authority(const char *url, size_t *len)
{
	const char *at = strstr(url, "://") + 3;

	*len = strcspn(at, "/");
	return at;
}

static void split(struct dial *d)
{
	size_t len, host;
	const char *at = dial_authority(d->url, &len);
	bool v6 = *at == '[';

	at += v6;
	len -= v6;
	host = strcspn(at, v6 ? "]" : ":/");
	snprintf(d->host, sizeof(d->host), "%.*s", (int)host, at);
	at += host + v6;
	if (*at == ':')
		snprintf(d->port, sizeof(d->port), "%.*s",
			 (int)strcspn(at + 1, "/"), at + 1);
	else
		strcpy(d->port, strncmp(d->url, "https", 5) ? "80" : "443");
}

/* ---- the end ---- */

static void release(struct dial *d)
{
	if (--d->pending)
		return;
	if (d->found)
		freeaddrinfo(d->found);
	buf_release(&d->out);
	buf_release(&d->flying);
	free(d->url);
	free(d->bind);
	free(d);
}

static void on_closed(uv_handle_t *h)
{
	release(h->data);
}

void dial_close(struct dial *d)
{
	if (!d || d->closed)
		return;
	d->closed = true;
	uv_cancel((uv_req_t *)&d->look);
	if (d->has_tcp)
		uv_close((uv_handle_t *)&d->tcp, on_closed);
	uv_close((uv_handle_t *)&d->idle, on_closed);
}

/* What is to be told is told in the next turn. */
static void fail(struct dial *d)
{
	d->is_up = false;
	dial_later(d);
}

static void on_turn(uv_idle_t *h)
{
	struct dial *d = h->data;

	uv_idle_stop(h);
	if (!d->err.code || d->told) {
		d->hooks->turn(d->arg);
		return;
	}
	d->told = true;
	d->hooks->over(d->arg, &d->err);
}

void dial_later(struct dial *d)
{
	if (!d->closed)
		uv_idle_start(&d->idle, on_turn);
}

static void lost(struct dial *d, int status)
{
	if (d->err.code)
		return;
	err_set(&d->err, ERR_UNAVAILABLE, "lost the connection to %s: %s",
		d->url, status == UV_EOF ? "it was closed" : strerror(-status));
	fail(d);
}

/* ---- bytes ---- */

static void on_written(uv_write_t *w, int status)
{
	struct dial *d = w->data;

	buf_reset(&d->flying);
	if (d->closed)
		return;
	if (status < 0) {
		lost(d, status);
		return;
	}
	dial_flush(d);
	if (!d->flying.len)
		dial_later(d);
}

struct buf *dial_out(struct dial *d)
{
	return &d->out;
}

size_t dial_unsent(const struct dial *d)
{
	return d->out.len + d->flying.len;
}

/* Leave the rest with libuv, which tells when the socket has taken it. */
static int fly(struct dial *d, size_t sent)
{
	struct buf spare = d->flying;
	uv_buf_t rest;

	d->flying = d->out;
	d->out = spare;
	rest = uv_buf_init(d->flying.p + sent,
			   (unsigned)(d->flying.len - sent));
	return uv_write(&d->write, (uv_stream_t *)&d->tcp, &rest, 1,
			on_written);
}

void dial_flush(struct dial *d)
{
	uv_buf_t all = uv_buf_init(d->out.p, (unsigned)d->out.len);
	int n;

	if (!d->is_up || d->flying.len || !d->out.len)
		return;
	n = uv_try_write((uv_stream_t *)&d->tcp, &all, 1);
	n = n == UV_EAGAIN ? 0 : n;
	if (n >= 0 && (size_t)n == d->out.len)
		buf_reset(&d->out);
	else if (n >= 0)
		n = fly(d, (size_t)n);
	if (n < 0)
		lost(d, n);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *b)
{
	struct dial *d = h->data;

	(void)hint;
	*b = uv_buf_init(d->read, sizeof(d->read));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct dial *d = s->data;

	if (n < 0) {
		uv_read_stop(s);
		lost(d, (int)n);
	} else if (n && !d->err.code) {
		d->hooks->bytes(d->arg, b->base, (size_t)n);
	}
}

/* ---- the beginning ---- */

static void on_failed(uv_handle_t *h)
{
	struct dial *d = h->data;

	if (!d->closed)
		attempt(d);
	release(d);
}

/* The next address, if there is one. */
static void unreached(struct dial *d, const char *why)
{
	d->next = d->next->ai_next;
	if (!d->next) {
		err_set(&d->err, ERR_UNAVAILABLE, "cannot reach %s: %s", d->url,
			why);
		fail(d);
		return;
	}
	d->has_tcp = false;
	uv_close((uv_handle_t *)&d->tcp, on_failed);
}

static void on_connected(uv_connect_t *req, int status)
{
	struct dial *d = req->data;

	if (d->closed)
		return;
	if (status) {
		unreached(d, strerror(-status));
		return;
	}
	uv_tcp_nodelay(&d->tcp, 1);
	uv_tcp_keepalive(&d->tcp, 1, KEEPALIVE_S);
	d->is_up = true;
	uv_read_start((uv_stream_t *)&d->tcp, on_alloc, on_read);
	d->hooks->up(d->arg);
}

static int bind_to(struct dial *d)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (!uv_ip4_addr(d->bind, 0, &v4))
		return uv_tcp_bind(&d->tcp, (struct sockaddr *)&v4, 0);
	if (!uv_ip6_addr(d->bind, 0, &v6))
		return uv_tcp_bind(&d->tcp, (struct sockaddr *)&v6, 0);
	return UV_EINVAL;
}

static void attempt(struct dial *d)
{
	int rc = uv_tcp_init(loop_uv(d->loop), &d->tcp);

	d->tcp.data = d->connect.data = d->write.data = d;
	d->has_tcp = true;
	d->pending++;
	if (d->bind && (rc = bind_to(d))) {
		err_set(&d->err, ERR_INVALID_ARGUMENT,
			"cannot call from address %s: %s", d->bind,
			strerror(-rc));
		fail(d);
		return;
	}
	rc = uv_tcp_connect(&d->connect, &d->tcp, d->next->ai_addr,
			    on_connected);
	if (rc)
		unreached(d, strerror(-rc));
}

static void on_found(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
	struct dial *d = req->data;

	d->found = d->next = found;
	if (!d->closed && !status && found) {
		attempt(d);
	} else if (!d->closed) {
		err_set(&d->err, ERR_UNAVAILABLE,
			"cannot reach %s: unknown host", d->url);
		fail(d);
	}
	release(d);
}

struct dial *dial_open(struct loop *loop, const char *url, const char *bind,
		       const struct dial_hooks *hooks, void *arg)
{
	static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct dial *d = mem_zero(1, sizeof(*d));

	d->loop = loop;
	d->hooks = hooks;
	d->arg = arg;
	d->url = mem_str(url);
	d->bind = mem_str(bind);
	split(d);
	uv_idle_init(loop_uv(loop), &d->idle);
	d->idle.data = d->look.data = d;
	d->pending = 2;
	if (uv_getaddrinfo(loop_uv(loop), &d->look, on_found, d->host, d->port,
			   &hints)) {
		d->pending--;
		err_set(&d->err, ERR_UNAVAILABLE,
			"cannot reach %s: unknown host", d->url);
		fail(d);
	}
	return d;
}
