#include "base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BULK_KEPT = 32 << 20 };

static void *must(void *p)
{
	if (!p) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

void *mem_zero(size_t n, size_t size)
{
	return must(calloc(n ? n : 1, size ? size : 1));
}

void *mem_grow(void *p, size_t *cap, size_t need, size_t size)
{
	size_t room = *cap;

	if (p && need <= room)
		return p;
	room += room / 2 + 8;
	if (room < need)
		room = need;
	if (room > SIZE_MAX / size)
		must(NULL);
	*cap = room;
	return must(realloc(p, room * size));
}

void *mem_dup(const void *p, size_t len)
{
	char *copy = must(malloc(len + 1));

	if (len)
		memcpy(copy, p, len);
	copy[len] = '\0';
	return copy;
}

char *mem_str(const char *s)
{
	return s ? mem_dup(s, strlen(s)) : NULL;
}

char *mem_fmt(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		must(NULL);
	va_end(ap);
	return s;
}

void mem_bulk(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, BULK_KEPT);
	mallopt(M_TRIM_THRESHOLD, BULK_KEPT);
#endif
}
