/* The user's callbacks never run inside of nghttp2: what arrives is put aside
 * as frames, and delivered when it has used up the bytes that came. */
#include "wire/duplex_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "wire/transfer.h"

static void destroy(struct duplex *d)
{
	timer_stop(&d->timer);
	dial_close(d->dial);
	nghttp2_session_del(d->session);
	frames_release(&d->in);
	buf_release(&d->out);
	buf_release(&d->flying);
	rpc_free(d->answer);
	free(d->head.grpc_message);
	free(d->base);
	free(d);
}

/* ---- the end ---- */

static void end(struct duplex *d)
{
	duplex_conclude(d);
	d->is_busy = true;
	d->done(d->err.code ? &d->err : NULL, d->err.code ? NULL : d->answer,
		d->arg);
	destroy(d);
}

void duplex_fail(struct duplex *d)
{
	d->has_status = d->heard_all = true;
}

/* ---- what comes and goes ---- */

/* Let the server send as much again. */
static void consume(struct duplex *d)
{
	if (d->paused || !d->session)
		return;
	nghttp2_session_consume(d->session, DUPLEX_STREAM, d->unconsumed);
	d->unconsumed = 0;
}

/* As much as the socket takes at once; the rest in the turns to come. */
static void pump(struct duplex *d)
{
	if (!d->session)
		return;
	if (nghttp2_session_send(d->session))
		d->reset = NGHTTP2_INTERNAL_ERROR;
	dial_flush(d->dial);
	if (dial_unsent(d->dial))
		return;
	if (nghttp2_session_want_write(d->session) ||
	    (d->on_drain && d->filled && !duplex_queued(d)))
		dial_later(d->dial);
}

/* Deliver, and go on or end. The last thing that a hook does. */
static void settle(struct duplex *d)
{
	d->is_busy = true;
	duplex_deliver(d);
	d->is_busy = false;
	if (d->is_cancelled) {
		destroy(d);
	} else if (d->heard_all && (d->has_status || !d->paused)) {
		end(d);
	} else {
		consume(d);
		pump(d);
	}
}

static void on_bytes(void *arg, const char *p, size_t len)
{
	struct duplex *d = arg;
	ssize_t rc =
		nghttp2_session_mem_recv(d->session, (const uint8_t *)p, len);

	pump(d); /* what nghttp2 finds wrong it tells the server first */
	if (rc < 0 ||
	    (!d->heard_all && !nghttp2_session_want_read(d->session))) {
		err_set(&d->err, ERR_UNKNOWN,
			"%s is not a gfl server: it speaks no HTTP/2", d->base);
		duplex_fail(d);
	}
	settle(d);
}

static void on_over(void *arg, const struct err *err)
{
	struct duplex *d = arg;

	if (!d->heard_all) {
		d->err = *err;
		duplex_fail(d);
	}
	settle(d);
}

static void on_turn(void *arg)
{
	struct duplex *d = arg;

	pump(d);
	if (!d->filled || duplex_queued(d) || !d->session || d->heard_all) {
		settle(d);
		return;
	}
	d->filled = false;
	d->is_busy = true;
	if (d->on_drain)
		d->on_drain(d->drain_arg);
	settle(d);
}

/* ---- the beginning ---- */

static void on_up(void *arg)
{
	struct duplex *d = arg;

	duplex_begin(d);
	pump(d);
}

static void on_deadline(void *arg)
{
	struct duplex *d = arg;
	double seconds = (double)d->timeout_ms / 1000;

	if (d->session)
		err_set(&d->err, ERR_DEADLINE_EXCEEDED,
			"no answer from %s within %g s", d->base, seconds);
	else
		err_set(&d->err, ERR_UNAVAILABLE,
			"cannot reach %s: no connection within %g s", d->base,
			seconds);
	duplex_fail(d);
	settle(d);
}

static void on_early_failure(void *arg)
{
	end(arg);
}

static const struct dial_hooks hooks = {
	.up = on_up,
	.bytes = on_bytes,
	.turn = on_turn,
	.over = on_over,
};

struct duplex *duplex_open(struct loop *loop, const char *url,
			   const struct rpc_method *method,
			   const struct rpc_opts *opts, rpc_each_fn *each,
			   rpc_done_fn *done, void *arg)
{
	struct duplex *d = mem_zero(1, sizeof(*d));
	size_t len = strlen(url);

	d->loop = loop;
	d->method = method;
	d->each = each;
	d->done = done;
	d->arg = arg;
	d->base = mem_dup(url, len && url[len - 1] == '/' ? len - 1 : len);
	d->forwarded = opts->forwarded;
	d->timeout_ms = opts->timeout_ms;
	if (transfer_check_url(url, &d->err)) {
		d->has_status = true;
		timer_set(&d->timer, loop, 0, on_early_failure, d);
		return d;
	}
	if (d->timeout_ms > 0) {
		d->deadline_ms = clock_ms() + d->timeout_ms;
		timer_set(&d->timer, loop, d->timeout_ms, on_deadline, d);
	}
	d->dial = dial_open(loop, d->base, opts->bind, opts->tls, &hooks, d);
	dial_stall(d->dial, opts->stall_ms);
	return d;
}

/* ---- for the user ---- */

/* What has been put off happens in the next turn. */
static void later(struct duplex *d)
{
	if (d->session)
		nghttp2_session_resume_data(d->session, DUPLEX_STREAM);
	if (d->dial)
		dial_later(d->dial);
}

static bool queue(struct duplex *d, const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	char *to;

	assert(!d->finished && msg->descriptor == d->method->in);
	if (duplex_queued(d) >= DUPLEX_QUEUE)
		return false;
	to = buf_room(&d->out, FRAMES_HEAD + len);
	frames_head((uint8_t *)to, 0, (uint32_t)len);
	protobuf_c_message_pack(msg, (uint8_t *)to + FRAMES_HEAD);
	d->out.len += FRAMES_HEAD + len;
	d->filled = true;
	return true;
}

bool duplex_send(struct duplex *d, const ProtobufCMessage *msg)
{
	bool queued = queue(d, msg);

	if (queued)
		later(d);
	return queued;
}

bool duplex_send_now(struct duplex *d, const ProtobufCMessage *msg)
{
	if (d->is_busy || !d->session)
		return duplex_send(d, msg);
	if (!queue(d, msg))
		return false;
	nghttp2_session_resume_data(d->session, DUPLEX_STREAM);
	pump(d);
	return true;
}

size_t duplex_queued(const struct duplex *d)
{
	return d->out.len + d->flying.len - d->taken +
	       (d->dial ? dial_unsent(d->dial) : 0);
}

void duplex_on_drain(struct duplex *d, duplex_fn *fn, void *arg)
{
	d->on_drain = fn;
	d->drain_arg = arg;
}

void duplex_finish(struct duplex *d)
{
	d->finished = true;
	later(d);
}

void duplex_pause(struct duplex *d)
{
	d->paused = true;
}

void duplex_resume(struct duplex *d)
{
	d->paused = false;
	later(d);
}

void duplex_cancel(struct duplex *d)
{
	if (!d)
		return;
	if (d->is_busy)
		d->is_cancelled = true; /* whoever called us destroys it */
	else
		destroy(d);
}
