/* Requests and answers in every dialect: byte 0 says which, byte 1 the type of
 * message; the rest is a body, a timeout, and what an error says. */
#include "types.h"

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
};

static void check_body(const struct dialect *d,
		       const ProtobufCMessageDescriptor *type, const char *body,
		       size_t len)
{
	ProtobufCMessage *msg, *back;
	struct buf framed = BUF_INIT(0), again = BUF_INIT(0);
	struct err err;

	if (dialect_decode(d, NULL, type, body, len, &msg, &err))
		return;
	FUZZ_CHECK(!dialect_frame(d, NULL, &framed, msg, 1 << 20, &err));
	FUZZ_CHECK(!dialect_decode(d, NULL, type, framed.p, framed.len, &back, &err));
	FUZZ_CHECK(!dialect_frame(d, NULL, &again, back, 1 << 20, &err));
	FUZZ_CHECK(framed.len == again.len);
	FUZZ_CHECK(!framed.len || !memcmp(framed.p, again.p, framed.len));
	rpc_free(msg);
	rpc_free(back);
	buf_release(&framed);
	buf_release(&again);
}

/* What the server ends a call with is what our client understands. */
static void check_end(const struct dialect *d, const char *text, unsigned code)
{
	struct err err = {0}, got = {0};
	struct buf end = BUF_INIT(0);
	struct frames a = {0};
	const uint8_t *p;
	size_t len;

	err_set(&err, (enum err_code)(1 + code % ERR_UNAUTHENTICATED), "%s",
		text);
	dialect_finish(d, &end, &err);
	if (d->kind == DIALECT_WEB) {
		frames_add(&a, end.p, end.len);
		FUZZ_CHECK(frames_next(&a, &p, &len, &got) == FRAMES_END);
		FUZZ_CHECK(got.code == err.code);
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
	struct err err;
	char *text;

	if (len < 2)
		return 0;
	d = dialect_classify(content_types[data[0] % 7]);
	check_body(d, fuzz_type(data[1]), (const char *)data + 2, len - 2);
	text = strndup((const char *)data + 2, len - 2);
	(void)!!dialect_classify(text);
	if (!dialect_timeout(d, text, &ms, &err))
		FUZZ_CHECK(ms >= 0);
	check_end(d, text, data[1]);
	free(text);
	return 0;
}
