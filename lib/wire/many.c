#include "wire/engine.h"

#include <stdlib.h>

#include "base/mem.h"

enum { MANY_AT_ONCE = 256 << 10 }; /* bytes given to the socket */

/* Keep the sum of what waits in the connection's streams. */
static void recount(struct stream *st)
{
	size_t now = stream_queued(st);

	st->conn->queued += now - st->counted;
	st->s->unread += now - st->counted;
	st->counted = now;
}

/* Wait for what is to come next. */
static void settle(struct stream *st)
{
	enum wait_kind kind = stream_pending(st)        ? WAIT_READER
			      : stream_held(st)         ? WAIT_HELD
			      : (st->busy || st->ended) ? WAIT_NONE
			      : !st->open               ? WAIT_REQUEST
			      : intake_ready(st)        ? WAIT_STREAM
							: WAIT_NONE;

	if (kind != st->wait)
		wait_for(st, kind);
}

/* Frames are made in the connection's next turn, never within a call_…(). */
void many_flush(struct stream *st)
{
	if (st->conn->closed)
		return;
	recount(st);
	settle(st);
	h2_resume(st->conn->h2, st->id);
	stream_later(&st->conn->own);
}

/* Let the client send what was held back. */
void many_unhold(struct stream *st)
{
	settle(st);
	if (!st->unread || (st->call && !intake_ready(st)))
		return;
	h2_consume(st->conn->h2, st->id, st->unread);
	st->unread = 0;
	stream_later(&st->conn->own);
}

static void *on_open(void *arg, int32_t id)
{
	struct conn *c = arg;
	struct server *s = c->own.s;
	struct stream *st;

	if (s->closing || c->lingering || c->closed ||
	    c->queued > ENGINE_QUEUE || s->n_many >= ENGINE_STREAMS)
		return NULL;
	st = mem_zero(1, sizeof(*st));
	stream_init(st, c, id);
	LIST_INSERT_HEAD(&c->streams, st, all);
	c->n_streams++;
	s->n_many++;
	settle(st);
	return st;
}

static void on_head(void *stream, const char *text, size_t len, bool last)
{
	struct stream *st = stream;

	st->has_body = !last;
	switch (http1_next(&st->in, &text, &len)) {
	case HTTP1_HEAD:
		request_head(st);
		break;
	case HTTP1_BAD:
		request_bad(st, st->in.status, st->in.reason);
		break;
	default:
		request_bad(st, 400, "bad request line");
	}
	settle(st);
}

static bool receives(const struct stream *st)
{
	return st->call && !st->busy && !st->ended;
}

static bool on_body(void *stream, const char *p, size_t len)
{
	struct stream *st = stream;

	if (!receives(st))
		return true;
	request_body(st, p, len);
	if (!st->open)
		return true;
	settle(st);
	if (intake_ready(st))
		return true;
	st->unread += len;
	return false;
}

static void on_end(void *stream)
{
	struct stream *st = stream;

	if (!receives(st))
		return;
	request_end(st);
	settle(st);
}

/* The bytes taken for now are all on their way: those made since follow. */
static void take_out(struct stream *st)
{
	if (!st->out.len)
		return;
	conn_spare(&st->s->spare_out, &st->flying);
	st->flying = st->out;
	st->out = (struct buf){0};
	st->taken = 0;
	wait_for(st, WAIT_READER);
}

static enum h2_have on_data(void *stream, const char **p, size_t *len)
{
	struct stream *st = stream;

	if (st->taken == st->flying.len)
		take_out(st);
	*p = st->flying.len ? st->flying.p + st->taken : NULL;
	*len = st->flying.len - st->taken;
	if (!st->ended || st->out.len)
		return H2_LATER;
	return st->trailers.len ? H2_TRAILERS : H2_LAST;
}

static void on_sent(void *stream, size_t len)
{
	struct stream *st = stream;

	st->taken += len;
	recount(st);
	if (st->taken < st->flying.len)
		return;
	conn_spare(&st->s->spare_out, &st->flying);
	st->taken = 0;
	settle(st);
	if (st->call && (st->call->on_drain || st->call->intake))
		stream_later(st);
}

static const struct buf *on_trailers(void *stream)
{
	const struct stream *st = stream;

	return &st->trailers;
}

/* Forget it; its handler learns that the client has gone. */
static void drop(struct stream *st)
{
	struct conn *c = st->conn;
	struct call *call = st->call;

	st->call = NULL;
	st->ended = true;
	LIST_REMOVE(st, all);
	c->n_streams--;
	c->queued -= st->counted;
	st->s->unread -= st->counted;
	st->s->n_many--;
	if (call)
		call_cancel(call);
	stream_leave(st);
	stream_release(st);
	free(st);
}

static void on_closed(void *stream)
{
	drop(stream);
}

static const struct h2_hooks hooks = {
	.open = on_open,
	.head = on_head,
	.body = on_body,
	.end = on_end,
	.data = on_data,
	.sent = on_sent,
	.trailers = on_trailers,
	.closed = on_closed,
};

void many_open(struct conn *c)
{
	c->h2 = h2_open(&hooks, c);
}

void many_close(struct conn *c)
{
	struct stream *st;

	while ((st = LIST_FIRST(&c->streams)))
		drop(st);
}

/* All is said, or the client speaks no HTTP/2: no stream goes on. */
static void hang_up(struct conn *c)
{
	struct stream *st;

	c->lingering = true;
	LIST_FOREACH (st, &c->streams, all)
		many_reset(st);
}

void many_input(struct conn *c, const char *p, size_t len)
{
	int64_t now = (int64_t)uv_now(c->own.s->uv);

	if (h2_input(c->h2, p, len, now))
		hang_up(c);
	conn_flush(c);
	many_settle(c);
	conn_settle(c);
}

void many_settle(struct conn *c)
{
	if (!c->lingering && h2_over(c->h2))
		hang_up(c);
}

void many_output(struct conn *c)
{
	struct server *s = c->own.s;

	if (!c->own.out.p) {
		c->own.out = s->spare_out;
		s->spare_out = (struct buf){0};
	}
	h2_output(c->h2, &c->own.out, MANY_AT_ONCE);
	if (!c->own.out.len)
		conn_spare(&s->spare_out, &c->own.out);
}

/* Its call is cancelled now; the frame that says so follows. */
void many_reset(struct stream *st)
{
	struct call *call = st->call;

	st->call = NULL;
	st->busy = st->open = false;
	st->ended = true;
	buf_release(&st->out);
	buf_release(&st->flying);
	buf_reset(&st->trailers);
	st->taken = 0;
	h2_reset(st->conn->h2, st->id);
	many_flush(st);
	if (call)
		call_cancel(call);
}

void many_drain(struct conn *c)
{
	struct stream *st;

	h2_goaway(c->h2);
	LIST_FOREACH (st, &c->streams, all)
		if ((st->busy || st->open) && st->call)
			call_close(st->call);
		else if (!st->ended)
			many_reset(st);
	conn_flush(c);
}
