#include "base/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_size(size_t len)
{
	return (len + 2) / 3 * 4;
}

void base64_encode(char *to, const void *p, size_t len)
{
	const uint8_t *b = p;

	for (; len >= 3; len -= 3, b += 3) {
		*to++ = alphabet[b[0] >> 2];
		*to++ = alphabet[(b[0] & 3) << 4 | b[1] >> 4];
		*to++ = alphabet[(b[1] & 15) << 2 | b[2] >> 6];
		*to++ = alphabet[b[2] & 63];
	}
	if (!len)
		return;
	*to++ = alphabet[b[0] >> 2];
	*to++ = alphabet[(b[0] & 3) << 4 | (len == 2 ? b[1] >> 4 : 0)];
	*to++ = len == 2 ? alphabet[(b[1] & 15) << 2] : '=';
	*to++ = '=';
}

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

bool base64_decode(void *to, size_t *len, const char *s, size_t n)
{
	uint8_t *out = to;
	uint32_t bits = 0;

	if (n && n % 4 == 0 && s[n - 1] == '=')
		n -= s[n - 2] == '=' ? 2 : 1;
	if (n % 4 == 1)
		return false;
	for (size_t i = 0; i < n; i++) {
		int d = digit(s[i]);

		if (d < 0)
			return false;
		bits = bits << 6 | (uint32_t)d;
		if (i % 4 > 0)
			*out++ = (uint8_t)(bits >> (6 - 2 * (i % 4)));
	}
	*len = (size_t)(out - (uint8_t *)to);
	return true;
}

bool base64_feed(struct base64_feed *f, void *to, size_t *out, const char *s,
		 size_t len)
{
	uint8_t *at = to;
	size_t bytes;

	for (size_t i = 0; i < len; i++) {
		f->quad[f->n++] = s[i];
		if (f->n < 4)
			continue;
		f->n = 0;
		if (!base64_decode(at, &bytes, f->quad, 4))
			return false;
		at += bytes;
	}
	*out = (size_t)(at - (uint8_t *)to);
	return true;
}
