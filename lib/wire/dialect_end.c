/* How a call ends: well, or with an error. */
#include "wire/dialect.h"

#include <string.h>

#include "wire/details.h"
#include "wire/frames.h"
#include "wire/utf8.h"

enum { FLAG_CONNECT_END = 0x02, FLAG_TRAILERS = 0x80 };

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
	if (details_any(err)) {
		buf_puts(out, ",\"details\":");
		details_put_json(out, err);
	}
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
	if (!details_any(err))
		return;
	buf_puts(out, "grpc-status-details-bin: ");
	details_put_status(out, err);
	buf_puts(out, "\r\n");
}

static void add_end(struct buf *out, const struct err *err)
{
	buf_puts(out, err ? "{\"error\":" : "{");
	if (err)
		add_error(out, err);
	buf_putc(out, '}');
}

void dialect_finish(const struct dialect *d, struct buf *out,
		    const struct err *err)
{
	size_t start = out->len;

	switch (d->kind) {
	case DIALECT_UNARY:
		if (err)
			add_error(out, err);
		break;
	case DIALECT_GRPC:
		add_trailers(out, err);
		break;
	case DIALECT_WEB:
		dialect_frame_begin(out);
		add_trailers(out, err);
		dialect_frame_end(d, out, start, FLAG_TRAILERS);
		break;
	case DIALECT_CONNECT:
		dialect_frame_begin(out);
		add_end(out, err);
		dialect_frame_end(d, out, start, FLAG_CONNECT_END);
		break;
	}
}

int dialect_status(const struct dialect *d, const struct err *err)
{
	return err && d->kind == DIALECT_UNARY ? err_http(err->code) : 200;
}
