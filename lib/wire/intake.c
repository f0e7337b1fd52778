#include "wire/engine.h"

#include "base/mem.h"

enum {
	FRAME_HEAD = 5,
	KEPT = 2 << 20, /* bytes of memory kept between messages */
};

bool intake_ready(const struct stream *st)
{
	const struct intake *in = st->call ? st->call->intake : NULL;

	return in && in->fn && !in->paused && stream_queued(st) < ENGINE_AHEAD;
}

static void too_long(struct call *call)
{
	const char *name;
	size_t limit = request_limit(call, &name);
	struct err err;

	err_set(&err, ERR_RESOURCE_EXHAUSTED, "message is above %s (%zu bytes)",
		name, limit);
	call_give_up(call, &err);
}

/* One whole frame. */
static void take_one(struct call *call, const char *p, size_t len)
{
	struct intake *in = call->intake;
	ProtobufCMessage *msg;
	struct err err;

	if (dialect_decode(call->dialect, &call->coding,
			   call->route->method->in, p, len, &msg, &err)) {
		call_give_up(call, &err);
		return;
	}
	in->moved = true;
	in->fn(call, msg, in->arg);
	rpc_free(msg);
}

/* Hand on the messages at p, as far as they are whole and wanted. Returns their
 * bytes; the call may be over then. */
static size_t take(struct stream *st, const char *p, size_t len)
{
	struct call *call = st->call;
	const char *name;
	size_t limit = FRAME_HEAD + request_limit(call, &name), used = 0;

	while (st->call == call && intake_ready(st)) {
		size_t whole = dialect_frame_size(p + used, len - used);

		if (whole > limit)
			too_long(call);
		else if (!whole || whole > len - used)
			break;
		else
			take_one(call, p + used, whole);
		used += whole;
	}
	return used;
}

/* Let go of what was taken once it is the larger part. */
static void drop_taken(struct stream *st)
{
	struct intake *in = st->call->intake;
	struct buf *b = &st->body;

	if (in->at <= b->len / 2)
		return;
	st->s->receiving -= in->at;
	buf_drop(b, in->at);
	in->at = 0;
	if (!b->len && b->cap > KEPT)
		buf_release(b);
}

static void tell_end(struct stream *st)
{
	struct call *call = st->call;
	struct intake *in = call->intake;
	struct err err;

	in->told = true;
	if (in->at == st->body.len) {
		in->fn(call, NULL, in->arg);
		return;
	}
	err_set(&err, ERR_INVALID_ARGUMENT, "the stream ends within a message");
	call_give_up(call, &err);
}

/* Hand on what waits in the body. */
static void go_on(struct stream *st)
{
	struct call *call = st->call;
	struct intake *in = call->intake;
	size_t left = st->body.len - in->at, used;

	if (left) {
		used = take(st, st->body.p + in->at, left);
		if (st->call != call)
			return;
		in->at += used;
		drop_taken(st);
	}
	if (in->ended && !in->told && intake_ready(st))
		tell_end(st);
}

void intake_go(struct stream *st)
{
	if (st->call && st->call->intake)
		go_on(st);
	if (st->id)
		many_unhold(st);
}

/* Many clients together may not take our memory either. */
static void keep(struct stream *st, const char *p, size_t len)
{
	struct err err;

	buf_put(&st->body, p, len);
	st->s->receiving += len;
	if (!request_too_many(st->s, &err))
		return;
	call_give_up(st->call, &err);
}

void intake_bytes(struct stream *st, const char *p, size_t len)
{
	struct call *call = st->call;
	size_t used = st->body.len ? 0 : take(st, p, len);

	if (st->call == call && used < len)
		keep(st, p + used, len - used);
	if (st->call == call && !used)
		go_on(st);
}

void intake_end(struct stream *st)
{
	st->open = false;
	st->busy = true;
	st->call->intake->ended = true;
	go_on(st);
}

void intake_open(struct stream *st)
{
	struct call *call = st->call;
	const struct route *r = call->route;

	call->intake = mem_zero(1, sizeof(*call->intake));
	st->open = true;
	r->fn(call, NULL, r->arg);
	if (st->call == call)
		call_hold(call);
}

/* Who drips does not move. */
static bool moved(const struct call *call)
{
	return call->intake->moved ||
	       (call->intake->patient && !call->st->body.len) ||
	       call->body_len - call->intake->seen >= ENGINE_SLOWEST;
}

void intake_idle(struct stream *st)
{
	struct err err;

	if (!intake_ready(st)) {
		wait_for(st, WAIT_NONE);
		return;
	}
	if (moved(st->call)) {
		st->call->intake->moved = false;
		st->call->intake->seen = st->call->body_len;
		wait_for(st, WAIT_STREAM);
		return;
	}
	st->s->cut++;
	err_set(&err, ERR_DEADLINE_EXCEEDED,
		"no message came on the stream for too long");
	call_give_up(st->call, &err);
}

/* Look in the next turn whether something waits. */
static void later(struct call *call)
{
	if (call->st)
		stream_later(call->st);
}

void call_on_message(struct call *call, call_message_fn *fn, void *arg)
{
	if (!call->intake)
		return;
	call->intake->fn = fn;
	call->intake->arg = arg;
	later(call);
}

void call_be_patient(struct call *call)
{
	if (call->intake)
		call->intake->patient = true;
}

void call_pause(struct call *call)
{
	if (call->intake)
		call->intake->paused = true;
}

void call_resume(struct call *call)
{
	if (!call->intake || !call->intake->paused)
		return;
	call->intake->paused = false;
	later(call);
}
