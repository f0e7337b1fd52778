#include "base/str.h"

#include <string.h>

#include "base/rand.h"

bool str_copy(char *to, size_t size, const char *from)
{
	size_t len = from ? strlen(from) : 0;
	bool fits = len < size;

	if (!fits)
		len = size - 1;
	if (len)
		memmove(to, from, len);
	to[len] = '\0';
	return fits;
}

void str_hex(char *to, const void *p, size_t len)
{
	const unsigned char *bytes = p;

	for (size_t i = 0; i < len; i++) {
		*to++ = "0123456789abcdef"[bytes[i] >> 4];
		*to++ = "0123456789abcdef"[bytes[i] & 15];
	}
	*to = '\0';
}

void str_new_id(char id[STR_ID])
{
	unsigned char bytes[(STR_ID - 1) / 2];

	rand_os(bytes, sizeof(bytes));
	str_hex(id, bytes, sizeof(bytes));
}

bool str_is_id(const char *s)
{
	return strlen(s) == STR_ID - 1 &&
	       strspn(s, "0123456789abcdef") == STR_ID - 1;
}

int str_stem(const char *db)
{
	size_t len = strlen(db);

	return (int)(len > 3 && !strcmp(db + len - 3, ".db") ? len - 3 : len);
}
