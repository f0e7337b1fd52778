#include "wire/dialect.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "wire/json.h"
#include "wire/utf8.h"

enum {
	FRAME_HEAD = 5, /* flags, then the length, big-endian */
	FLAG_COMPRESSED = 0x01,
	FLAG_CONNECT_END = 0x02,
	FLAG_TRAILERS = 0x80,
};

#define GRPC(type, json)                                \
	{                                               \
		(type), (type), DIALECT_GRPC, (json), 0 \
	}
#define WEB(type, json)                                \
	{                                              \
		(type), (type), DIALECT_WEB, (json), 0 \
	}
#define CONNECT(type, json)                                \
	{                                                  \
		(type), (type), DIALECT_CONNECT, (json), 0 \
	}

static const struct dialect dialects[] = {
	GRPC("application/grpc", false),
	GRPC("application/grpc+proto", false),
	GRPC("application/grpc+json", true),
	WEB("application/grpc-web+proto", false),
	WEB("application/grpc-web", false),
	WEB("application/grpc-web+json", true),
	{"application/json", "application/json", DIALECT_UNARY, true, 0},
	{"application/proto", "application/json", DIALECT_UNARY, false, 0},
	CONNECT("application/connect+json", true),
	CONNECT("application/connect+proto", false),
};

const struct dialect dialect_old = {
	.type = "application/json",
	.error_type = "application/json",
	.kind = DIALECT_UNARY,
	.json = true,
	.flags = JSON_SNAKE | JSON_DEFAULTS | JSON_NUMBERS,
};

const struct dialect *dialect_classify(const char *content_type)
{
	size_t len = strcspn(content_type, "; \t");
	const char *rest = content_type + len;

	rest += strspn(rest, " \t");
	if (*rest && *rest != ';')
		return NULL;
	for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++)
		if (!strncasecmp(dialects[i].type, content_type, len) &&
		    !dialects[i].type[len])
			return &dialects[i];
	return NULL;
}

bool dialect_serves(const struct dialect *d, enum rpc_kind kind)
{
	switch (d->kind) {
	case DIALECT_GRPC:
	case DIALECT_WEB:
		return true;
	case DIALECT_UNARY:
		return kind == RPC_UNARY;
	case DIALECT_CONNECT:
		return kind != RPC_UNARY;
	}
	return false;
}

static bool is_grpc(const struct dialect *d)
{
	return d->kind == DIALECT_GRPC || d->kind == DIALECT_WEB;
}

const char *dialect_timeout_name(const struct dialect *d)
{
	return is_grpc(d) ? "grpc-timeout" : "connect-timeout-ms";
}

/* value is of this many units, each so many ms, or so many to the ms. */
static const struct {
	char unit;
	int64_t ms, per_ms;
} units[] = {
	{'H', 3600000, 1}, {'M', 60000, 1}, {'S', 1000, 1},
	{'m', 1, 1},       {'u', 1, 1000},  {'n', 1, 1000000},
};

int dialect_timeout(const struct dialect *d, const char *value, int64_t *ms,
		    struct err *err)
{
	bool unit = is_grpc(d);
	size_t digits;

	*ms = INT64_MAX;
	if (!value)
		return 0;
	digits = strspn(value, "0123456789");
	if (!digits || digits > (unit ? 8 : 10) ||
	    strlen(value) != digits + unit)
		return err_set(err, ERR_INVALID_ARGUMENT, "bad %s",
			       dialect_timeout_name(d));
	*ms = strtoll(value, NULL, 10);
	if (!unit)
		return 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].unit != value[digits])
			continue;
		*ms = *ms * units[i].ms / units[i].per_ms;
		return 0;
	}
	return err_set(err, ERR_INVALID_ARGUMENT, "bad grpc-timeout");
}

static void put_be32(char *p, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(n >> (24 - 8 * i));
}

static uint32_t get_be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 |
	       (uint32_t)u[2] << 8 | u[3];
}

size_t dialect_frame_size(const char *p, size_t len)
{
	return len < FRAME_HEAD ? 0 : FRAME_HEAD + (size_t)get_be32(p + 1);
}

/* The body holds exactly one frame: leave its content in *p and *len. */
static int unframe(const char **p, size_t *len, struct err *err)
{
	unsigned char flags;
	uint32_t size;

	if (*len < FRAME_HEAD)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a body of %zu bytes holds no frame", *len);
	flags = (unsigned char)(*p)[0];
	size = get_be32(*p + 1);
	if (flags & FLAG_COMPRESSED)
		return err_set(err, ERR_UNIMPLEMENTED,
			       "compressed messages are not understood");
	if (flags)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "frame with flags 0x%02x instead of a message",
			       flags);
	if (*len - FRAME_HEAD != size)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a frame of %u bytes in a body of %zu", size,
			       *len);
	*p += FRAME_HEAD;
	*len = size;
	return 0;
}

int dialect_decode(const struct dialect *d,
		   const ProtobufCMessageDescriptor *type, const char *body,
		   size_t len, ProtobufCMessage **out, struct err *err)
{
	if (d->kind != DIALECT_UNARY && unframe(&body, &len, err))
		return (int)err->code;
	if (d->json)
		return json_parse(out, type, body, len, 0, err);
	return rpc_unpack(out, type, body, len, err);
}

static int add_binary(struct buf *out, const ProtobufCMessage *msg, size_t max,
		      struct err *err)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	char *to;

	if (len > max)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "answer of %zu bytes is above max-message (%zu)",
			       len, max);
	to = buf_room(out, len);
	protobuf_c_message_pack(msg, (uint8_t *)to);
	out->len += len;
	to[len] = '\0';
	return 0;
}

int dialect_frame(const struct dialect *d, struct buf *out,
		  const ProtobufCMessage *msg, size_t max, struct err *err)
{
	size_t start = out->len, head = d->kind == DIALECT_UNARY ? 0 : 5;
	int rc;

	buf_put(out, "\0\0\0\0\0", head);
	rc = d->json ? json_print(out, msg, d->flags, err)
		     : add_binary(out, msg, max, err);
	if (rc) {
		out->len = start;
		return rc;
	}
	if (head)
		put_be32(out->p + start + 1,
			 (uint32_t)(out->len - start - head));
	return 0;
}

/* A sentence as JSON text, quotes included; not UTF-8 becomes '?'. */
static void add_quoted(struct buf *out, const char *s)
{
	bool utf8 = utf8_ok(s, strlen(s));

	buf_putc(out, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == '"' || c == '\\')
			buf_putf(out, "\\u%04x", c);
		else
			buf_putc(out, c < 0x80 || utf8 ? (char)c : '?');
	}
	buf_putc(out, '"');
}

static void add_error(struct buf *out, const struct err *err)
{
	buf_putf(out, "{\"code\":\"%s\",\"message\":", err_name(err->code));
	add_quoted(out, err->msg);
	buf_putc(out, '}');
}

/* All but 0x20-0x7E and '%' itself as %XX (gRPC over HTTP2, "Responses"). */
static void add_percent(struct buf *out, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c > 0x7e || c == '%')
			buf_putf(out, "%%%02X", c);
		else
			buf_putc(out, (char)c);
	}
}

static void add_trailers(struct buf *out, const struct err *err)
{
	if (!err) {
		buf_puts(out, "grpc-status: 0\r\n");
		return;
	}
	buf_putf(out, "grpc-status: %d\r\ngrpc-message: ", err->code);
	add_percent(out, err->msg);
	buf_puts(out, "\r\n");
	if (err->retry_s) /* gRPC A6, "Pushback" */
		buf_putf(out, "grpc-retry-pushback-ms: %d\r\n",
			 err->retry_s * 1000);
}

void dialect_finish(const struct dialect *d, struct buf *out,
		    const struct err *err)
{
	size_t start = out->len;

	if (d->kind == DIALECT_UNARY) {
		if (err)
			add_error(out, err);
		return;
	}
	if (d->kind == DIALECT_GRPC) {
		add_trailers(out, err);
		return;
	}
	buf_put(out, "\0\0\0\0\0", FRAME_HEAD);
	if (d->kind == DIALECT_WEB) {
		out->p[start] = (char)FLAG_TRAILERS;
		add_trailers(out, err);
	} else {
		out->p[start] = FLAG_CONNECT_END;
		buf_puts(out, err ? "{\"error\":" : "{");
		if (err)
			add_error(out, err);
		buf_putc(out, '}');
	}
	put_be32(out->p + start + 1, (uint32_t)(out->len - start - FRAME_HEAD));
}

int dialect_status(const struct dialect *d, const struct err *err)
{
	return err && d->kind == DIALECT_UNARY ? err_http(err->code) : 200;
}
