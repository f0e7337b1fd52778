#include "wire/engine.h"

size_t stream_unsent(const struct stream *st)
{
	if (st->id)
		return st->flying.len - st->taken;
	return uv_stream_get_write_queue_size(
		(const uv_stream_t *)&st->conn->tcp);
}

size_t stream_queued(const struct stream *st)
{
	return st->out.len + stream_unsent(st);
}

bool stream_pending(const struct stream *st)
{
	return st->out.len || st->flying.len;
}

bool stream_held(const struct stream *st)
{
	return st->call && st->call->held;
}

void stream_drained(struct stream *st)
{
	struct call *call = st->call;

	if (call && call->on_drain && !stream_pending(st))
		call->on_drain(call, call->drain_arg);
}

static void leave_todo(struct stream *st)
{
	struct server *s = st->s;

	if (!st->on_todo)
		return;
	st->on_todo = false;
	TAILQ_REMOVE(&s->todo, st, todo);
	if (TAILQ_EMPTY(&s->todo))
		uv_idle_stop(&s->idle);
}

static void on_todo(uv_idle_t *idle)
{
	struct server *s = idle->data;
	unsigned now = s->turn++;
	struct stream *st;

	while ((st = TAILQ_FIRST(&s->todo)) && st->turn == now) {
		leave_todo(st);
		if (!st->id) {
			conn_work(st->conn);
			continue;
		}
		if (st->out.len)
			many_flush(st);
		stream_drained(st);
		intake_go(st);
	}
	wait_shed(s);
}

void stream_later(struct stream *st)
{
	struct server *s = st->s;

	if (st->on_todo || st->conn->closed)
		return;
	if (TAILQ_EMPTY(&s->todo))
		uv_idle_start(&s->idle, on_todo);
	st->on_todo = true;
	st->turn = s->turn;
	TAILQ_INSERT_TAIL(&s->todo, st, todo);
}

void stream_flush(struct stream *st)
{
	if (st->id)
		many_flush(st);
	else
		conn_flush(st->conn);
}

void stream_finish(struct stream *st)
{
	struct conn *c = st->conn;
	bool early = st->open;

	st->call = NULL;
	st->busy = st->open = false;
	if (st->id) {
		st->ended = true;
		many_flush(st);
		return;
	}
	if (!st->keep || early)
		c->lingering = true;
	else if (c->stash.len && !c->feeding)
		stream_later(st);
	if (!c->feeding)
		conn_settle(c);
}

void stream_close(struct stream *st)
{
	struct conn *c = st->conn;

	if (st->id) {
		many_reset(st);
		return;
	}
	if (c->h2)
		many_drain(c);
	conn_close(c);
}

void stream_init(struct stream *st, struct conn *c, int32_t id)
{
	st->s = c->own.s;
	st->conn = c;
	st->id = id;
	http1_init(&st->in);
}

/* It is waited for no more; its memory goes later, or now. */
void stream_leave(struct stream *st)
{
	wait_for(st, WAIT_NONE);
	leave_todo(st);
}

void stream_release(struct stream *st)
{
	http1_release(&st->in);
	request_forget(st);
	buf_release(&st->out);
	buf_release(&st->flying);
	buf_release(&st->head);
	buf_release(&st->trailers);
}
