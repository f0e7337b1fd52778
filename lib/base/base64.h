/* base64.h - bytes as text (RFC 4648), either alphabet in. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Characters that len bytes take, padding included. */
size_t base64_size(size_t len);

/* Write base64_size(len) characters to `to`, without a NUL. */
void base64_encode(char *to, const void *p, size_t len);

/* Bytes of n characters in the standard or the url-safe alphabet, padded or
 * not; `to` has room for n / 4 * 3 + 2. False if it is not base64. */
bool base64_decode(void *to, size_t *len, const char *s, size_t n);

/* Text that comes in pieces: whole quads, of which any may be padded. All zero
 * at first; n is 0 where it may end. */
struct base64_feed {
	char quad[4];
	unsigned n;
};

/* Bytes of the next len characters; `to` has room for (len + 3) / 4 * 3. */
bool base64_feed(struct base64_feed *f, void *to, size_t *out, const char *s,
		 size_t len);

#endif
