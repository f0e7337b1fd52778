#include "wire/engine.h"

/* The first stream of a list has had its time. */
static void expire(struct stream *st)
{
	switch (st->wait) {
	case WAIT_REQUEST:
		st->s->cut++;
		if (!st->conn->greeted) {
			conn_close(st->conn);
			break;
		}
		request_bad(st, 408, "the request took too long to arrive");
		break;
	case WAIT_STREAM:
		intake_idle(st);
		break;
	case WAIT_HELD:
		call_tire(st->call);
		break;
	case WAIT_READER:
		if (stream_unsent(st) + ENGINE_SLOWEST <= st->seen_unsent) {
			wait_for(st, WAIT_READER);
			break;
		}
		st->s->cut++;
		stream_close(st);
		break;
	default:
		stream_close(st);
	}
}

bool wait_too_many(const struct server *s)
{
	return s->unread / ENGINE_BODIES > s->max_message + ENGINE_JSON;
}

void wait_shed(struct server *s)
{
	struct stream *st;

	while (wait_too_many(s) &&
	       (st = TAILQ_FIRST(&s->waits[WAIT_READER].streams))) {
		s->cut++;
		stream_close(st);
	}
}

static bool is_over(const struct wait_list *w, int64_t now)
{
	const struct stream *st = TAILQ_FIRST(&w->streams);

	return st && st->since_ms + w->after_ms <= now;
}

/* We may have been stopped, or starved, while they did what we wait for: before
 * anybody's time is over the loop turns once more, and reads what is there. */
static void on_timer(uv_timer_t *t)
{
	struct wait_list *w = t->data;
	int64_t now = (int64_t)uv_now(t->loop), left_ms = 1;
	const struct stream *st;

	if (!w->due_ms && is_over(w, now)) {
		w->due_ms = now;
		uv_timer_start(t, on_timer, 1, 0);
		return;
	}
	while (is_over(w, w->due_ms))
		expire(TAILQ_FIRST(&w->streams));
	w->due_ms = 0;
	st = TAILQ_FIRST(&w->streams);
	if (st && !is_over(w, now))
		left_ms = st->since_ms + w->after_ms - now;
	if (st)
		uv_timer_start(t, on_timer, (uint64_t)left_ms, 0);
}

/* A list's timer is set when the list gets its first stream, and then only
 * looks how far that has come: a request costs no call of the timer heap. */
void wait_for(struct stream *st, enum wait_kind kind)
{
	struct server *s = st->s;
	struct wait_list *w = &s->waits[kind];

	if (st->wait != WAIT_NONE)
		TAILQ_REMOVE(&s->waits[st->wait].streams, st, waiting);
	st->wait = kind;
	if (kind == WAIT_NONE)
		return;
	st->since_ms = (int64_t)uv_now(s->uv);
	st->seen_unsent = stream_unsent(st);
	TAILQ_INSERT_TAIL(&w->streams, st, waiting);
	if (!uv_is_active((uv_handle_t *)&w->timer))
		uv_timer_start(&w->timer, on_timer, (uint64_t)w->after_ms, 0);
}

void wait_init(struct server *s, const struct server_opts *opts)
{
	const int64_t after[WAIT_KINDS] = {
		[WAIT_IDLE] = opts->idle_ms ? opts->idle_ms : 60000,
		[WAIT_REQUEST] = opts->receive_ms ? opts->receive_ms : 10000,
		[WAIT_STREAM] = opts->idle_ms ? opts->idle_ms : 60000,
		[WAIT_HELD] = opts->hold_ms ? opts->hold_ms : 30000,
		[WAIT_READER] = opts->idle_ms ? opts->idle_ms : 60000,
		[WAIT_LINGER] = 2000,
	};

	for (int i = 0; i < WAIT_KINDS; i++) {
		struct wait_list *w = &s->waits[i];

		TAILQ_INIT(&w->streams);
		w->after_ms = after[i];
		uv_timer_init(s->uv, &w->timer);
		uv_unref((uv_handle_t *)&w->timer);
		w->timer.data = w;
		s->handles++;
	}
}
