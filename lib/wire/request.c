#include "wire/engine.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
	FRAME_HEAD = 5,
	AHEAD = 16,          /* room for a body, by what has come of it */
	READ_MOST = 1 << 20, /* bytes read at once into a body */
};

size_t request_limit(const struct call *call, const char **name)
{
	const struct dialect *d = call->dialect;

	*name = d && !d->json ? "max-message" : "max-json";
	return d && !d->json ? call->s->max_message : ENGINE_JSON;
}

/* The same of the body that holds it. */
static size_t body_limit(const struct call *call, const char **name)
{
	bool bare = !call->dialect || call->dialect->kind == DIALECT_UNARY;

	return request_limit(call, name) + (bare ? 0 : FRAME_HEAD);
}

static void too_big(struct call *call)
{
	const char *name;
	size_t limit = body_limit(call, &name);

	route_refuse(call, 413, ERR_RESOURCE_EXHAUSTED,
		     "body is above %s (%zu bytes)", name, limit);
}

/* Are its messages taken as they come? */
static bool streams_in(const struct call *call)
{
	const struct rpc_method *m = call->route->method;

	return call->dialect && m &&
	       (m->kind == RPC_CLIENT_STREAM || m->kind == RPC_BIDI);
}

static void check_length(struct stream *st, struct call *call)
{
	const char *name;

	st->body.max = streams_in(call) ? 0 : body_limit(call, &name);
	if (st->body.max && st->in.content_length / (call->text_in ? 2 : 1) >
				    (int64_t)st->body.max)
		too_big(call);
}

/* The client waits for a word before it sends the body. */
static void expectation(struct stream *st, struct call *call)
{
	const char *expect = http1_header(&st->in, "expect");

	if (!expect || st->is_1_0)
		return;
	if (strcasecmp(expect, "100-continue")) {
		route_refuse(call, 417, ERR_UNIMPLEMENTED,
			     "unknown expectation");
		return;
	}
	if (!st->has_body || st->id)
		return;
	buf_puts(&st->out, "HTTP/1.1 100 Continue\r\n\r\n");
	stream_flush(st);
}

void request_forget(struct stream *st)
{
	st->s->receiving -= st->body.len;
	conn_spare(&st->s->spare_body, &st->body);
}

/* Answer a refused request before its body has arrived; the connection cannot
 * be kept then. */
static void refuse_now(struct stream *st)
{
	st->busy = true;
	st->keep = false;
	request_forget(st);
	call_refuse(st->call);
}

/* A refused request's body is read and forgotten, when it is known to be small
 * and the client does not wait for our word: so the connection can be kept, and
 * libcurl 7.88 gets the answer that would else be lost upon HTTP/2. */
static bool worth_reading(const struct stream *st)
{
	return !st->has_body ||
	       (!http1_header(&st->in, "expect") && !st->in.chunked &&
		st->in.content_length <= ENGINE_DISCARD &&
		(!st->id || st->in.content_length > 0));
}

void request_head(struct stream *st)
{
	struct call *call = call_new(st);

	st->call = call;
	st->keep = st->in.keep_alive && !st->s->closing;
	st->is_1_0 = st->in.is_1_0;
	if (!st->id)
		st->has_body = st->in.chunked || st->in.content_length > 0;
	st->headless = !strcmp(http1_method(&st->in), "HEAD");
	route_find(st);
	if (!call->refused)
		check_length(st, call);
	if (!call->refused)
		expectation(st, call);
	if (!call->refused && streams_in(call))
		intake_open(st);
	else if (call->refused && !worth_reading(st))
		refuse_now(st);
}

/* Note when the body's first and last bytes came. */
static void arrived(struct call *call, size_t len)
{
	call->last_us = clock_us();
	if (!call->body_len)
		call->first_us = call->last_us;
	call->body_len += len;
}

int request_too_many(const struct server *s, struct err *err)
{
	if (s->receiving / ENGINE_BODIES <= s->max_message + ENGINE_JSON)
		return 0;
	return err_full(err,
			"all bodies being received are above max-message %d "
			"times",
			ENGINE_BODIES);
}

static void receiving(struct call *call, size_t len)
{
	struct err err;

	call->s->receiving += len;
	if (request_too_many(call->s, &err))
		route_refuse_err(call, 413, &err);
}

static void take_body(struct stream *st, const char *p, size_t len)
{
	struct call *call = st->call;
	struct buf *b = &st->body;

	if (st->open) {
		intake_bytes(st, p, len);
		return;
	}
	if (!b->p) {
		size_t max = b->max;

		*b = st->s->spare_body;
		b->max = max;
		st->s->spare_body = (struct buf){0};
	}
	if (buf_add(b, p, len, NULL))
		too_big(call);
	else
		receiving(call, len);
	if (call->refused)
		refuse_now(st);
}

static void not_text(struct stream *st)
{
	struct err err;

	err_set(&err, ERR_INVALID_ARGUMENT, "the body is not base64");
	if (st->open) {
		call_give_up(st->call, &err);
		return;
	}
	route_refuse_err(st->call, 0, &err);
	refuse_now(st);
}

static void take_text(struct stream *st, const char *p, size_t len)
{
	char *bytes = mem_zero((len + 3) / 4 * 3 + 1, 1);
	size_t n;

	if (!base64_feed(&st->call->text, bytes, &n, p, len))
		not_text(st);
	else if (n)
		take_body(st, bytes, n);
	free(bytes);
}

void request_body(struct stream *st, const char *p, size_t len)
{
	struct call *call = st->call;

	arrived(call, len);
	if (call->refused)
		return;
	if (call->text_in)
		take_text(st, p, len);
	else
		take_body(st, p, len);
}

/* Room for many times what has come: the more is announced, the less often it
 * is moved, and what nobody sends is never touched. */
char *request_room(struct stream *st, size_t *len)
{
	bool fits = st->call && !st->busy && !st->open && !st->call->text_in;
	uint64_t left = fits ? http1_plain_left(&st->in) : 0;
	struct buf *b = &st->body;
	size_t want;
	char *p;

	if (left < ENGINE_READ || st->call->refused || st->conn->lingering)
		return NULL;
	want = b->len > ENGINE_READ / AHEAD ? AHEAD * b->len : ENGINE_READ;
	want = want < left ? want : (size_t)left;
	p = buf_room(b, want);
	if (p)
		*len = want < READ_MOST ? want : READ_MOST;
	return p;
}

void request_arrived(struct stream *st, size_t len)
{
	arrived(st->call, len);
	st->body.len += len;
	st->body.p[st->body.len] = '\0';
	http1_skip(&st->in, len);
	receiving(st->call, len);
	if (st->call->refused)
		refuse_now(st);
}

static void plain_call(struct stream *st, struct call *call)
{
	call->plain->fn(call, http1_query(&st->in),
			st->body.p ? st->body.p : "", st->body.len,
			call->plain->arg);
	if (st->call == call) {
		route_refuse(call, 500, ERR_INTERNAL, "no answer");
		call_refuse(call);
	}
}

static void rpc_call(struct stream *st, struct call *call)
{
	const struct route *r = call->route;
	struct server *s = call->s;
	ProtobufCMessage *before = s->handled;
	bool post = !strcmp(http1_method(&st->in), "POST");
	const char *body = post ? st->body.p : "{}";
	ProtobufCMessage *in;
	struct err err;

	if (dialect_decode(call->dialect, &call->coding, r->method->in, body,
			   post ? st->body.len : strlen(body), &in, &err)) {
		call_fail(call, &err);
		return;
	}
	request_forget(st);
	s->handled = in;
	if (!call->once || !once_known(call, in))
		r->fn(call, in, r->arg);
	rpc_free(s->handled);
	s->handled = before;
	if (st->call == call)
		call_hold(call);
}

static void serve(struct stream *st, struct call *call)
{
	st->busy = true;
	if (call->refused)
		call_refuse(call);
	else if (call->plain)
		plain_call(st, call);
	else
		rpc_call(st, call);
}

void request_end(struct stream *st)
{
	struct call *call = st->call;

	if (call->text.n && !call->refused) {
		not_text(st);
	} else if (st->open) {
		intake_end(st);
	} else {
		serve(st, call);
		request_forget(st);
	}
	http1_reset(&st->in);
	if (st->id || st->call) /* held: for long, by many */
		http1_release(&st->in);
}

/* The bytes cannot be trusted, or do not come. */
void request_bad(struct stream *st, int status, const char *reason)
{
	struct err err;

	st->keep = false;
	if (st->open) {
		err_set(&err, ERR_INVALID_ARGUMENT, "%s", reason);
		call_give_up(st->call, &err);
		return;
	}
	st->headless = false;
	if (!st->call)
		st->call = call_new(st);
	st->call->dialect = NULL;
	st->busy = true;
	request_forget(st);
	free(st->call->refused);
	route_refuse(st->call, status, ERR_INVALID_ARGUMENT, "%s", reason);
	call_refuse(st->call);
}
