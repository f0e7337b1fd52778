#include "wire/engine.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"

enum { MAX_JSON = 4 << 20, FRAME_HEAD = 5 };

/* The request will be answered with this; status is for plain HTTP and for
 * what no dialect can say. */
static void refuse(struct call *call, int status, enum err_code code,
		   const char *fmt, ...) PRINTF(4, 5);

static void refuse(struct call *call, int status, enum err_code code,
		   const char *fmt, ...)
{
	va_list ap;

	call->refused = mem_zero(1, sizeof(*call->refused));
	call->refused->code = code;
	call->status = status;
	va_start(ap, fmt);
	vsnprintf(call->refused->msg, sizeof(call->refused->msg), fmt, ap);
	va_end(ap);
}

/* A web page could drive a daemon on loopback, by its own name for 127.0.0.1
 * or by a cross-origin request: neither is answered. */
static bool foreign(struct stream *st, struct call *call)
{
	const char *host = http1_header(&st->in, "host");

	if (http1_header(&st->in, "origin")) {
		refuse(call, 403, ERR_PERMISSION_DENIED,
		       "requests from web pages (Origin) are not served");
		return true;
	}
	if (!host || !listen_is_us(st->s, host)) {
		refuse(call, 403, ERR_PERMISSION_DENIED,
		       "Host %.100s is not this server", host ? host : "");
		return true;
	}
	return false;
}

static const char *allowed(const struct route *r)
{
	bool get = false, post = r->method != NULL;

	for (const struct plain *p = r->plain; p; p = p->next)
		*(strcmp(p->verb, "GET") ? &post : &get) = true;
	return !get   ? "OPTIONS, POST"
	       : post ? "GET, HEAD, OPTIONS, POST"
		      : "GET, HEAD, OPTIONS";
}

static const struct plain *find_plain(const struct route *r, const char *verb)
{
	for (const struct plain *p = r->plain; p; p = p->next)
		if (!strcmp(p->verb, verb))
			return p;
	return NULL;
}

/* Plain HTTP under this path, if the verb is one of its. */
static void plain_request(struct call *call, const char *verb)
{
	struct http1 *in = &call->st->in;
	const char *type = http1_header(in, "content-type");

	call->plain =
		find_plain(call->route, strcmp(verb, "HEAD") ? verb : "GET");
	if (!call->plain) {
		call->allow = allowed(call->route);
		refuse(call, 405, ERR_UNIMPLEMENTED, "not with this verb");
	} else if (!strcmp(verb, "POST")) {
		const struct dialect *d = dialect_classify(type ? type : "");

		if (!d || d->kind != DIALECT_UNARY || !d->json)
			refuse(call, 415, ERR_INVALID_ARGUMENT,
			       "only application/json is understood");
	}
	if (!call->refused && call->plain->method) {
		call->route = call->plain->method;
		call->plain = NULL;
		call->dialect = &dialect_old;
	}
}

/* What the dialect's headers ask for. */
static void rpc_headers(struct call *call)
{
	const struct dialect *d = call->dialect;
	struct http1 *in = &call->st->in;
	const char *version = http1_header(in, "connect-protocol-version");
	const char *coding = http1_header(in, "content-encoding");
	const char *id = http1_header(in, RPC_REQUEST_ID);
	struct err err;
	int64_t ms;

	if (version && strcmp(version, "1"))
		refuse(call, 0, ERR_INVALID_ARGUMENT,
		       "connect-protocol-version is not 1");
	else if (coding && strcasecmp(coding, "identity"))
		refuse(call, 0, ERR_UNIMPLEMENTED,
		       "content-encoding is not identity");
	else if (dialect_timeout(d, http1_header(in, dialect_timeout_name(d)),
				 &ms, &err))
		refuse(call, 0, err.code, "%s", err.msg);
	else if (id && once_header(call, id, &err))
		refuse(call, 0, err.code, "%s", err.msg);
	else if (ms != INT64_MAX)
		call->deadline_ms = clock_ms() + ms;
	call->forwarded = http1_header(in, RPC_FORWARDED) != NULL;
}

static void rpc_request(struct call *call, const char *path)
{
	const char *type = http1_header(&call->st->in, "content-type");
	const struct route *r = call->route;

	call->dialect = dialect_classify(type ? type : "");
	if (call->dialect && call->dialect->kind == DIALECT_GRPC &&
	    !call->st->id)
		call->dialect = NULL; /* its trailers need HTTP/2 */
	if (!call->dialect)
		refuse(call, 415, ERR_INVALID_ARGUMENT,
		       "content type %.100s is not understood",
		       type ? type : "(none)");
	else if (!r->fn)
		refuse(call, 0, ERR_UNIMPLEMENTED, "no method %.200s", path);
	else if (!dialect_serves(call->dialect, r->method->kind)) {
		call->dialect = NULL;
		refuse(call, 415, ERR_INVALID_ARGUMENT,
		       "%.200s is not called by %.100s", path, type);
	} else {
		rpc_headers(call);
	}
}

/* Members alone change things; checked before the body is read. */
static void guard(struct stream *st, struct call *call)
{
	const struct route *r = call->route;
	struct err err;

	if (call->plain || !r->method || r->method->guard == RPC_OPEN)
		return;
	if (peer_check(&st->conn->peer, st->s->trust_all, r->path, &err))
		refuse(call, 0, err.code, "%s", err.msg);
}

static void route(struct stream *st, struct call *call)
{
	const char *verb = http1_method(&st->in), *path = http1_path(&st->in);
	struct route *r;

	HASH_FIND_STR(st->s->routes, path, r);
	if (r)
		call->route = r;
	if (!strcmp(verb, "OPTIONS")) {
		call->allow = r ? allowed(r) : "GET, HEAD, OPTIONS, POST";
		refuse(call, 204, ERR_OK, "%s", "");
	} else if (r && r->plain) {
		plain_request(call, verb);
	} else if (!strcmp(verb, "POST")) {
		rpc_request(call, path);
	} else if (r) {
		call->allow = allowed(r);
		refuse(call, 405, ERR_UNIMPLEMENTED, "call it by POST");
	} else {
		refuse(call, 404, ERR_NOT_FOUND, "nothing at %.200s", path);
	}
}

size_t request_limit(const struct call *call, const char **name)
{
	const struct dialect *d = call->dialect;

	*name = d && !d->json ? "max-message" : "max-json";
	return (d && !d->json ? call->s->max_message : MAX_JSON) +
	       (d && d->kind != DIALECT_UNARY ? FRAME_HEAD : 0);
}

static void too_big(struct call *call)
{
	const char *name;
	size_t limit = request_limit(call, &name);

	refuse(call, 413, ERR_RESOURCE_EXHAUSTED,
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

	if (streams_in(call))
		return;
	st->body.max = request_limit(call, &name);
	if (st->in.content_length > (int64_t)st->body.max)
		too_big(call);
}

/* The client waits for a word before it sends the body. */
static void expectation(struct stream *st, struct call *call)
{
	const char *expect = http1_header(&st->in, "expect");

	if (!expect || st->is_1_0)
		return;
	if (strcasecmp(expect, "100-continue")) {
		refuse(call, 417, ERR_UNIMPLEMENTED, "unknown expectation");
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
	if (!foreign(st, call))
		route(st, call);
	if (!call->refused)
		guard(st, call);
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
	if (s->receiving / ENGINE_BODIES <= s->max_message + MAX_JSON)
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
	if (!request_too_many(call->s, &err))
		return;
	refuse(call, 413, err.code, "%s", err.msg);
	call->refused->retry_s = err.retry_s;
}

void request_body(struct stream *st, const char *p, size_t len)
{
	struct call *call = st->call;
	struct buf *b = &st->body;

	arrived(call, len);
	if (call->refused)
		return;
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

char *request_room(struct stream *st, size_t *len)
{
	bool fits = st->call && !st->busy && !st->open;
	uint64_t left = fits ? http1_plain_left(&st->in) : 0;
	struct buf *b = &st->body;
	size_t want;
	char *p;

	if (left < ENGINE_READ || st->call->refused || st->conn->lingering)
		return NULL;
	want = b->len > ENGINE_READ ? b->len : ENGINE_READ;
	want = want < left ? want : (size_t)left;
	p = buf_room(b, want);
	*len = p ? want : *len;
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
		refuse(call, 500, ERR_INTERNAL, "no answer");
		call_refuse(call);
	}
}

static void rpc_call(struct stream *st, struct call *call)
{
	const struct route *r = call->route;
	bool post = !strcmp(http1_method(&st->in), "POST");
	const char *body = post ? st->body.p : "{}";
	ProtobufCMessage *in;
	struct err err;

	if (dialect_decode(call->dialect, r->method->in, body,
			   post ? st->body.len : strlen(body), &in, &err)) {
		call_fail(call, &err);
		return;
	}
	request_forget(st);
	if (!call->once || !once_known(call, in))
		r->fn(call, in, r->arg);
	rpc_free(in);
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

	if (st->open) {
		intake_end(st);
	} else {
		serve(st, call);
		request_forget(st);
	}
	http1_reset(&st->in);
	if (st->id)
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
	refuse(st->call, status, ERR_INVALID_ARGUMENT, "%s", reason);
	call_refuse(st->call);
}
