#include "fl/payload.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/mem.h"
#include "fl/aggregate.h"
#include "fl/floats.h"
#include "nn/bf16.h"

enum {
	BLOCK = 256, /* values of a scale */
	LARGEST = 127,
	INDEX_BYTES = 5, /* at most */
	LEVEL = 1,       /* of zstd: values hardly gain by more */
};

static size_t blocks_of(uint32_t k)
{
	return k / BLOCK + (k % BLOCK != 0);
}

/* Bytes of one value: those that zstd gets plane by plane. */
static size_t width_of(enum payload_dtype dtype)
{
	return dtype == PAYLOAD_F32 ? 4 : dtype == PAYLOAD_BF16 ? 2 : 1;
}

size_t payload_size(enum payload_dtype dtype, uint32_t k)
{
	return k * width_of(dtype) +
	       (dtype == PAYLOAD_INT8 ? 4 * blocks_of(k) : 0);
}

static void put32(unsigned char *p, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, 4);
	bits = htole32(bits);
	memcpy(p, &bits, 4);
}

static float get32(const unsigned char *p)
{
	uint32_t bits;
	float v;

	memcpy(&bits, p, 4);
	bits = le32toh(bits);
	memcpy(&v, &bits, 4);
	return v;
}

static int malformed(const char *what, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "payload: %s", what);
}

/* ---- values ---- */

static float scale_of(const float *v, uint32_t k)
{
	float most = 0;

	for (uint32_t i = 0; i < k; i++)
		most = fabsf(v[i]) > most ? fabsf(v[i]) : most;
	return most / LARGEST;
}

static void put_int8(const float *v, uint32_t k, float *sent, unsigned char *to)
{
	unsigned char *bytes = to + 4 * blocks_of(k);

	for (uint32_t from = 0; from < k; from += BLOCK) {
		uint32_t n = k - from < BLOCK ? k - from : BLOCK;
		float scale = scale_of(v + from, n);
		float by = scale > 0 ? 1 / scale : 0;

		/* of the smallest scales the reciprocal is not finite */
		if (!isfinite(by))
			scale = by = 0;
		put32(to + 4 * (size_t)(from / BLOCK), scale);
		for (uint32_t i = from; i < from + n; i++) {
			long q = lrintf(v[i] * by);

			q = q > LARGEST ? LARGEST : q < -LARGEST ? -LARGEST : q;
			bytes[i] = (unsigned char)(signed char)q;
			sent[i] = scale * (float)q;
		}
	}
}

static void put_values(enum payload_dtype dtype, const float *v, uint32_t k,
		       float *sent, unsigned char *to)
{
	if (dtype == PAYLOAD_INT8) {
		put_int8(v, k, sent, to);
		return;
	}
	if (dtype == PAYLOAD_F32) {
		floats_pack(to, v, k);
		if (sent != v)
			memcpy(sent, v, k * sizeof(*sent));
	}
	for (uint32_t i = 0; i < k && dtype == PAYLOAD_BF16; i++) {
		uint16_t half = bf16_of(v[i]);

		to[(size_t)i * 2] = (unsigned char)half;
		to[(size_t)i * 2 + 1] = (unsigned char)(half >> 8);
		sent[i] = bf16_value(half);
	}
}

/* A byte of -128 is none of ours; a scale below 0 neither. */
static int get_int8(const unsigned char *from, uint32_t k, float *v,
		    struct err *err)
{
	const unsigned char *bytes = from + 4 * blocks_of(k);

	for (uint32_t i = 0; i < k; i++) {
		float scale = get32(from + 4 * (size_t)(i / BLOCK));
		signed char q = (signed char)bytes[i];

		if (q < -LARGEST || signbit(scale))
			return malformed("a value out of range", err);
		v[i] = scale * (float)q;
	}
	return 0;
}

static int get_values(enum payload_dtype dtype, const unsigned char *from,
		      uint32_t k, float *v, struct err *err)
{
	int rc = 0;

	if (dtype == PAYLOAD_INT8)
		rc = get_int8(from, k, v, err);
	if (dtype == PAYLOAD_F32)
		floats_unpack(v, from, k);
	for (uint32_t i = 0; i < k && dtype == PAYLOAD_BF16; i++)
		v[i] = bf16_value((uint16_t)(from[(size_t)i * 2] |
					     from[(size_t)i * 2 + 1] << 8));
	if (!rc && !aggregate_is_finite(v, k))
		rc = malformed("values that are not finite", err);
	return rc;
}

/* ---- indices ---- */

static void put_indices(const uint32_t *index, uint32_t k, struct buf *out)
{
	unsigned char *at =
		(unsigned char *)buf_room(out, (size_t)k * INDEX_BYTES);
	uint32_t before = 0;

	for (uint32_t i = 0; i < k; i++) {
		uint32_t step = index[i] - before;

		for (; step >= 0x80; step >>= 7, out->len++)
			*at++ = (unsigned char)(step | 0x80);
		*at++ = (unsigned char)step;
		out->len++;
		before = index[i];
	}
}

struct cursor {
	const unsigned char *p, *end;
};

/* The shortest form of a number of at most 32 bits. */
static bool get_varint(struct cursor *c, uint64_t *out)
{
	*out = 0;
	for (int shift = 0; shift < 35 && c->p < c->end; shift += 7) {
		unsigned char byte = *c->p++;

		*out |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return byte || !shift;
	}
	return false;
}

static int get_indices(struct cursor *c, uint32_t n, uint32_t k,
		       uint32_t *index, struct err *err)
{
	uint64_t at = 0, step;

	for (uint32_t i = 0; i < k; i++) {
		if (!get_varint(c, &step))
			return malformed("an index is cut short or too long",
					 err);
		at += step;
		if ((i && !step) || at >= n)
			return malformed("an index out of order or range", err);
		index[i] = (uint32_t)at;
	}
	return 0;
}

/* ---- zstd ---- */

/* The bytes of k values of some width by planes, or back. */
static void to_planes(const char *from, char *to, size_t k, size_t width)
{
	for (size_t b = 0; b < width; b++)
		for (size_t i = 0; i < k; i++)
			to[b * k + i] = from[i * width + b];
}

static void from_planes(const char *from, char *to, size_t k, size_t width)
{
	for (size_t b = 0; b < width; b++)
		for (size_t i = 0; i < k; i++)
			to[i * width + b] = from[b * k + i];
}

/* Rewrite the values that end these len bytes. */
static void turn(void fn(const char *, char *, size_t, size_t), char *p,
		 size_t len, enum payload_dtype dtype, uint32_t k)
{
	size_t width = width_of(dtype), size = k * width;
	char *copy;

	if (width == 1)
		return;
	copy = mem_dup(p + len - size, size);
	fn(copy, p + len - size, k, width);
	free(copy);
}

static void compress(const struct buf *plain, struct buf *out)
{
	size_t room = ZSTD_compressBound(plain->len);
	char *to = buf_room(out, room);
	size_t n = ZSTD_compress(to, room, plain->p, plain->len, LEVEL);

	if (ZSTD_isError(n))
		abort(); /* there is room: out of memory */
	out->len += n;
}

/* One frame that says how long its content is: most at most. */
static int expand(const void *p, size_t len, size_t most, char **plain,
		  size_t *plain_len, struct err *err)
{
	unsigned long long size = ZSTD_getFrameContentSize(p, len);

	if (size > most) /* also what is no frame, or does not say */
		return malformed("no zstd frame of the size expected", err);
	if (ZSTD_findFrameCompressedSize(p, len) != len)
		return malformed("more or less than a zstd frame", err);
	*plain = mem_zero((size_t)size + 1, 1);
	*plain_len = ZSTD_decompress(*plain, (size_t)size, p, len);
	if (*plain_len == size)
		return 0;
	free(*plain);
	return malformed("a damaged zstd frame", err);
}

/* ---- all of it ---- */

static int encode_plain(const struct payload_form *form, const uint32_t *index,
			const float *values, uint32_t k, float *sent,
			struct buf *out, struct err *err)
{
	size_t size = payload_size(form->dtype, k);

	if (!aggregate_is_finite(values, k))
		return malformed("values that are not finite", err);
	if (form->indexed)
		put_indices(index, k, out);
	put_values(form->dtype, values, k, sent,
		   (unsigned char *)buf_room(out, size + 1));
	if (form->dtype == PAYLOAD_BF16 && !aggregate_is_finite(sent, k))
		return malformed("values too large for their form", err);
	out->len += size;
	return 0;
}

int payload_encode(const struct payload_form *form, const uint32_t *index,
		   const float *values, uint32_t k, float *sent,
		   struct buf *out, struct err *err)
{
	struct buf packed = BUF_INIT(0), *to = form->codec ? &packed : out;
	float *own = sent ? NULL : mem_zero((size_t)k + 1, sizeof(*own));
	size_t before = out->len;
	int rc = encode_plain(form, index, values, k, sent ? sent : own, to,
			      err);

	free(own);
	if (rc)
		out->len = before;
	if (!rc && form->codec) {
		turn(to_planes, packed.p, packed.len, form->dtype, k);
		compress(&packed, out);
	}
	buf_release(&packed);
	return rc;
}

static int decode_plain(const struct payload_form *form, const char *p,
			size_t len, uint32_t n, uint32_t k, uint32_t *index,
			float *values, struct err *err)
{
	struct cursor c = {(const unsigned char *)p,
			   (const unsigned char *)p + len};

	if (form->indexed && get_indices(&c, n, k, index, err))
		return (int)err->code;
	if ((size_t)(c.end - c.p) != payload_size(form->dtype, k))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "payload: %zu bytes are not %u values",
			       (size_t)(c.end - c.p), k);
	return get_values(form->dtype, c.p, k, values, err);
}

int payload_decode(const struct payload_form *form, const void *p, size_t len,
		   uint32_t n, uint32_t k, uint32_t *index, float *values,
		   struct err *err)
{
	size_t size = payload_size(form->dtype, k), plain_len = 0;
	char *plain = NULL;
	int rc;

	if (!form->codec)
		return decode_plain(form, p ? p : "", len, n, k, index, values,
				    err);
	if (form->indexed)
		size += (size_t)k * INDEX_BYTES;
	rc = expand(p ? p : "", len, size, &plain, &plain_len, err);
	if (rc)
		return rc;
	if (plain_len >= k * width_of(form->dtype))
		turn(from_planes, plain, plain_len, form->dtype, k);
	rc = decode_plain(form, plain, plain_len, n, k, index, values, err);
	free(plain);
	return rc;
}
