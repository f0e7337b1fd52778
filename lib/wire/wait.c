#include "wire/engine.h"

/* Bytes of the write under way that the socket has not taken. */
static size_t unsent(const struct conn *c)
{
	return uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
}

/* The first connection of a list has had its time. */
static void expire(struct conn *c)
{
	switch (c->wait) {
	case WAIT_REQUEST:
		c->s->cut++;
		request_bad(c, 408, "the request took too long to arrive");
		break;
	case WAIT_READER:
		if (unsent(c) < c->seen_unsent) {
			wait_for(c, WAIT_READER);
			break;
		}
		c->s->cut++;
		conn_close(c);
		break;
	default:
		conn_close(c);
	}
}

static void on_timer(uv_timer_t *t)
{
	struct wait_list *w = t->data;
	int64_t now = (int64_t)uv_now(t->loop);
	struct conn *c;

	while ((c = TAILQ_FIRST(&w->conns)) && c->since_ms + w->after_ms <= now)
		expire(c);
	if (c)
		uv_timer_start(t, on_timer,
			       (uint64_t)(c->since_ms + w->after_ms - now), 0);
}

/* A list's timer is set when the list gets its first connection, and then only
 * looks how far that has come: a request costs no call of the timer heap. */
void wait_for(struct conn *c, enum wait_kind kind)
{
	struct server *s = c->s;
	struct wait_list *w = &s->waits[kind];

	if (c->wait != WAIT_NONE)
		TAILQ_REMOVE(&s->waits[c->wait].conns, c, waiting);
	c->wait = kind;
	if (kind == WAIT_NONE)
		return;
	c->since_ms = (int64_t)uv_now(s->uv);
	c->seen_unsent = unsent(c);
	TAILQ_INSERT_TAIL(&w->conns, c, waiting);
	if (!uv_is_active((uv_handle_t *)&w->timer))
		uv_timer_start(&w->timer, on_timer, (uint64_t)w->after_ms, 0);
}

void wait_init(struct server *s, const struct server_opts *opts)
{
	const int64_t after[WAIT_KINDS] = {
		[WAIT_IDLE] = opts->idle_ms ? opts->idle_ms : 60000,
		[WAIT_REQUEST] = opts->receive_ms ? opts->receive_ms : 10000,
		[WAIT_READER] = opts->idle_ms ? opts->idle_ms : 60000,
		[WAIT_LINGER] = 2000,
	};

	for (int i = 0; i < WAIT_KINDS; i++) {
		struct wait_list *w = &s->waits[i];

		TAILQ_INIT(&w->conns);
		w->after_ms = after[i];
		uv_timer_init(s->uv, &w->timer);
		uv_unref((uv_handle_t *)&w->timer);
		w->timer.data = w;
		s->handles++;
	}
}
