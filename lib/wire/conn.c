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

bool conn_pending(const struct conn *c)
{
	const struct stream *st;

	LIST_FOREACH (st, &c->streams, all)
		if (stream_pending(st))
			return true;
	return stream_pending(&c->own) || (c->h2 && h2_pending(c->h2));
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf);
static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *buf);

static void listen_again(struct conn *c)
{
	if (c->deaf && !c->closed)
		uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	c->deaf = false;
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
	listen_again(c);
	if (c->tls)
		secure_end(c);
	if (!uv_fileno((uv_handle_t *)&c->tcp, &fd))
		shutdown(fd, SHUT_WR);
	wait_for(&c->own, WAIT_LINGER);
}

/* What is a client of HTTP/1.1 to do next, or one that has said too little to
 * tell? */
static enum wait_kind wait_of(const struct conn *c)
{
	if (!c->greeted)
		return WAIT_REQUEST;
	if (c->h2)
		return c->n_streams ? WAIT_NONE : WAIT_IDLE;
	if (c->own.busy)
		return stream_held(&c->own) ? WAIT_HELD : WAIT_NONE;
	if (c->own.open)
		return intake_ready(&c->own) ? WAIT_STREAM : WAIT_NONE;
	if (c->own.call || http1_begun(&c->own.in) || (c->sniffed && !c->known))
		return WAIT_REQUEST;
	return WAIT_IDLE;
}

void conn_settle(struct conn *c)
{
	enum wait_kind kind;

	if (c->closed)
		return;
	if (stream_pending(&c->own))
		kind = WAIT_READER;
	else if (c->lingering)
		kind = WAIT_LINGER;
	else
		kind = wait_of(c);
	if (kind == c->own.wait && kind != WAIT_IDLE)
		return;
	if (kind == WAIT_LINGER)
		linger(c);
	else
		wait_for(&c->own, kind);
}

static void on_event(struct conn *c, enum http1_event ev)
{
	switch (ev) {
	case HTTP1_HEAD:
		request_head(&c->own);
		break;
	case HTTP1_BODY:
		request_body(&c->own, c->own.in.body, c->own.in.body_len);
		break;
	case HTTP1_END:
		request_end(&c->own);
		break;
	case HTTP1_BAD:
		request_bad(&c->own, c->own.in.status, c->own.in.reason);
		break;
	case HTTP1_MORE:
		break;
	}
}

/* Requests sent ahead wait here, as does what follows of a stream that is held
 * back: then no more is read. Who sends requests too far ahead gets the answer
 * under way and then a closed connection, as RFC 9112 9.3.2 has clients
 * expect. */
static void stash(struct conn *c, const char *p, size_t len)
{
	if (c->own.open && c->stash.len + len > ENGINE_STASH / 2) {
		c->deaf = true;
		uv_read_stop((uv_stream_t *)&c->tcp);
	} else if (c->stash.len + len > ENGINE_STASH) {
		buf_release(&c->stash);
		c->own.keep = false;
		c->lingering = !c->own.busy;
		return;
	}
	buf_put(&c->stash, p, len);
}

static bool may_parse(const struct conn *c)
{
	if (c->closed || c->lingering || c->own.busy || c->own.s->closing)
		return false;
	return c->own.open ? intake_ready(&c->own)
			   : stream_queued(&c->own) < ENGINE_STASH;
}

static void feed(struct conn *c, const char *p, size_t len)
{
	c->feeding = true;
	while (may_parse(c)) {
		enum http1_event ev = http1_next(&c->own.in, &p, &len);

		if (ev == HTTP1_MORE)
			break;
		on_event(c, ev);
	}
	c->feeding = false;
	if (len && !c->closed && !c->lingering)
		stash(c, p, len);
	conn_settle(c);
}

/* One turn's worth of what was put off. */
void conn_work(struct conn *c)
{
	struct buf ahead = c->stash;
	bool had = stream_pending(&c->own) || c->own.said;

	if (c->broken) {
		conn_close(c);
		return;
	}
	c->own.said = false;
	conn_flush(c);
	if (had)
		stream_drained(&c->own);
	intake_go(&c->own);
	if (ahead.len && may_parse(c)) {
		c->stash = (struct buf){0};
		listen_again(c);
		feed(c, ahead.p, ahead.len);
		buf_release(&ahead);
	}
	if (c->h2)
		many_settle(c);
	conn_settle(c);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
	struct conn *c = h->data;
	size_t len = sizeof(c->own.s->read);
	char *p = c->tls ? NULL : request_room(&c->own, &len);

	(void)hint;
	*buf = uv_buf_init(p ? p : c->own.s->read, (unsigned)len);
}

void conn_eof(struct conn *c)
{
	c->eof = true;
	if (c->own.call || c->h2 || !stream_pending(&c->own))
		conn_close(c);
	else
		c->lingering = true;
}

/* HTTP/1.1, or HTTP/2 by prior knowledge? The client's first bytes tell. */
static void sniff(struct conn *c, const char *p, size_t len)
{
	size_t had = c->sniffed, used = 0;

	while (used < len && c->sniffed < H2_SNIFF &&
	       p[used] == h2_preface[c->sniffed]) {
		c->sniffed++;
		used++;
	}
	c->known = c->sniffed == H2_SNIFF || used < len;
	if (!c->known) {
		conn_settle(c);
	} else if (c->sniffed == H2_SNIFF) {
		many_open(c);
		many_input(c, h2_preface, H2_SNIFF);
		many_input(c, p + used, len - used);
	} else {
		feed(c, h2_preface, had);
		feed(c, p, len);
	}
}

/* in_place: in the memory that request_room() gave. */
void conn_arrived(struct conn *c, const char *p, size_t len, bool in_place)
{
	if (in_place) {
		request_arrived(&c->own, len);
		feed(c, NULL, 0);
	} else if (c->lingering) {
		return;
	} else if (!c->known) {
		sniff(c, p, len);
	} else if (c->h2) {
		many_input(c, p, len);
	} else if (c->own.busy || c->stash.len) {
		stash(c, p, len);
	} else {
		feed(c, p, len);
	}
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = h->data;
	struct server *s = c->own.s;

	if (n == 0 || c->closed)
		return;
	if (n > 0)
		s->bytes_in += (uint64_t)n;
	if (n > 0 && c->tls)
		secure_arrived(c, buf->base, (size_t)n);
	else if (n > 0)
		conn_arrived(c, buf->base, (size_t)n, buf->base != s->read);
	else if (n == UV_EOF)
		conn_eof(c);
	else
		conn_close(c);
}

static void on_closed(uv_handle_t *h)
{
	struct conn *c = h->data;
	struct server *s = c->own.s;

	secure_release(c);
	stream_release(&c->own);
	buf_release(&c->stash);
	h2_close(c->h2);
	source_leave(s, c->source);
	free(c);
	s->n_conns--;
	s->handles--;
	listen_one_less(s);
}

void conn_close(struct conn *c)
{
	struct call *call = c->own.call;

	if (c->closed)
		return;
	if (c->tls)
		secure_end(c);
	c->closed = true;
	c->own.s->unread -= c->own.counted;
	c->own.call = NULL;
	stream_leave(&c->own);
	TAILQ_REMOVE(&c->own.s->conns, c, all);
	uv_close((uv_handle_t *)&c->tcp, on_closed);
	if (call)
		call_cancel(call);
	many_close(c);
}

void conn_drain(struct conn *c)
{
	c->own.keep = false;
	if (c->h2)
		many_drain(c);
	else if ((c->own.busy || c->own.open) && c->own.call)
		call_close(c->own.call);
	if (!conn_pending(c))
		conn_close(c);
}

static void meet(struct conn *c, const union address *from)
{
	c->peer.trust = listen_is_loopback(from) ? PEER_LOOPBACK : PEER_PLAIN;
	listen_numeric(from, c->peer.addr);
}

void conn_open(struct server *s, int fd, const union address *from,
	       struct source *source)
{
	struct conn *c = mem_zero(1, sizeof(*c));

	c->own.s = s;
	c->source = source;
	c->greeted = true;
	stream_init(&c->own, c, 0);
	uv_tcp_init(s->uv, &c->tcp);
	c->tcp.data = c;
	s->handles++;
	s->n_conns++;
	s->accepted++;
	TAILQ_INSERT_TAIL(&s->conns, c, all);
	meet(c, from);
	if (s->tls)
		secure_open(c);
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
	conn_settle(c);
}
