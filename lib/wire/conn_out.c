#include "wire/engine.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

/* Keep the sums of what waits for a reader. */
static void recount(struct conn *c)
{
	size_t now = c->own.out.len + c->own.flying.len + c->sealed.len;

	if (c->closed)
		return;
	c->own.s->unread += now - c->own.counted;
	c->own.counted = now;
}

static void on_written(uv_write_t *w, int status)
{
	struct conn *c = w->data;

	conn_spare(&c->own.s->spare_out, &c->own.flying);
	recount(c);
	if (c->closed)
		return;
	if (status < 0) {
		conn_close(c);
		return;
	}
	wait_for(&c->own, WAIT_READER);
	conn_flush(c);
	stream_drained(&c->own);
	stream_later(&c->own);
	conn_settle(c);
}

/* Hand the unsent rest to libuv, which keeps it until the socket takes it. */
static void fly(struct conn *c, struct buf *out, size_t sent)
{
	uv_buf_t rest = uv_buf_init(out->p + sent, (unsigned)(out->len - sent));
	int rc;

	c->own.flying = *out;
	*out = (struct buf){0};
	c->write.data = c;
	rc = uv_write(&c->write, (uv_stream_t *)&c->tcp, &rest, 1, on_written);
	if (rc) {
		buf_release(&c->own.flying);
		c->broken = true;
		stream_later(&c->own);
	}
}

/* Send what can be sent. A failure is left to the next turn. */
static void write_out(struct conn *c)
{
	struct server *s = c->own.s;
	struct buf *out = c->tls ? &c->sealed : &c->own.out;
	int n = UV_EPIPE;

	if (!c->tls || secure_seal(c)) {
		uv_buf_t all = uv_buf_init(out->p, (unsigned)out->len);

		n = uv_try_write((uv_stream_t *)&c->tcp, &all, 1);
	}
	if (n == UV_EAGAIN)
		n = 0;
	if (n < 0) {
		c->broken = true;
		stream_later(&c->own);
		return;
	}
	s->bytes_out += out->len;
	if ((size_t)n < out->len) {
		fly(c, out, (size_t)n);
		return;
	}
	conn_spare(c->tls ? &s->spare_sealed : &s->spare_out, out);
	if (c->own.out.len)
		stream_later(&c->own);
}

void conn_flush(struct conn *c)
{
	if (c->own.flying.len || c->broken || c->closed)
		return;
	if (c->h2)
		many_output(c);
	if (c->own.out.len || c->sealed.len)
		write_out(c);
	recount(c);
	if ((c->h2 && h2_pending(c->h2) && !c->own.flying.len) ||
	    wait_too_many(c->own.s))
		stream_later(&c->own);
}

void call_stall(struct call *call, int64_t ms)
{
	unsigned timeout_ms = (unsigned)ms;
	uv_os_fd_t fd;

	if (call->st && !uv_fileno((uv_handle_t *)&call->st->conn->tcp, &fd))
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
			   sizeof(timeout_ms));
}
