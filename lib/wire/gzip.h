/* gzip.h - messages made small and large again (RFC 1952, by zlib), one after
 * the other with the same memory. Pure. */
#ifndef WIRE_GZIP_H
#define WIRE_GZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct gzip; /* takes memory only once it is used: 300 KiB in all */

struct gzip *gzip_new(void);
void gzip_free(struct gzip *z);

/* Append len bytes, packed. */
void gzip_pack(struct gzip *z, struct buf *out, const void *p, size_t len);

/* Append what len packed bytes unpack to. RESOURCE_EXHAUSTED if that is more
 * than out takes by its own bound; INVALID_ARGUMENT if they are no gzip, or
 * anything follows. */
int gzip_unpack(struct gzip *z, struct buf *out, const void *p, size_t len,
		struct err *err) MUST_CHECK;

#endif
