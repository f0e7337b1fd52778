#include "base/crc.h"

#include <isa-l/crc.h>

uint32_t crc32c_of(uint32_t crc, const void *p, size_t len)
{
	const unsigned char *from = p;
	uint32_t state = ~crc; /* ISA-L leaves both inversions to us */

	while (len) {
		int n = len < 1 << 30 ? (int)len : 1 << 30;

		state = crc32_iscsi((unsigned char *)from, n, state);
		from += n;
		len -= (size_t)n;
	}
	return ~state;
}
