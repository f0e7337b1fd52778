#include "wire/utf8.h"

#include <stdint.h>

/* Bytes that follow the first, and the least code point of that length. */
static const struct {
	unsigned char mask, lead, more;
	uint32_t least;
} forms[] = {
	{0x80, 0x00, 0, 0},
	{0xe0, 0xc0, 1, 0x80},
	{0xf0, 0xe0, 2, 0x800},
	{0xf8, 0xf0, 3, 0x10000},
};

size_t utf8_one(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;

	for (unsigned i = 0; i < 4; i++) {
		uint32_t point = s[0] & (unsigned char)~forms[i].mask;

		if ((s[0] & forms[i].mask) != forms[i].lead)
			continue;
		if (len <= forms[i].more)
			return 0;
		for (unsigned k = 1; k <= forms[i].more; k++) {
			if ((s[k] & 0xc0) != 0x80)
				return 0;
			point = point << 6 | (s[k] & 0x3f);
		}
		if (point < forms[i].least || point > 0x10ffff ||
		    (point >= 0xd800 && point < 0xe000))
			return 0;
		return forms[i].more + 1u;
	}
	return 0;
}

bool utf8_ok(const char *s, size_t len)
{
	while (len) {
		size_t n = *s & 0x80 ? utf8_one(s, len) : 1;

		if (!n)
			return false;
		s += n;
		len -= n;
	}
	return true;
}

void utf8_put(struct buf *to, const char *s, size_t len)
{
	while (len) {
		size_t n = *s ? utf8_one(s, len) : 0;

		buf_put(to, n ? s : "?", n ? n : 1);
		s += n ? n : 1;
		len -= n ? n : 1;
	}
}
