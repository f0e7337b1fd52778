#include "wire/engine.h"

#include <string.h>
#include <strings.h>

/* What the clients of gRPC-web and Connect send and read from a page. */
#define REQUEST_HEADERS                                                   \
	"content-type, x-grpc-web, x-user-agent, grpc-timeout, "          \
	"grpc-encoding, grpc-accept-encoding, connect-protocol-version, " \
	"connect-timeout-ms, connect-content-encoding, "                  \
	"connect-accept-encoding, " RPC_FORWARDED ", " RPC_REQUEST_ID
#define ANSWER_HEADERS                                                        \
	"grpc-status, grpc-message, grpc-status-details-bin, grpc-encoding, " \
	"grpc-accept-encoding, connect-content-encoding, "                    \
	"connect-accept-encoding, retry-after"

int origin_open(struct server *s, const struct opt_list *cors, struct err *err)
{
	for (size_t i = 0; cors && i < cors->n; i++) {
		const char *host = strstr(cors->at[i], "://");

		if (!host || host == cors->at[i] || !host[3] ||
		    strpbrk(host + 3, "/?#@* \t"))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s is no origin: http://HOST[:PORT]",
				       cors->at[i]);
	}
	s->cors = cors;
	return 0;
}

static bool is_allowed(const struct server *s, const char *origin)
{
	for (size_t i = 0; s->cors && i < s->cors->n; i++)
		if (!strcasecmp(s->cors->at[i], origin))
			return true;
	return false;
}

/* A page of an origin that we were told of may read our answers. */
static void allow(struct call *call, const char *origin)
{
	const struct http1 *in = &call->st->in;
	bool asks = !strcmp(http1_method(in), "OPTIONS") &&
		    http1_header(in, "access-control-request-method");

	buf_putf(&call->more,
		 "access-control-allow-origin: %s\r\nvary: origin\r\n", origin);
	if (asks)
		buf_puts(&call->more,
			 "access-control-allow-methods: GET, POST\r\n"
			 "access-control-allow-headers: " REQUEST_HEADERS "\r\n"
			 "access-control-max-age: 7200\r\n");
	else
		buf_puts(&call->more,
			 "access-control-expose-headers: " ANSWER_HEADERS
			 "\r\n");
}

/* A web page could drive a daemon on loopback, by its own name for 127.0.0.1
 * or by a cross-origin request: neither is answered. */
void origin_check(struct stream *st)
{
	const char *origin = http1_header(&st->in, "origin");
	const char *host = http1_header(&st->in, "host");

	if (!host || !listen_is_us(st->s, host))
		route_refuse(st->call, 403, ERR_PERMISSION_DENIED,
			     "Host %.100s is not this server",
			     host ? host : "");
	else if (origin && !is_allowed(st->s, origin))
		route_refuse(st->call, 403, ERR_PERMISSION_DENIED,
			     "web pages of this Origin are not served");
	else if (origin)
		allow(st->call, origin);
}
