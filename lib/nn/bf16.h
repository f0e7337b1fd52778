/* bf16.h - bfloat16, the upper half of a float32: half the bytes for the same
 * range and eight bits of precision; pure.
 *
 * Rounding is to the nearest, of two as near to the even one, as PyTorch and
 * processors have it. */
#ifndef NN_BF16_H
#define NN_BF16_H

#include <stdint.h>
#include <string.h>

/* A float that is finite may become infinite (above 3.39e38); NaN stays NaN. */
static inline uint16_t bf16_of(float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float bf16_value(uint16_t half)
{
	const uint32_t bits = (uint32_t)half << 16;
	float v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

#endif
