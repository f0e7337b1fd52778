/* buf.h - a growing run of bytes that knows its limit from birth. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* p[len] is always a NUL once anything was added, so that text reads as a
 * string; before that p may be NULL. max bounds len; 0 means no bound, for
 * what we make ourselves. */
struct buf {
	char *p;
	size_t len, cap, max;
};

#define BUF_INIT(limit)                                                        \
	{                                                                      \
		.max = (limit)                                                 \
	}

/* Append len bytes; past the limit RESOURCE_EXHAUSTED, and unchanged. */
int buf_add(struct buf *b, const void *p, size_t len, struct err *err)
	MUST_CHECK;

/* For buffers without a limit: cannot fail, asserts max == 0. */
void buf_put(struct buf *b, const void *p, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_putf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);

/* Room for len more bytes at the end, not yet counted; b->len += n commits
 * them. NULL past the limit. */
char *buf_room(struct buf *b, size_t len);

/* Drop the first n bytes (n <= len), or all; the memory stays. */
void buf_drop(struct buf *b, size_t n);
void buf_reset(struct buf *b);

/* The bytes as a string that the caller frees; the buffer is empty after. */
char *buf_take(struct buf *b);

void buf_release(struct buf *b); /* free the memory; limit kept */

#endif
