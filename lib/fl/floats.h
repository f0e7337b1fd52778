/* floats.h - float32 as bytes on the wire, little-endian; pure. */
#ifndef FL_FLOATS_H
#define FL_FLOATS_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* n values to 4 n bytes, of any alignment, and back. */
static inline void floats_pack(void *to, const float *from, size_t n)
{
	memcpy(to, from, 4 * n);
	if (htole32(1) == 1)
		return;
	for (size_t i = 0; i < n; i++) {
		uint32_t bits;

		memcpy(&bits, &from[i], 4);
		bits = htole32(bits);
		memcpy((char *)to + 4 * i, &bits, 4);
	}
}

static inline void floats_unpack(float *to, const void *from, size_t n)
{
	memcpy(to, from, 4 * n);
	if (htole32(1) == 1)
		return;
	for (size_t i = 0; i < n; i++) {
		uint32_t bits;

		memcpy(&bits, &to[i], 4);
		bits = le32toh(bits);
		memcpy(&to[i], &bits, 4);
	}
}

/* The values at from, where they are if that can be, or in room for n. */
static inline const float *floats_view(const void *from, size_t n, float *room)
{
	if (htole32(1) == 1 && (uintptr_t)from % _Alignof(float) == 0)
		return from;
	floats_unpack(room, from, n);
	return room;
}

#endif
