#include "wire/engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

struct call *call_new(struct stream *st)
{
	struct call *call = mem_zero(1, sizeof(*call));

	call->s = st->s;
	call->st = st;
	call->route = &st->s->unknown;
	call->deadline_ms = INT64_MAX;
	return call;
}

static void call_free(struct call *call)
{
	timer_stop(&call->deadline);
	once_free(call->once);
	free(call->refused);
	free(call->intake);
	buf_release(&call->more);
	free(call);
}

/* No longer among those that are held. */
static void unhold(struct call *call)
{
	call->s->n_held -= call->held;
	call->s->n_streams -= call->streaming;
	call->held = call->streaming = false;
}

/* The stream lets go of the call, which counts as answered. */
static struct stream *detach(struct call *call, enum err_code code)
{
	struct stream *st = call->st;

	unhold(call);
	if (call->intake)
		request_forget(st);
	call->route->by_code[(int)code < ENGINE_CODES ? code : ERR_UNKNOWN]++;
	call->st = NULL;
	st->call = NULL;
	return st;
}

/* May the handler still say something? If not, the call of a handler that was
 * not told of its end is freed now. */
static bool alive(struct call *call)
{
	if (call->st)
		return true;
	if (!call->cancelling)
		call_free(call);
	return false;
}

/* Run the cancel hook; without one the call waits for its handler. */
static void cancelled(struct call *call)
{
	call->cancelling = true;
	if (call->on_cancel) {
		call->on_cancel(call, call->cancel_arg);
		call_free(call);
		return;
	}
	call->cancelling = false;
	timer_stop(&call->deadline);
}

void call_cancel(struct call *call)
{
	bool kept = call->held || call->streaming;

	unhold(call);
	call->st = NULL;
	if (!kept) {
		call_free(call);
		return;
	}
	call->route->by_code[ERR_CANCELLED]++;
	if (!call->once || !once_goes_on(call))
		cancelled(call);
}

/* The answer to a call whose head has not been sent. */
static void answer_error(struct call *call, struct stream *st,
			 const struct err *err)
{
	const struct dialect *d = call->dialect;

	if (err->retry_s && d->kind == DIALECT_UNARY)
		buf_putf(&call->more, "retry-after: %d\r\n", err->retry_s);
	answer_begin(st, dialect_status(d, err), d->error_type, call->more.p);
	answer_status(st, d, err);
	answer_end(st);
}

/* Put the error on the wire, whatever was sent before. */
static void send_error(struct call *call, const struct err *err)
{
	struct stream *st = detach(call, err->code);

	if (!call->head_sent) {
		answer_error(call, st, err);
		return;
	}
	answer_chunk(st);
	answer_status(st, call->dialect, err);
	answer_chunk_end(st);
	answer_stream_end(st);
}

void call_fail(struct call *call, const struct err *err)
{
	if (call->once)
		once_answer(call, NULL, err);
	if (!alive(call))
		return;
	send_error(call, err);
	call_free(call);
}

void call_give_up(struct call *call, const struct err *err)
{
	if (call->once)
		once_answer(call, NULL, err);
	if (call->st)
		send_error(call, err);
	cancelled(call);
}

static void on_deadline(void *arg)
{
	struct err err;

	err_set(&err, ERR_DEADLINE_EXCEEDED, "the deadline has passed");
	call_give_up(arg, &err);
}

void call_expire(struct call *call, int64_t after_ms)
{
	timer_set(&call->deadline, call->s->loop, after_ms, on_deadline, call);
}

void call_close(struct call *call)
{
	struct err err;

	err_set(&err, ERR_UNAVAILABLE, "the server is closing");
	call_give_up(call, &err);
}

/* The head of a stream, once. */
static void begin_stream(struct call *call)
{
	if (call->head_sent)
		return;
	call->head_sent = true;
	answer_stream(call->st, call->dialect->type, call->more.p);
}

static bool streams_out(const struct call *call)
{
	enum rpc_kind kind = call->route->method->kind;

	return kind == RPC_SERVER_STREAM || kind == RPC_BIDI;
}

void call_tire(struct call *call)
{
	struct err err;

	err_set(&err, ERR_DEADLINE_EXCEEDED,
		"held for as long as a request may be: ask again");
	call_give_up(call, &err);
}

void call_hold(struct call *call)
{
	struct server *s = call->s;

	call->streaming = call->route->method->kind != RPC_UNARY;
	call->held = !call->streaming;
	s->n_held += call->held;
	s->n_streams += call->streaming;
	if (call->deadline_ms != INT64_MAX)
		call_expire(call, call->deadline_ms - clock_ms());
	if (streams_out(call) && !call->head_sent) {
		begin_stream(call);
		stream_later(call->st);
	}
}

void call_refuse(struct call *call)
{
	struct stream *st = call->st;

	if (call->dialect && (!call->status || call->status == 413)) {
		send_error(call, call->refused);
	} else {
		detach(call, call->refused->code);
		answer_begin(st, call->status,
			     call->status == 204 ? NULL
						 : "text/plain; charset=utf-8",
			     call->more.p);
		if (call->status != 204) {
			buf_puts(&st->out, call->refused->msg);
			buf_putc(&st->out, '\n');
		}
		answer_end(st);
	}
	call_free(call);
}

/* A bare message is packed before its head, which says so. */
static void reply_packed(struct call *call, const ProtobufCMessage *msg)
{
	const struct dialect *d = call->dialect;
	struct buf body = BUF_INIT(0);
	struct stream *st;
	struct err err;

	if (dialect_frame(d, NULL, &body, msg, call->s->max_message, &err)) {
		buf_release(&body);
		call_fail(call, &err);
		return;
	}
	if (dialect_shrink(&call->coding, &body, 0))
		buf_puts(&call->more, "content-encoding: gzip\r\n");
	answer_begin(call->st, 200, d->type, call->more.p);
	buf_put(&call->st->out, body.p, body.len);
	buf_release(&body);
	st = detach(call, ERR_OK);
	call_free(call);
	answer_end(st);
}

void call_reply(struct call *call, const ProtobufCMessage *msg)
{
	const struct dialect *d = call->dialect;
	struct stream *st = call->st;
	struct err err;

	if (call->once)
		once_answer(call, msg, NULL);
	if (!alive(call))
		return;
	assert(!streams_out(call));
	if (call->coding.out && d->kind == DIALECT_UNARY) {
		reply_packed(call, msg);
		return;
	}
	answer_begin(st, 200, d->type, call->more.p);
	if (dialect_frame(d, &call->coding, &st->out, msg, call->s->max_message,
			  &err)) {
		st->out.len = st->head_at;
		call_fail(call, &err);
		return;
	}
	answer_status(st, d, NULL);
	detach(call, ERR_OK);
	call_free(call);
	answer_end(st);
}

/* Append one frame to the stream, as a chunk. */
static int add_message(struct call *call, const ProtobufCMessage *msg,
		       struct err *err)
{
	struct stream *st = call->st;
	int rc;

	begin_stream(call);
	answer_chunk(st);
	rc = dialect_frame(call->dialect, &call->coding, &st->out, msg,
			   call->s->max_message, err);
	if (rc)
		st->out.len = st->mark;
	else
		answer_chunk_end(st);
	return rc;
}

/* What an HTTP status would have been as a code, for the counters. */
static enum err_code code_of(int status)
{
	if (status < 400)
		return ERR_OK;
	for (int code = 1; code < ENGINE_CODES; code++)
		if (err_http((enum err_code)code) == status)
			return (enum err_code)code;
	return ERR_UNKNOWN;
}

void call_http(struct call *call, int status, const char *content_type,
	       const char *body, size_t len)
{
	struct stream *st = call->st;

	answer_begin(st, status, content_type, call->more.p);
	buf_put(&st->out, body, len);
	detach(call, code_of(status));
	call_free(call);
	answer_end(st);
}

int call_send(struct call *call, const ProtobufCMessage *msg)
{
	struct stream *st = call->st;
	struct err err;
	int rc;

	if (!st)
		return -1;
	if (call_queued(call) > ENGINE_QUEUE)
		rc = err_set(&err, ERR_RESOURCE_EXHAUSTED,
			     "the reader is more than %d bytes behind",
			     ENGINE_QUEUE);
	else
		rc = add_message(call, msg, &err);
	if (rc) {
		send_error(call, &err);
		cancelled(call);
		return -1;
	}
	st->said = true;
	if (st->out.len >= ENGINE_FLUSH)
		stream_flush(st);
	stream_later(st);
	return 0;
}

void call_end(struct call *call)
{
	struct stream *st = call->st;

	if (!alive(call))
		return;
	begin_stream(call);
	answer_chunk(st);
	answer_status(st, call->dialect, NULL);
	answer_chunk_end(st);
	detach(call, ERR_OK);
	call_free(call);
	answer_stream_end(st);
}

size_t call_queued(const struct call *call)
{
	return call->st ? stream_queued(call->st) : 0;
}

void call_on_drain(struct call *call, call_fn *fn, void *arg)
{
	call->on_drain = fn;
	call->drain_arg = arg;
}

void call_on_cancel(struct call *call, call_fn *fn, void *arg)
{
	call->on_cancel = fn;
	call->cancel_arg = arg;
}

int64_t call_deadline_ms(const struct call *call)
{
	return call->deadline_ms;
}

const struct peer *call_peer(const struct call *call)
{
	static const struct peer nobody = {.trust = PEER_PLAIN};

	return call->st ? &call->st->conn->peer : &nobody;
}

ProtobufCMessage *call_take(struct call *call)
{
	ProtobufCMessage *in = call->s->handled;

	call->s->handled = NULL;
	return in;
}

bool call_forwarded(const struct call *call)
{
	return call->forwarded;
}

void call_timing(const struct call *call, uint64_t *bytes, int64_t *us)
{
	*bytes = call->body_len;
	*us = call->last_us - call->first_us;
}
