#include "fl/sparsify.h"

#include <endian.h>
#include <string.h>

static float get(const unsigned char *p)
{
	uint32_t bits;
	float v;

	memcpy(&bits, p, 4);
	bits = le32toh(bits);
	memcpy(&v, &bits, 4);
	return v;
}

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

/* Halves first: the sum of two finite values may not be finite. */
void sparsify_average(float *x, const uint32_t *idx, uint32_t k, const void *in)
{
	const unsigned char *from = in;

	for (uint32_t i = 0; i < k; i++)
		x[idx[i]] = 0.5f * x[idx[i]] + 0.5f * get(from + (size_t)i * 4);
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
