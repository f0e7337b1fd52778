#include "wire/dial.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/transfer.h"

enum {
	KEEPALIVE_S = 30,
	HOST_MAX = 256,
	READ_ROOM = 64 << 10,
	PLAIN_ROOM = 16 << 10, /* of TLS, decrypted */
	/* The kernel holds so much that is not sent yet: what waits longer
	 * waits here, where dial_unsent() tells of it. */
	KERNEL_ROOM = 256 << 10,
};

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
	struct tls *tls;          /* the files, or NULL */
	struct tls_conn *secure;  /* NULL: plain */
	struct buf sealed;        /* of out */
	struct err err;           /* code 0: all is well */
	int pending;              /* of libuv: handles, and the lookup */
	bool has_tcp;             /* tcp is open */
	bool is_up, closed, told; /* told: over has run */
	int64_t stall_ms;         /* 0: the kernel decides */
};

static void attempt(struct dial *d);
static void write_out(struct dial *d, struct buf *out);

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
	buf_release(&d->sealed);
	tls_free(d->secure);
	free(d->url);
	free(d->bind);
	free(d);
}

static void on_closed(uv_handle_t *h)
{
	release(h->data);
}

void dial_stall(struct dial *d, int64_t ms)
{
	d->stall_ms = ms;
}

void dial_close(struct dial *d)
{
	if (!d || d->closed)
		return;
	d->closed = true;
	if (d->secure && d->is_up) {
		tls_end(d->secure, &d->sealed);
		write_out(d, &d->sealed);
	}
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
	return d->out.len + d->sealed.len + d->flying.len;
}

/* Leave the rest with libuv, which tells when the socket has taken it. */
static int fly(struct dial *d, struct buf *out, size_t sent)
{
	struct buf spare = d->flying;
	uv_buf_t rest;

	d->flying = *out;
	*out = spare;
	rest = uv_buf_init(d->flying.p + sent,
			   (unsigned)(d->flying.len - sent));
	return uv_write(&d->write, (uv_stream_t *)&d->tcp, &rest, 1,
			on_written);
}

static void write_out(struct dial *d, struct buf *out)
{
	uv_buf_t all = uv_buf_init(out->p, (unsigned)out->len);
	int n;

	if (d->flying.len || !out->len)
		return;
	n = uv_try_write((uv_stream_t *)&d->tcp, &all, 1);
	n = n == UV_EAGAIN ? 0 : n;
	if (n >= 0 && (size_t)n == out->len)
		buf_reset(out);
	else if (n >= 0)
		n = fly(d, out, (size_t)n);
	if (n < 0)
		lost(d, n);
}

void dial_flush(struct dial *d)
{
	if (d->secure && d->is_up && d->out.len && !d->flying.len &&
	    tls_write(d->secure, d->out.p, d->out.len, &d->sealed))
		buf_reset(&d->out);
	if (d->secure)
		write_out(d, &d->sealed);
	else if (d->is_up)
		write_out(d, &d->out);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *b)
{
	size_t cap = 0;

	(void)h, (void)hint;
	*b = uv_buf_init(mem_grow(NULL, &cap, READ_ROOM, 1), READ_ROOM);
}

/* It is broken, by the other side's will or by ours. */
static void tls_lost(struct dial *d, const struct err *why)
{
	if (d->err.code)
		return;
	if (why->code == ERR_UNAUTHENTICATED)
		err_set(&d->err, why->code, "%s is not to be trusted: %s",
			d->url, why->msg);
	else if (!transfer_tls_why(d->url, why->msg, &d->err))
		err_set(&d->err, ERR_UNAVAILABLE,
			"lost the connection to %s: %s", d->url, why->msg);
	fail(d);
}

static void greet(struct dial *d)
{
	if (!tls_is_h2(d->secure)) {
		err_set(&d->err, ERR_UNAVAILABLE, "%s does not speak HTTP/2",
			d->url);
		fail(d);
		return;
	}
	d->is_up = true;
	d->hooks->up(d->arg);
}

static void take(struct dial *d, const char *p, size_t len)
{
	struct err err;
	size_t cap = 0;
	char *to = mem_grow(NULL, &cap, PLAIN_ROOM, 1);
	ssize_t n;

	tls_feed(d->secure, p, len);
	do {
		n = tls_read(d->secure, to, PLAIN_ROOM, &d->sealed, &err);
		if (!d->is_up && !d->err.code && tls_ready(d->secure))
			greet(d);
		if (n > 0 && !d->closed && !d->err.code)
			d->hooks->bytes(d->arg, to, (size_t)n);
	} while (n > 0 && !d->closed && !d->err.code);
	free(to);
	if (d->closed)
		return;
	write_out(d, &d->sealed);
	if (n == TLS_BROKEN)
		tls_lost(d, &err);
	else if (n == TLS_END)
		lost(d, UV_EOF);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct dial *d = s->data;

	if (n < 0) {
		uv_read_stop(s);
		lost(d, (int)n);
	} else if (n && !d->err.code && d->secure) {
		take(d, b->base, (size_t)n);
	} else if (n && !d->err.code) {
		d->hooks->bytes(d->arg, b->base, (size_t)n);
	}
	free(b->base);
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

/* Bounds of the kernel's: without them it is merely more patient. */
static void set_up(struct dial *d)
{
	unsigned stall_ms = (unsigned)d->stall_ms;
	int room = KERNEL_ROOM;
	int fd;

	if (uv_fileno((uv_handle_t *)&d->tcp, &fd))
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &room, sizeof(room));
	if (stall_ms)
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms,
			   sizeof(stall_ms));
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
	set_up(d);
	uv_read_start((uv_stream_t *)&d->tcp, on_alloc, on_read);
	if (!strncmp(d->url, "https:", 6)) {
		d->secure = tls_connect(d->tls, d->host, "h2");
		take(d, NULL, 0);
		return;
	}
	d->is_up = true;
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
		       struct tls *tls, const struct dial_hooks *hooks,
		       void *arg)
{
	static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	static const struct addrinfo numeric = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST, /* which takes no time */
	};
	struct dial *d = mem_zero(1, sizeof(*d));

	d->loop = loop;
	d->hooks = hooks;
	d->arg = arg;
	d->url = mem_str(url);
	d->bind = mem_str(bind);
	d->tls = tls;
	split(d);
	uv_idle_init(loop_uv(loop), &d->idle);
	d->idle.data = d->look.data = d;
	d->pending = 2;
	if (!getaddrinfo(d->host, d->port, &numeric, &d->found)) {
		d->pending--;
		d->next = d->found;
		attempt(d);
	} else if (uv_getaddrinfo(loop_uv(loop), &d->look, on_found, d->host,
				  d->port, &hints)) {
		d->pending--;
		err_set(&d->err, ERR_UNAVAILABLE,
			"cannot reach %s: unknown host", d->url);
		fail(d);
	}
	return d;
}
