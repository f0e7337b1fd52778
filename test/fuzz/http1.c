/* Requests: the events do not depend on how the bytes were cut. */
#include "fuzz.h"

#include <string.h>

#include "base/buf.h"
#include "base/rand.h"
#include "wire/http1.h"

/* Append what the parser says of these bytes, bodies joined. */
static void feed(struct http1 *p, struct buf *trace, const char *s, size_t len)
{
	enum http1_event ev;

	while ((ev = http1_next(p, &s, &len)) != HTTP1_MORE) {
		switch (ev) {
		case HTTP1_HEAD:
			buf_putf(trace, "<%s %s %s", http1_method(p),
				 http1_path(p), http1_query(p));
			for (unsigned i = 0; i < p->n_fields; i++)
				buf_putf(trace, "|%s=%s",
					 p->head.p + p->fields[i].name,
					 p->head.p + p->fields[i].value);
			buf_putf(trace, "|%d>", p->keep_alive);
			break;
		case HTTP1_BODY:
			FUZZ_CHECK(p->body_len > 0);
			buf_put(trace, p->body, p->body_len);
			break;
		case HTTP1_END:
			buf_puts(trace, ".");
			http1_reset(p);
			break;
		default:
			buf_putf(trace, "!%d %s", p->status, p->reason);
			return;
		}
	}
	FUZZ_CHECK(len == 0);
}

/* What the server does with a large body: read it into place. */
static size_t skip(struct http1 *p, struct buf *trace, const char *s,
		   size_t len)
{
	uint64_t left = http1_plain_left(p);
	size_t n = left < len ? (size_t)left : len;

	if (n) {
		buf_put(trace, s, n);
		http1_skip(p, n);
	}
	return n;
}

/* The events of the bytes in pieces of at most max. */
static void trace_of(struct buf *trace, const char *s, size_t len, size_t max,
		     bool skips)
{
	struct rand r = {len};
	struct http1 p;
	size_t n;

	http1_init(&p);
	for (size_t at = 0; at < len && !p.status; at += n) {
		n = skips ? skip(&p, trace, s + at, len - at) : 0;
		if (n)
			continue;
		n = max == 1 ? 1 : 1 + (size_t)rand_below(&r, max);
		n = n < len - at ? n : len - at;
		feed(&p, trace, s + at, n);
	}
	if (!p.status)
		feed(&p, trace, s + len, 0);
	http1_release(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const size_t max[] = {1, 7, 64};
	struct buf whole = BUF_INIT(0), parts = BUF_INIT(0);
	struct http1 p;

	http1_init(&p);
	feed(&p, &whole, (const char *)data, len);
	http1_release(&p);
	for (size_t i = 0; i < 6; i++) {
		buf_reset(&parts);
		trace_of(&parts, (const char *)data, len, max[i / 2], i % 2);
		FUZZ_CHECK(parts.len == whole.len);
		FUZZ_CHECK(!whole.len || !memcmp(parts.p, whole.p, whole.len));
	}
	buf_release(&whole);
	buf_release(&parts);
	return 0;
}
