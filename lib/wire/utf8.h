/* utf8.h - is this text? (RFC 3629: no overlong forms, no surrogates) */
#ifndef WIRE_UTF8_H
#define WIRE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

bool utf8_ok(const char *s, size_t len);

#endif
