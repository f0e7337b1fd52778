/* gRPC-web answers: the frames do not depend on how the bytes were cut. */
#include "fuzz.h"

#include <string.h>

#include "wire/frames.h"

/* Append every frame to out; false when no more can come. */
static bool drain(struct frames *a, struct buf *out)
{
	struct err err = {0};
	const uint8_t *p;
	size_t len;

	for (;;) {
		switch (frames_next(a, &p, &len, &err)) {
		case FRAMES_MORE:
			return true;
		case FRAMES_MESSAGE:
			buf_putf(out, "<%zu:", len);
			buf_put(out, p, len);
			break;
		case FRAMES_END:
			buf_putf(out, ".%d %s", (int)err.code, err.msg);
			return false;
		case FRAMES_BAD:
			FUZZ_CHECK(err.code);
			buf_putf(out, "!%d %s", (int)err.code, err.msg);
			return false;
		}
	}
}

static void read_all(struct buf *out, const uint8_t *data, size_t len,
		     size_t piece)
{
	struct frames a = {0};

	for (size_t at = 0; at < len; at += piece) {
		frames_add(&a, data + at, piece < len - at ? piece : len - at);
		if (!drain(&a, out))
			break;
	}
	frames_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const size_t pieces[] = {1, 5, 13};
	struct buf whole = BUF_INIT(0), parts = BUF_INIT(0);

	read_all(&whole, data, len, len ? len : 1);
	for (size_t i = 0; i < 3; i++) {
		buf_reset(&parts);
		read_all(&parts, data, len, pieces[i]);
		FUZZ_CHECK(parts.len == whole.len);
		FUZZ_CHECK(!whole.len || !memcmp(parts.p, whole.p, whole.len));
	}
	buf_release(&whole);
	buf_release(&parts);
	return 0;
}
