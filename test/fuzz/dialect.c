/* Requests and answers in every dialect: byte 0 says which, byte 1 the type of
 * message; the rest is a body, a timeout, and what an error says. */
#include "types.h"

#include "base/base64.h"
#include "wire/details.h"
#include "wire/dialect.h"
#include "wire/frames.h"

static const char *const content_types[] = {
	"application/grpc-web+proto",
	"application/grpc-web+json",
	"application/json",
	"application/proto",
	"application/connect+json",
	"application/connect+proto",
	"APPLICATION/JSON; charset=x",
	"application/grpc-web-text",
	"application/grpc",
};

enum { TYPES = sizeof(content_types) / sizeof(content_types[0]) };

/* The body of a request as text, which may come in any pieces. */
static void unpack_text(struct buf *bytes, const char *s, size_t len)
{
	struct base64_feed f = {.n = 0};
	size_t n;

	for (size_t at = 0, piece = 1; at < len; at += piece++) {
		if (piece > len - at)
			piece = len - at;
		(void)!buf_room(bytes, (piece + 3) / 4 * 3);
		if (!base64_feed(&f, bytes->p + bytes->len, &n, s + at, piece))
			return;
		bytes->len += n;
	}
}

static struct gzip *packer(void)
{
	static struct gzip *z;

	return z ? z : (z = gzip_new());
}

static void check_body(const struct dialect *d,
		       const ProtobufCMessageDescriptor *type, const char *body,
		       size_t len)
{
	ProtobufCMessage *msg, *back;
	struct buf framed = BUF_INIT(0), again = BUF_INIT(0);
	struct coding c = {packer(), true, d->kind != DIALECT_UNARY, 1 << 20,
			   "a bound"};
	struct err err;

	if (dialect_decode(d, d->kind == DIALECT_UNARY ? NULL : &c, type, body,
			   len, &msg, &err))
		return;
	c.in = d->kind != DIALECT_UNARY;
	FUZZ_CHECK(!dialect_frame(d, &c, &framed, msg, 1 << 20, &err));
	if (d->text)
		unpack_text(&again, framed.p, framed.len);
	else
		buf_put(&again, framed.p, framed.len);
	FUZZ_CHECK(
		!dialect_decode(d, &c, type, again.p, again.len, &back, &err));
	buf_reset(&again);
	FUZZ_CHECK(!dialect_frame(d, &c, &again, back, 1 << 20, &err));
	FUZZ_CHECK(framed.len == again.len);
	FUZZ_CHECK(!framed.len || !memcmp(framed.p, again.p, framed.len));
	rpc_free(msg);
	rpc_free(back);
	buf_release(&framed);
	buf_release(&again);
}

static void check_request(const struct dialect *d, uint8_t type, const char *p,
			  size_t len)
{
	struct buf bytes = BUF_INIT(0);

	if (d->text) {
		unpack_text(&bytes, p, len);
		p = bytes.p;
		len = bytes.len;
	}
	check_body(d, fuzz_type(type), p, len);
	buf_release(&bytes);
}

/* What the server ends a call with is what our client understands. */
static void check_end(const struct dialect *d, const char *text, unsigned code)
{
	struct err err = {0}, got = {0};
	struct buf end = BUF_INIT(0);
	struct frames a = {0};
	const uint8_t *p;
	size_t len;

	if (d->text || d->kind == DIALECT_GRPC)
		return;
	err_set(&err, (enum err_code)(1 + code % ERR_UNAUTHENTICATED), "%s",
		text);
	if (code & 1)
		err_hint(&err, "%s", text);
	err.retry_s = (int)(code & 6);
	dialect_finish(d, &end, &err);
	if (d->kind == DIALECT_WEB) {
		frames_add(&a, end.p, end.len);
		FUZZ_CHECK(frames_next(&a, &p, &len, &got) == FRAMES_END);
		FUZZ_CHECK(got.code == err.code);
		FUZZ_CHECK(got.retry_s == err.retry_s);
		frames_release(&a);
	} else {
		size_t head = d->kind == DIALECT_CONNECT ? 5 : 0;
		json_t *all = json_loadb(end.p + head, end.len - head, 0, NULL);

		FUZZ_CHECK(json_is_object(all));
		json_decref(all);
	}
	buf_release(&end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct dialect *d;
	int64_t ms;
	struct err err = {0};
	char *text;

	if (len < 2)
		return 0;
	d = dialect_classify(content_types[data[0] % TYPES]);
	check_request(d, data[1], (const char *)data + 2, len - 2);
	text = strndup((const char *)data + 2, len - 2);
	(void)!!dialect_classify(text);
	details_read(&err, text, strlen(text));
	if (!dialect_timeout(d, text, &ms, &err))
		FUZZ_CHECK(ms >= 0);
	check_end(d, text, data[1]);
	free(text);
	return 0;
}
