/* tsv.h - tensors as text, for awk and its kind: a line for each, of its name,
 * its shape ("2x4", empty for a scalar) and its values, parted by tabs; values
 * by blanks, the last dimension fastest, exact. */
#ifndef NN_TSV_H
#define NN_TSV_H

#include "base/buf.h"
#include "base/err.h"
#include "nn/tensors.h"

#define TSV_BYTES_MAX ((size_t)4 << 30)

/* Append the float32 tensors of ts to b, which has no limit. A name with a tab
 * or a newline in it is INVALID_ARGUMENT. */
int tsv_encode(const struct tensors *ts, struct buf *b,
	       struct err *err) MUST_CHECK;

/* Add the tensors of a text, called what in messages, which is ended by a NUL
 * and changed. A line that is not as above, too few or too many values, one
 * that is no number, or a name that comes twice, is INVALID_ARGUMENT with the
 * line's number; then ts may have some. */
int tsv_decode(struct tensors *ts, char *text, const char *what,
	       struct err *err) MUST_CHECK;

#endif
