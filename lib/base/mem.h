/* mem.h - memory that does not fail: out of memory aborts (crash-only). */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* n objects of size bytes, all zero; free() them. Overflow aborts. */
void *mem_zero(size_t n, size_t size) __attribute__((malloc));

/* Make room for at least need objects of size bytes at p, whose room is *cap;
 * grows by half at least. Returns the (moved) block; new bytes are not set. */
void *mem_grow(void *p, size_t *cap, size_t need, size_t size);

/* A copy of len bytes, followed by a NUL; free() it. p may be NULL if len is
 * 0. */
void *mem_dup(const void *p, size_t len) __attribute__((malloc));

/* A copy of a string; NULL gives NULL. */
char *mem_str(const char *s) __attribute__((malloc));

/* A formatted string; free() it. */
char *mem_fmt(const char *fmt, ...) __attribute__((malloc, format(printf, 1, 2)));

/* For a process that moves megabytes at a time: keep up to 32 MiB of freed
 * memory, which glibc would give back and fetch again page by page (a third of
 * a stream's time in the kernel). Once, at the start. */
void mem_bulk(void);

#endif
