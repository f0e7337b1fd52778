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
static bool foreign(struct conn *c, struct call *call)
{
	const char *host = http1_header(&c->in, "host");

	if (http1_header(&c->in, "origin")) {
		refuse(call, 403, ERR_PERMISSION_DENIED,
		       "requests from web pages (Origin) are not served");
		return true;
	}
	if (!host || !listen_is_us(c->s, host)) {
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
	struct http1 *in = &call->conn->in;
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
	struct http1 *in = &call->conn->in;
	const char *version = http1_header(in, "connect-protocol-version");
	const char *coding = http1_header(in, "content-encoding");
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
	else if (ms != INT64_MAX)
		call->deadline_ms = clock_ms() + ms;
	call->forwarded = http1_header(in, RPC_FORWARDED) != NULL;
}

static void rpc_request(struct call *call, const char *path)
{
	const char *type = http1_header(&call->conn->in, "content-type");
	const struct route *r = call->route;

	call->dialect = dialect_classify(type ? type : "");
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

static void route(struct conn *c, struct call *call)
{
	const char *verb = http1_method(&c->in), *path = http1_path(&c->in);
	struct route *r;

	HASH_FIND_STR(c->s->routes, path, r);
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

/* Most bytes that the body may have; the name of the bound with it. */
static size_t body_limit(const struct call *call, const char **name)
{
	const struct dialect *d = call->dialect;

	*name = d && !d->json ? "max-message" : "max-json";
	return (d && !d->json ? call->s->max_message : MAX_JSON) +
	       (d && d->kind != DIALECT_UNARY ? FRAME_HEAD : 0);
}

static void too_big(struct call *call)
{
	const char *name;
	size_t limit = body_limit(call, &name);

	refuse(call, 413, ERR_RESOURCE_EXHAUSTED,
	       "body is above %s (%zu bytes)", name, limit);
}

static void check_length(struct conn *c, struct call *call)
{
	const char *name;

	c->body.max = body_limit(call, &name);
	if (c->in.content_length > (int64_t)c->body.max)
		too_big(call);
}

static bool body_follows(const struct conn *c)
{
	return c->in.chunked || c->in.content_length > 0;
}

/* The client waits for a word before it sends the body. */
static void expectation(struct conn *c, struct call *call)
{
	const char *expect = http1_header(&c->in, "expect");

	if (!expect || c->is_1_0)
		return;
	if (strcasecmp(expect, "100-continue")) {
		refuse(call, 417, ERR_UNIMPLEMENTED, "unknown expectation");
		return;
	}
	if (!body_follows(c))
		return;
	buf_puts(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
	conn_flush(c);
}

void request_forget(struct conn *c)
{
	c->s->receiving -= c->body.len;
	conn_spare(&c->s->spare_body, &c->body);
}

/* Answer a refused request before its body has arrived; the connection cannot
 * be kept then. */
static void refuse_now(struct conn *c)
{
	c->busy = true;
	c->keep = false;
	request_forget(c);
	call_refuse(c->call);
}

/* A refused request's body is read and forgotten, when it is small and the
 * client does not wait for our word, so that the connection can be kept. */
static bool worth_reading(const struct conn *c)
{
	return !body_follows(c) ||
	       (!http1_header(&c->in, "expect") && !c->in.chunked &&
		c->in.content_length <= ENGINE_DISCARD);
}

void request_head(struct conn *c)
{
	struct call *call = call_new(c);

	c->call = call;
	c->keep = c->in.keep_alive && !c->s->closing;
	c->is_1_0 = c->in.is_1_0;
	c->headless = !strcmp(http1_method(&c->in), "HEAD");
	if (!foreign(c, call))
		route(c, call);
	if (!call->refused)
		check_length(c, call);
	if (!call->refused)
		expectation(c, call);
	if (call->refused && !worth_reading(c))
		refuse_now(c);
}

/* Note when the body's first and last bytes came. */
static void arrived(struct call *call, size_t len)
{
	call->last_us = clock_us();
	if (!call->body_len)
		call->first_us = call->last_us;
	call->body_len += len;
}

/* Many clients together may not take our memory either. */
static void receiving(struct call *call, size_t len)
{
	struct server *s = call->s;

	s->receiving += len;
	if (s->receiving / ENGINE_BODIES > s->max_message + MAX_JSON)
		refuse(call, 413, ERR_RESOURCE_EXHAUSTED,
		       "all bodies being received are above max-message %d "
		       "times",
		       ENGINE_BODIES);
}

void request_body(struct conn *c, const char *p, size_t len)
{
	struct call *call = c->call;
	struct buf *b = &c->body;

	arrived(call, len);
	if (call->refused)
		return;
	if (!b->p) {
		size_t max = b->max;

		*b = c->s->spare_body;
		b->max = max;
		c->s->spare_body = (struct buf){0};
	}
	if (buf_add(b, p, len, NULL))
		too_big(call);
	else
		receiving(call, len);
	if (call->refused)
		refuse_now(c);
}

char *request_room(struct conn *c, size_t *len)
{
	uint64_t left = c->call && !c->busy ? http1_plain_left(&c->in) : 0;
	struct buf *b = &c->body;
	size_t want;
	char *p;

	if (left < ENGINE_READ || c->call->refused || c->lingering)
		return NULL;
	want = b->len > ENGINE_READ ? b->len : ENGINE_READ;
	want = want < left ? want : (size_t)left;
	p = buf_room(b, want);
	*len = p ? want : *len;
	return p;
}

void request_arrived(struct conn *c, size_t len)
{
	arrived(c->call, len);
	c->body.len += len;
	c->body.p[c->body.len] = '\0';
	http1_skip(&c->in, len);
	receiving(c->call, len);
	if (c->call->refused)
		refuse_now(c);
}

static void plain_call(struct conn *c, struct call *call)
{
	call->plain->fn(call, http1_query(&c->in), c->body.p ? c->body.p : "",
			c->body.len, call->plain->arg);
	if (c->call == call) {
		refuse(call, 500, ERR_INTERNAL, "no answer");
		call_refuse(call);
	}
}

static void rpc_call(struct conn *c, struct call *call)
{
	const struct route *r = call->route;
	bool post = !strcmp(http1_method(&c->in), "POST");
	const char *body = post ? c->body.p : "{}";
	ProtobufCMessage *in;
	struct err err;

	if (dialect_decode(call->dialect, r->method->in, body,
			   post ? c->body.len : strlen(body), &in, &err)) {
		call_fail(call, &err);
		return;
	}
	request_forget(c);
	r->fn(call, in, r->arg);
	rpc_free(in);
	if (c->call == call)
		call_hold(call);
}

void request_end(struct conn *c)
{
	struct call *call = c->call;

	c->busy = true;
	if (call->refused)
		call_refuse(call);
	else if (call->plain)
		plain_call(c, call);
	else
		rpc_call(c, call);
	request_forget(c);
	http1_reset(&c->in);
}

/* The connection's bytes cannot be trusted, or do not come. */
void request_bad(struct conn *c, int status, const char *reason)
{
	c->keep = false;
	c->headless = false;
	if (!c->call)
		c->call = call_new(c);
	c->call->dialect = NULL;
	c->busy = true;
	request_forget(c);
	free(c->call->refused);
	refuse(c->call, status, ERR_INVALID_ARGUMENT, "%s", reason);
	call_refuse(c->call);
}
