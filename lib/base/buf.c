#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

char *buf_room(struct buf *b, size_t len)
{
	if (b->max && (len > b->max || b->len > b->max - len))
		return NULL;
	b->p = mem_grow(b->p, &b->cap, b->len + len + 1, 1);
	return b->p + b->len;
}

int buf_add(struct buf *b, const void *p, size_t len, struct err *err)
{
	char *to = buf_room(b, len);

	if (!to)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "more than %zu bytes", b->max);
	if (len)
		memcpy(to, p, len);
	b->len += len;
	b->p[b->len] = '\0';
	return 0;
}

void buf_put(struct buf *b, const void *p, size_t len)
{
	assert(!b->max);
	(void)!buf_add(b, p, len, NULL);
}

void buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_putc(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void buf_putf(struct buf *b, const char *fmt, ...)
{
	char small[256];
	va_list ap, again;
	int len;

	va_start(ap, fmt);
	va_copy(again, ap);
	len = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	assert(len >= 0);
	if ((size_t)len < sizeof(small)) {
		buf_put(b, small, (size_t)len);
	} else {
		char *to = buf_room(b, (size_t)len);

		assert(to);
		vsnprintf(to, (size_t)len + 1, fmt, again);
		b->len += (size_t)len;
	}
	va_end(again);
}

void buf_drop(struct buf *b, size_t n)
{
	assert(n <= b->len);
	b->len -= n;
	if (b->len)
		memmove(b->p, b->p + n, b->len);
	if (b->p)
		b->p[b->len] = '\0';
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	if (b->p)
		b->p[0] = '\0';
}

char *buf_take(struct buf *b)
{
	char *p = b->p ? b->p : mem_dup(NULL, 0);

	b->p = NULL;
	b->len = b->cap = 0;
	return p;
}

void buf_release(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->len = b->cap = 0;
}
