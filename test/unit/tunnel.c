#include "tunnel.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "test.h"

struct tunnel {
	LIST_ENTRY(tunnel) all;
	struct tls_conn *tls;
	uv_pipe_t near; /* the test's */
	uv_tcp_t far;   /* the server's */
	uv_connect_t connect;
	uv_shutdown_t no_more_near, no_more_far;
	int open;
	bool shaken, near_ended, far_ended; /* they say no more */
};

struct piece {
	uv_write_t req;
	uv_stream_t *from; /* reads on when this is written */
	char *p;
};

static char memory[64 << 10];

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	(void)h, (void)want;
	*b = uv_buf_init(memory, sizeof(memory));
}

static void on_closed(uv_handle_t *h)
{
	struct tunnel *t = h->data;

	if (--t->open)
		return;
	tls_free(t->tls);
	free(t);
}

static void cut(struct tunnel *t)
{
	if (uv_is_closing((uv_handle_t *)&t->far))
		return;
	LIST_REMOVE(t, all);
	uv_close((uv_handle_t *)&t->near, on_closed);
	uv_close((uv_handle_t *)&t->far, on_closed);
}

static void on_near(uv_stream_t *h, ssize_t n, const uv_buf_t *b);
static void on_far(uv_stream_t *h, ssize_t n, const uv_buf_t *b);

static void on_written(uv_write_t *req, int status)
{
	struct piece *p = (struct piece *)req;
	struct tunnel *t = p->from->data;

	if (status && status != UV_ECANCELED)
		cut(t);
	else if (!status && p->from == (uv_stream_t *)&t->near && t->shaken &&
		 !t->near_ended)
		uv_read_start(p->from, on_alloc, on_near);
	else if (!status && p->from == (uv_stream_t *)&t->far && !t->far_ended)
		uv_read_start(p->from, on_alloc, on_far);
	free(p->p);
	free(p);
}

/* Takes the bytes; from is not read until they are gone. */
static void pass(uv_stream_t *to, uv_stream_t *from, struct buf *bytes)
{
	struct piece *p;
	uv_buf_t b;

	if (!bytes->len)
		return;
	p = mem_zero(1, sizeof(*p));
	b = uv_buf_init(bytes->p, (unsigned)bytes->len);
	p->from = from;
	p->p = buf_take(bytes);
	uv_read_stop(from);
	uv_write(&p->req, to, &b, 1, on_written);
}

/* That an end says no more has been passed on. */
static void on_said(uv_shutdown_t *req, int status)
{
	struct tunnel *t = req->handle->data;

	if (status != UV_ECANCELED && t->near_ended && t->far_ended)
		cut(t);
}

/* What the test wrote. */
static void on_near(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
	struct tunnel *t = h->data;
	struct buf out = BUF_INIT(0);

	if (n > 0) {
		CHECK(tls_write(t->tls, b->base, (size_t)n, &out));
		pass((uv_stream_t *)&t->far, h, &out);
	} else if (n == UV_EOF) {
		uv_read_stop(h);
		t->near_ended = true;
		tls_end(t->tls, &out);
		pass((uv_stream_t *)&t->far, h, &out);
		uv_shutdown(&t->no_more_far, (uv_stream_t *)&t->far, on_said);
	} else if (n < 0) {
		cut(t);
	}
}

static ssize_t decrypt(struct tunnel *t, struct buf *got, struct buf *out)
{
	struct err err;
	ssize_t n;

	do {
		char *room = buf_room(got, 16 << 10);

		n = tls_read(t->tls, room, 16 << 10, out, &err);
		got->len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return n;
}

/* What the server sent. */
static void on_far(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
	struct tunnel *t = h->data;
	struct buf got = BUF_INIT(0), out = BUF_INIT(0);
	ssize_t end = n;

	if (n == 0)
		return;
	if (n > 0) {
		tls_feed(t->tls, b->base, (size_t)n);
		end = decrypt(t, &got, &out);
	}
	pass((uv_stream_t *)&t->far, h, &out);
	pass((uv_stream_t *)&t->near, h, &got);
	if (!t->shaken && tls_ready(t->tls)) {
		t->shaken = true;
		uv_read_start((uv_stream_t *)&t->near, on_alloc, on_near);
	}
	if (end < 0) {
		uv_read_stop(h);
		t->far_ended = true;
		uv_shutdown(&t->no_more_near, (uv_stream_t *)&t->near, on_said);
	}
	buf_release(&got);
	buf_release(&out);
}

static void on_connected(uv_connect_t *req, int status)
{
	struct tunnel *t = req->data;
	struct buf got = BUF_INIT(0), out = BUF_INIT(0);

	if (status == UV_ECANCELED)
		return;
	if (status) {
		cut(t);
		return;
	}
	decrypt(t, &got, &out);
	uv_read_start((uv_stream_t *)&t->far, on_alloc, on_far);
	pass((uv_stream_t *)&t->far, (uv_stream_t *)&t->near, &out);
	buf_release(&got);
}

int tunnel_dial(struct tunnels *all, struct loop *loop, struct tls *tls,
		int port)
{
	struct tunnel *t = mem_zero(1, sizeof(*t));
	struct sockaddr_in to;
	int fds[2], room = 4 << 20;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	CHECK(!fcntl(fds[1], F_SETFL, O_NONBLOCK));
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	LIST_INSERT_HEAD(all, t, all);
	t->open = 2;
	t->tls = tls_connect(tls, "127.0.0.1", NULL);
	uv_pipe_init(loop_uv(loop), &t->near, 0);
	uv_tcp_init(loop_uv(loop), &t->far);
	t->near.data = t->far.data = t->connect.data = t;
	CHECK(!uv_pipe_open(&t->near, fds[1]));
	uv_ip4_addr("127.0.0.1", port, &to);
	CHECK(!uv_tcp_connect(&t->connect, &t->far, (struct sockaddr *)&to,
			      on_connected));
	uv_tcp_nodelay(&t->far, 1);
	return fds[0];
}

void tunnels_close(struct tunnels *all)
{
	while (!LIST_EMPTY(all))
		cut(LIST_FIRST(all));
}
