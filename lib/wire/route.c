#include "wire/engine.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"

void route_refuse(struct call *call, int status, enum err_code code,
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

void route_refuse_err(struct call *call, int status, const struct err *err)
{
	call->refused = mem_dup(err, sizeof(*err));
	call->status = status;
}

/* The verbs of its route, of which OPTIONS is always one. */
static void say_allowed(struct call *call)
{
	const struct route *r = call->route;
	bool none = !r->method && !r->plain;
	bool get = none, post = none || r->method;

	for (const struct plain *p = r->plain; p; p = p->next)
		*(strcmp(p->verb, "GET") ? &post : &get) = true;
	buf_putf(&call->more, "allow: %sOPTIONS%s\r\n",
		 get ? "GET, HEAD, " : "", post ? ", POST" : "");
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
		say_allowed(call);
		route_refuse(call, 405, ERR_UNIMPLEMENTED,
			     "not with this verb");
	} else if (!strcmp(verb, "POST")) {
		const struct dialect *d = dialect_classify(type ? type : "");

		if (!d || d->kind != DIALECT_UNARY || !d->json)
			route_refuse(call, 415, ERR_INVALID_ARGUMENT,
				     "only application/json is understood");
	}
	if (!call->refused && call->plain->method) {
		call->route = call->plain->method;
		call->plain = NULL;
		call->dialect = &dialect_old;
		coding_read(call);
	}
}

/* What the dialect's headers ask for. */
static void rpc_headers(struct call *call)
{
	const struct dialect *d = call->dialect;
	struct http1 *in = &call->st->in;
	const char *version = http1_header(in, "connect-protocol-version");
	const char *id = http1_header(in, RPC_REQUEST_ID);
	struct err err;
	int64_t ms;

	if (version && strcmp(version, "1"))
		route_refuse(call, 0, ERR_INVALID_ARGUMENT,
			     "connect-protocol-version is not 1");
	else if (dialect_timeout(d, http1_header(in, dialect_timeout_name(d)),
				 &ms, &err))
		route_refuse_err(call, 0, &err);
	else if (id && once_header(call, id, &err))
		route_refuse_err(call, 0, &err);
	else if (ms != INT64_MAX)
		call->deadline_ms = clock_ms() + ms;
	call->forwarded = http1_header(in, RPC_FORWARDED) != NULL;
	if (!call->refused)
		coding_read(call);
}

static void rpc_request(struct call *call, const char *path)
{
	const struct http1 *in = &call->st->in;
	const char *type = http1_header(in, "content-type");
	const struct route *r = call->route;

	call->dialect = dialect_classify(type ? type : "");
	if (call->dialect && call->dialect->kind == DIALECT_GRPC &&
	    !call->st->id)
		call->dialect = NULL; /* its trailers need HTTP/2 */
	if (!call->dialect)
		route_refuse(call, 415, ERR_INVALID_ARGUMENT,
			     "content type %.100s is not understood",
			     type ? type : "(none)");
	else if (!r->fn)
		/* the name: a port that is another program's is soon typed */
		route_refuse(call, 0, ERR_UNIMPLEMENTED,
			     "%s has no method %.200s",
			     program_invocation_short_name, path);
	else if (!dialect_serves(call->dialect, r->method->kind)) {
		call->dialect = NULL;
		route_refuse(call, 415, ERR_INVALID_ARGUMENT,
			     "%.200s is not called by %.100s", path, type);
	} else {
		call->text_in = call->dialect->text;
		call->dialect = dialect_answer(call->dialect,
					       http1_header(in, "accept"));
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
		route_refuse_err(call, 0, &err);
}

static void find(struct stream *st, struct call *call)
{
	const char *verb = http1_method(&st->in), *path = http1_path(&st->in);
	struct route *r;

	HASH_FIND_STR(st->s->routes, path, r);
	if (r)
		call->route = r;
	if (!strcmp(verb, "OPTIONS")) {
		say_allowed(call);
		route_refuse(call, 204, ERR_OK, "%s", "");
	} else if (r && r->plain) {
		plain_request(call, verb);
	} else if (!strcmp(verb, "POST")) {
		rpc_request(call, path);
	} else if (r) {
		say_allowed(call);
		route_refuse(call, 405, ERR_UNIMPLEMENTED, "call it by POST");
	} else {
		route_refuse(call, 404, ERR_NOT_FOUND, "nothing at %.200s",
			     path);
	}
}

void route_find(struct stream *st)
{
	struct call *call = st->call;

	origin_check(st);
	if (!call->refused)
		find(st, call);
	if (!call->refused)
		guard(st, call);
}
