#include "wire/engine.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

/* Memory is lent to the connection that is being served and comes back right
 * after, so that an idle one holds none. */
void conn_spare(struct buf *spare, struct buf *b)
{
	buf_reset(b);
	if (spare->p || b->cap > ENGINE_SPARE) {
		buf_release(b);
		return;
	}
	spare->p = b->p;
	spare->cap = b->cap;
	b->p = NULL;
	b->cap = 0;
}

size_t conn_queued(const struct conn *c)
{
	return c->out.len +
	       uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
}

bool conn_pending(const struct conn *c)
{
	return c->out.len || c->flying.len;
}

/* Half-close, so that the client reads the answer before it learns that we
 * threw away what it was still sending. */
static void linger(struct conn *c)
{
	uv_os_fd_t fd;

	if (c->eof) {
		conn_close(c);
		return;
	}
	if (!uv_fileno((uv_handle_t *)&c->tcp, &fd))
		shutdown(fd, SHUT_WR);
	wait_for(c, WAIT_LINGER);
}

/* Wait for what is to come next, if that has changed. */
/* Wait for what is to come next. */
static void settle(struct conn *c)
{
	enum wait_kind kind;

	if (c->closed)
		return;
	if (conn_pending(c))
		kind = WAIT_READER;
	else if (c->lingering)
		kind = WAIT_LINGER;
	else if (c->busy)
		kind = WAIT_NONE;
	else if (c->call || http1_begun(&c->in))
		kind = WAIT_REQUEST;
	else
		kind = WAIT_IDLE;
	if (kind == c->wait && kind != WAIT_IDLE)
		return;
	if (kind == WAIT_LINGER)
		linger(c);
	else
		wait_for(c, kind);
}

static void on_todo(uv_idle_t *idle);

void conn_later(struct conn *c)
{
	struct server *s = c->s;

	if (c->on_todo || c->closed)
		return;
	if (TAILQ_EMPTY(&s->todo))
		uv_idle_start(&s->idle, on_todo);
	c->on_todo = true;
	c->turn = s->turn;
	TAILQ_INSERT_TAIL(&s->todo, c, todo);
}

static void leave_todo(struct conn *c)
{
	struct server *s = c->s;

	if (!c->on_todo)
		return;
	c->on_todo = false;
	TAILQ_REMOVE(&s->todo, c, todo);
	if (TAILQ_EMPTY(&s->todo))
		uv_idle_stop(&s->idle);
}

/* Tell a stream's handler that its queue is empty again. */
static void drained(struct conn *c)
{
	struct call *call = c->call;

	if (c->busy && call && call->on_drain && !conn_pending(c))
		call->on_drain(call, call->drain_arg);
}

static void on_written(uv_write_t *w, int status)
{
	struct conn *c = w->data;

	conn_spare(&c->s->spare_out, &c->flying);
	c->flying_msgs = 0;
	if (c->closed)
		return;
	if (status < 0) {
		conn_close(c);
		return;
	}
	wait_for(c, WAIT_READER);
	conn_flush(c);
	drained(c);
	conn_later(c);
	settle(c);
}

/* Hand the unsent rest to libuv, which keeps it until the socket takes it. */
static void fly(struct conn *c, size_t sent)
{
	uv_buf_t rest =
		uv_buf_init(c->out.p + sent, (unsigned)(c->out.len - sent));
	int rc;

	c->flying = c->out;
	c->flying_msgs = c->out_msgs;
	c->out = (struct buf){0};
	c->out_msgs = 0;
	c->write.data = c;
	rc = uv_write(&c->write, (uv_stream_t *)&c->tcp, &rest, 1, on_written);
	if (rc) {
		buf_release(&c->flying);
		c->broken = true;
		conn_later(c);
	}
}

/* Send what can be sent. Never closes: a failure is left to the next turn. */
void conn_flush(struct conn *c)
{
	uv_buf_t all = uv_buf_init(c->out.p, (unsigned)c->out.len);
	int n;

	if (c->flying.len || !c->out.len || c->broken || c->closed)
		return;
	n = uv_try_write((uv_stream_t *)&c->tcp, &all, 1);
	if (n == UV_EAGAIN)
		n = 0;
	if (n < 0) {
		c->broken = true;
		conn_later(c);
		return;
	}
	c->s->bytes_out += c->out.len;
	if ((size_t)n < c->out.len) {
		fly(c, (size_t)n);
		return;
	}
	c->out_msgs = 0;
	conn_spare(&c->s->spare_out, &c->out);
}

void conn_finish(struct conn *c)
{
	c->call = NULL;
	c->busy = false;
	if (!c->keep)
		c->lingering = true;
	else if (c->stash.len && !c->feeding)
		conn_later(c);
	if (!c->feeding)
		settle(c);
}

static void on_event(struct conn *c, enum http1_event ev)
{
	switch (ev) {
	case HTTP1_HEAD:
		request_head(c);
		break;
	case HTTP1_BODY:
		request_body(c, c->in.body, c->in.body_len);
		break;
	case HTTP1_END:
		request_end(c);
		break;
	case HTTP1_BAD:
		request_bad(c, c->in.status, c->in.reason);
		break;
	case HTTP1_MORE:
		break;
	}
}

/* Requests sent ahead wait here. Who sends too far ahead gets the answer under
 * way and then a closed connection, as RFC 9112 9.3.2 has clients expect. */
static void stash(struct conn *c, const char *p, size_t len)
{
	if (c->stash.len + len > ENGINE_STASH) {
		buf_release(&c->stash);
		c->keep = false;
		c->lingering = !c->busy;
		return;
	}
	buf_put(&c->stash, p, len);
}

static bool may_parse(const struct conn *c)
{
	return !c->closed && !c->lingering && !c->busy && !c->s->closing &&
	       conn_queued(c) < ENGINE_STASH;
}

static void feed(struct conn *c, const char *p, size_t len)
{
	c->feeding = true;
	while (may_parse(c)) {
		enum http1_event ev = http1_next(&c->in, &p, &len);

		if (ev == HTTP1_MORE)
			break;
		on_event(c, ev);
	}
	c->feeding = false;
	if (len && !c->closed && !c->lingering)
		stash(c, p, len);
	settle(c);
}

/* One turn's worth of what was put off. */
static void work(struct conn *c)
{
	struct buf ahead = c->stash;
	bool had = conn_pending(c);

	if (c->broken) {
		conn_close(c);
		return;
	}
	conn_flush(c);
	if (had && !conn_pending(c))
		drained(c);
	if (ahead.len && may_parse(c)) {
		c->stash = (struct buf){0};
		feed(c, ahead.p, ahead.len);
		buf_release(&ahead);
	}
	settle(c);
}

static void on_todo(uv_idle_t *idle)
{
	struct server *s = idle->data;
	unsigned now = s->turn++;
	struct conn *c;

	while ((c = TAILQ_FIRST(&s->todo)) && c->turn == now) {
		leave_todo(c);
		work(c);
	}
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
	struct conn *c = h->data;
	size_t len = sizeof(c->s->read);
	char *p = request_room(c, &len);

	(void)hint;
	*buf = uv_buf_init(p ? p : c->s->read, (unsigned)len);
}

static void on_eof(struct conn *c)
{
	c->eof = true;
	if (c->call || !conn_pending(c))
		conn_close(c);
	else
		c->lingering = true;
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = h->data;
	struct server *s = c->s;

	if (n == 0 || c->closed)
		return;
	if (n < 0) {
		if (n == UV_EOF)
			on_eof(c);
		else
			conn_close(c);
		return;
	}
	s->bytes_in += (uint64_t)n;
	if (buf->base != s->read) {
		request_arrived(c, (size_t)n);
		feed(c, NULL, 0);
	} else if (c->busy || c->stash.len) {
		if (!c->lingering)
			stash(c, buf->base, (size_t)n);
	} else if (!c->lingering) {
		feed(c, buf->base, (size_t)n);
	}
}

static void on_closed(uv_handle_t *h)
{
	struct conn *c = h->data;
	struct server *s = c->s;

	http1_release(&c->in);
	request_forget(c);
	buf_release(&c->stash);
	buf_release(&c->out);
	buf_release(&c->flying);
	free(c);
	s->n_conns--;
	s->handles--;
	listen_one_less(s);
}

void conn_close(struct conn *c)
{
	struct call *call = c->call;

	if (c->closed)
		return;
	c->closed = true;
	c->call = NULL;
	wait_for(c, WAIT_NONE);
	leave_todo(c);
	TAILQ_REMOVE(&c->s->conns, c, all);
	uv_close((uv_handle_t *)&c->tcp, on_closed);
	if (call)
		call_cancel(call);
}

void conn_open(struct server *s, int fd)
{
	struct conn *c = mem_zero(1, sizeof(*c));

	c->s = s;
	http1_init(&c->in);
	uv_tcp_init(s->uv, &c->tcp);
	c->tcp.data = c;
	s->handles++;
	s->n_conns++;
	s->accepted++;
	TAILQ_INSERT_TAIL(&s->conns, c, all);
	if (uv_tcp_open(&c->tcp, fd)) {
		close(fd);
		conn_close(c);
		return;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	uv_tcp_keepalive(&c->tcp, 1, 60);
	if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read)) {
		conn_close(c);
		return;
	}
	settle(c);
}
