/* topk.h - the values of a vector that are largest by magnitude, and how many
 * bytes tell which they are. Pure. */
#ifndef FL_TOPK_H
#define FL_TOPK_H

#include <stddef.h>
#include <stdint.h>

/* Write the indices, ascending, of the k values of x[0..n-1] (k <= n) with the
 * greatest magnitude; of equal ones those with the lowest index. NaN counts as
 * the least. */
void topk_select(const float *x, uint32_t n, uint32_t k, uint32_t *out);

/* Bytes of k ascending indices as varints of what each is above the one
 * before. */
size_t topk_index_bytes(const uint32_t *index, uint32_t k);

#endif
