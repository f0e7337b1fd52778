/* rand.h - seeded chance for pure code, and the system's for identities.
 *
 * splitmix64 (Steele, Lea, Flood 2014): a sequence is given by its seed for
 * ever, on every machine; plans and masks depend on that. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

struct rand {
	uint64_t state; /* the seed, at the start */
};

/* The finaliser: a bijective hash. Inline, because masks are made of it by the
 * hundred thousand. */
static inline uint64_t rand_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

uint64_t rand_next(struct rand *r); /* 64 uniform bits */

/* Uniform in 0..n-1, n > 0, by the high half of a product (Lemire); the bias
 * of at most n/2^64 is accepted. */
uint64_t rand_below(struct rand *r, uint64_t n);
double rand_unit(struct rand *r); /* uniform in [0, 1) */

/* len bytes from the kernel; cannot fail. */
void rand_os(void *p, size_t len);

/* An identity among strangers: 1 to 2^63 - 1, by the kernel's chance. */
uint64_t rand_id(void);

#endif
