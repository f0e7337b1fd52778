#include "wire/engine.h"

#include <string.h>
#include <strings.h>

/* Where a dialect says how messages are packed: those of the request, and
 * those that the client takes. */
static const struct names {
	const char *in, *accept;
} names[] = {
	[DIALECT_GRPC] = {"grpc-encoding", "grpc-accept-encoding"},
	[DIALECT_WEB] = {"grpc-encoding", "grpc-accept-encoding"},
	[DIALECT_UNARY] = {"content-encoding", "accept-encoding"},
	[DIALECT_CONNECT] = {"connect-content-encoding",
			     "connect-accept-encoding"},
};

/* "gzip;q=0" is a no. */
static bool is_no(const char *parameters, size_t len)
{
	const char *q = memmem(parameters, len, "q=", 2);
	size_t at = q ? (size_t)(q + 2 - parameters) : len;

	while (at < len && (parameters[at] == '0' || parameters[at] == '.'))
		at++;
	return q && (at == len || parameters[at] == ' ');
}

static bool accepts(const char *list)
{
	while (*list) {
		size_t len = strcspn(list, ","), name;

		list += strspn(list, " \t");
		len = strcspn(list, ",");
		name = strcspn(list, ",; \t");
		if (name == 4 && !strncasecmp(list, "gzip", name) &&
		    !is_no(list + name, len - name))
			return true;
		list += len + (list[len] == ',');
	}
	return false;
}

static void unknown(struct call *call, const struct names *n, const char *what)
{
	route_refuse(call, 0, ERR_UNIMPLEMENTED,
		     "%s %.40s is neither gzip nor identity", n->in, what);
	buf_putf(&call->more, "%s: gzip, identity\r\n", n->accept);
}

/* How the request's messages are packed. */
static void read_in(struct call *call, const struct names *n)
{
	const struct http1 *in = &call->st->in;
	const char *whole = http1_header(in, "content-encoding");
	const char *each = http1_header(in, n->in);

	if (call->dialect->kind != DIALECT_UNARY && whole &&
	    strcasecmp(whole, "identity"))
		route_refuse(call, 0, ERR_UNIMPLEMENTED,
			     "content-encoding of a body of messages");
	else if (each && !strcasecmp(each, "gzip"))
		call->coding.in = true;
	else if (each && strcasecmp(each, "identity"))
		unknown(call, n, each);
}

void coding_read(struct call *call)
{
	const struct names *n = &names[call->dialect->kind];
	const char *accept = http1_header(&call->st->in, n->accept);

	call->coding.gzip = call->s->gzip;
	call->coding.max = request_limit(call, &call->coding.bound);
	read_in(call, n);
	if (!accept || call->route->method->channel == RPC_BULK ||
	    !accepts(accept))
		return;
	call->coding.out = true;
	if (call->dialect->kind != DIALECT_UNARY)
		buf_putf(&call->more, "%s: gzip\r\n", n->in);
}
