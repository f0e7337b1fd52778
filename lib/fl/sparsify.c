#include "fl/sparsify.h"

#include <endian.h>
#include <string.h>

static void put(unsigned char *p, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, 4);
	bits = htole32(bits);
	memcpy(p, &bits, 4);
}

void sparsify_gather(const float *x, const uint32_t *idx, uint32_t k, void *out)
{
	unsigned char *to = out;

	for (uint32_t i = 0; i < k; i++)
		put(to + (size_t)i * 4, x[idx[i]]);
}

/* Not finite: all bits of the exponent are set. */
bool sparsify_finite(const void *in, uint32_t k)
{
	const unsigned char *from = in;
	uint32_t bad = 0;

	for (uint32_t i = 0; i < k; i++) {
		uint32_t bits;

		memcpy(&bits, from + (size_t)i * 4, 4);
		bad |= (le32toh(bits) & 0x7f800000u) == 0x7f800000u;
	}
	return !bad;
}
