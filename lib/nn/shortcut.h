/* shortcut.h - what "add" adds where the shapes differ; pure.
 *
 * Option A of He et al. 2016 (section 4.2): every stride-th row and column,
 * and the channels that are missing are zeros, half of them (rounded down)
 * before those that are there. It has no parameters. */
#ifndef NN_SHORTCUT_H
#define NN_SHORTCUT_H

#include "nn/layer.h"

/* The stride that makes from fit to; 1 where they are equal, 0 if none does. */
int shortcut_stride(const struct shape *from, const struct shape *to);

/* to += shortcut(from) for n examples, plain rows; and the transposed, for
 * gradients: from += shortcut^T(to). */
void shortcut_add(float *to, const float *from, const struct shape *to_shape,
		  const struct shape *from_shape, int n);
void shortcut_back(float *from, const float *to, const struct shape *from_shape,
		   const struct shape *to_shape, int n);

#endif
