#include "fl/sparsify.h"

#include <endian.h>
#include <string.h>

#include "nn/bf16.h"

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

static uint16_t get_half(const unsigned char *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

void sparsify_gather_bf16(const float *x, const uint32_t *idx, uint32_t k,
			  void *out)
{
	unsigned char *to = out;

	for (uint32_t i = 0; i < k; i++) {
		const uint16_t half = bf16_of(x[idx[i]]);

		to[(size_t)i * 2] = (unsigned char)half;
		to[(size_t)i * 2 + 1] = (unsigned char)(half >> 8);
	}
}

/* Halves first, as above. */
void sparsify_average_bf16(float *x, const uint32_t *idx, uint32_t k,
			   const void *in)
{
	const unsigned char *from = in;

	for (uint32_t i = 0; i < k; i++) {
		const float theirs =
			bf16_value(get_half(from + (size_t)i * 2));
		const float ours = bf16_value(bf16_of(x[idx[i]]));

		x[idx[i]] += 0.5f * theirs - 0.5f * ours;
	}
}

bool sparsify_finite_bf16(const void *in, uint32_t k)
{
	const unsigned char *from = in;
	bool bad = false;

	for (uint32_t i = 0; i < k; i++)
		bad |= (from[(size_t)i * 2 + 1] & 0x7f) == 0x7f &&
		       (from[(size_t)i * 2] & 0x80);
	return !bad;
}
