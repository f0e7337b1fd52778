/* utf8.h - is this text? (RFC 3629: no overlong forms, no surrogates) */
#ifndef WIRE_UTF8_H
#define WIRE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Bytes of the code point that s begins with, or 0 if it is none; len > 0. */
size_t utf8_one(const char *s, size_t len);

bool utf8_ok(const char *s, size_t len);

/* Append it, with ? for each byte that is no text, NUL among them. */
void utf8_put(struct buf *to, const char *s, size_t len);

#endif
