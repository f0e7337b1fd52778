/* payload.h - some values of a model as the bytes that travel, and back.
 *
 * A payload is the indices, where they travel too, and then the values:
 *
 *   indices  ascending; of each what it is above the one before, as a varint
 *            (7 bits a byte, the lowest first, the high bit: more follow)
 *   f32      4 bytes each, little-endian
 *   bf16     the upper two of these (nn/bf16.h)
 *   int8     first a scale, as f32, for each 256 of them; then a signed byte
 *            each, -127 to 127: the value is the byte times its block's scale
 *
 * Under zstd all this is one frame, in which the first bytes of all values of
 * more than one come first, then the second ones, and so on: the exponents of
 * values are alike.
 *
 * The values that a form cannot hold exactly are rounded to the nearest, and
 * whoever encodes learns what the other side will read. Pure. */
#ifndef FL_PAYLOAD_H
#define FL_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "plan/strategies.h"

enum payload_dtype { PAYLOAD_F32, PAYLOAD_BF16, PAYLOAD_INT8 };
enum payload_codec { PAYLOAD_NONE, PAYLOAD_ZSTD };

/* Their names, in this order, as value_choice() takes them. */
#define PAYLOAD_DTYPES STRATEGY_DTYPES
#define PAYLOAD_CODECS STRATEGY_CODECS

struct payload_form {
	enum payload_dtype dtype;
	enum payload_codec codec;
	bool indexed; /* the indices travel too */
};

/* Bytes of k values, without their indices, before the codec. */
size_t payload_size(enum payload_dtype dtype, uint32_t k);

/* Append k values, and where the form has them their k ascending indices, to
 * out, which has no limit. sent, unless NULL, gets the values as they will be
 * read; it may be values. Values that are not finite, or not in this form, are
 * INVALID_ARGUMENT, and out as it was. */
int payload_encode(const struct payload_form *form, const uint32_t *index,
		   const float *values, uint32_t k, float *sent,
		   struct buf *out, struct err *err) MUST_CHECK;

/* Read exactly k values, all finite, into values; and where the form has them
 * their indices, ascending and below n, into index. Anything else, or a byte
 * more or less, is INVALID_ARGUMENT; never more memory than k values can take.
 * On failure the values and indices may have changed. */
int payload_decode(const struct payload_form *form, const void *p, size_t len,
		   uint32_t n, uint32_t k, uint32_t *index, float *values,
		   struct err *err) MUST_CHECK;

#endif
