/* mask.h - which parameters travel in a round, derived by both sides alike.
 *
 * The parameters are cut into blocks of c; of each block exactly one travels,
 * chosen by a hash of run, round, seed and block (the stratified mask). So no
 * index is ever sent, and in a full block each is chosen with probability
 * exactly 1/c, which is what the convergence proof of SAPS-PSGD (arXiv
 * 2002.09692) uses. Integers only: the same on every machine, for ever. */
#ifndef PLAN_MASK_H
#define PLAN_MASK_H

#include <stddef.h>
#include <stdint.h>

struct mask {
	int64_t run, t; /* run id and round */
	uint64_t seed;  /* of the round, from its plan */
	uint32_t n;     /* parameters of the model */
	uint32_t c;     /* one in c travels; at least 1; 1 sends all */
};

/* How many indices a mask has: n / c, rounded up. */
uint32_t mask_count(uint32_t n, uint32_t c);

/* Write the mask_count() indices to out, ascending. */
void mask_indices(const struct mask *m, uint32_t *out);

/* A digest of the mask and its indices (from mask_indices()): equal on both
 * sides when they mean the same parameters. NULL: all of them, or those that one
 * side chooses. */
uint64_t mask_digest(const struct mask *m, const uint32_t *indices);

#endif
