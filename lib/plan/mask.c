#include "plan/mask.h"

#include <assert.h>

#include "base/crc.h"
#include "base/rand.h"

static uint64_t fold(uint64_t h, uint64_t word)
{
	return rand_mix((h ^ word) + 0x9e3779b97f4a7c15u);
}

static uint64_t key_of(const struct mask *m)
{
	uint64_t h = fold(0, m->seed);

	h = fold(h, (uint64_t)m->run);
	return fold(h, (uint64_t)m->t);
}

uint32_t mask_count(uint32_t n, uint32_t c)
{
	assert(c > 0);
	return n / c + (n % c != 0);
}

static uint32_t below(uint64_t hash, uint32_t width)
{
	return (uint32_t)(((unsigned __int128)hash * width) >> 64);
}

/* The hash of block b is output b of splitmix64 seeded with the mask's key. */
void mask_indices(const struct mask *m, uint32_t *out)
{
	uint64_t state = key_of(m);
	uint32_t full = m->n / m->c, c = m->c;

	for (uint32_t b = 0; b < full; b++) {
		state += 0x9e3779b97f4a7c15u;
		out[b] = b * c + below(rand_mix(state), c);
	}
	if (m->n % c) {
		state += 0x9e3779b97f4a7c15u;
		out[full] = full * c + below(rand_mix(state), m->n % c);
	}
}

static uint32_t crc_of_indices(const uint32_t *indices, uint32_t k)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return crc32c_of(0, indices, (size_t)k * 4);
#else
	uint32_t crc = 0;

	for (uint32_t i = 0; i < k; i++) {
		uint32_t little = __builtin_bswap32(indices[i]);

		crc = crc32c_of(crc, &little, 4);
	}
	return crc;
#endif
}

uint64_t mask_digest(const struct mask *m, const uint32_t *indices)
{
	uint64_t h = key_of(m);

	h = fold(h, m->n);
	h = fold(h, m->c);
	if (!indices)
		return fold(h, 1);
	return fold(h, crc_of_indices(indices, mask_count(m->n, m->c)));
}
