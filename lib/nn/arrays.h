/* arrays.h - labelled examples from numpy's arrays: two .npy files, or one
 * .npz.
 *
 * The first dimension counts the examples; there are up to three more:
 * values, rows and columns, or channels, rows and columns. Unsigned bytes are
 * pixels as in IDX files, all else is taken as it is. */
#ifndef NN_ARRAYS_H
#define NN_ARRAYS_H

#include "base/err.h"
#include "nn/examples.h"

/* Values from one .npy file, labels from another. What is malformed, not
 * finite, or no label from 0 to 255 is INVALID_ARGUMENT. */
int arrays_read(struct examples *e, const char *values, const char *labels,
		struct err *err) MUST_CHECK;

/* The arrays x_PART and y_PART of a .npz file (Keras's names), else x and y. */
int arrays_read_npz(struct examples *e, const char *path, const char *part,
		    struct err *err) MUST_CHECK;

#endif
