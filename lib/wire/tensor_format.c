/* Chunks and heads of tensors as bytes. */
#include <string.h>

#include "base/str.h"
#include "wire/tensor_impl.h"

static bool varint(const uint8_t **p, const uint8_t *end, uint64_t *v)
{
	*v = 0;
	for (int shift = 0; shift < 64 && *p < end; shift += 7) {
		uint8_t byte = *(*p)++;

		*v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* Past a value; if it has a length, *from is where its content begins. */
static bool value(const uint8_t **p, const uint8_t *end, unsigned wire,
		  const uint8_t **from)
{
	uint64_t n = 0;

	*from = NULL;
	switch (wire) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		return varint(p, end, &n);
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		n = 8;
		break;
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		n = 4;
		break;
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		if (!varint(p, end, &n))
			return false;
		*from = *p;
		break;
	default:
		return false;
	}
	if (n > (uint64_t)(end - *p))
		return false;
	*p += n;
	return true;
}

static int malformed(struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "malformed chunk of a tensor");
}

int tensor_parse(struct tensor_chunk *out, const void *p, size_t len,
		 struct err *err)
{
	const uint8_t *at = p, *end = at + len, *from, *start;
	uint64_t tag;

	*out = (struct tensor_chunk){0};
	while (at < end) {
		if (!varint(&at, end, &tag) || tag > UINT32_MAX || tag < 8)
			return malformed(err);
		start = at;
		if (!value(&at, end, tag & 7, &from))
			return malformed(err);
		if (from && tag >> 3 == 1) {
			out->head = from;
			out->head_len = (size_t)(at - from);
		} else if (from && tag >> 3 == 2) {
			out->data = from;
			out->len = (size_t)(at - from);
		} else if (tag == (3 << 3 | PROTOBUF_C_WIRE_TYPE_32BIT)) {
			out->crc = start;
		}
	}
	if (out->len > TENSOR_CHUNK)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a chunk of %zu bytes, more than %d", out->len,
			       TENSOR_CHUNK);
	return 0;
}

/* Bytes of one element; 0: unknown. */
static unsigned width_of(const char *dtype)
{
	static const struct {
		const char *name;
		unsigned width;
	} dtypes[] = {
		{"", 1},        {"BOOL", 1}, {"U8", 1},  {"I8", 1},
		{"F8_E4M3", 1}, {"I16", 2},  {"U16", 2}, {"F16", 2},
		{"BF16", 2},    {"I32", 4},  {"U32", 4}, {"F32", 4},
		{"I64", 8},     {"U64", 8},  {"F64", 8},
	};

	for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++)
		if (!strcmp(dtypes[i].name, dtype))
			return dtypes[i].width;
	return 0;
}

static bool shape_fits(const Gfl__V1__TensorHead *h)
{
	uint64_t n = width_of(h->dtype);

	if (!n || h->n_shape > TENSOR_RANK)
		return false;
	if (!*h->dtype)
		return !h->n_shape;
	for (size_t i = 0; i < h->n_shape; i++)
		if (__builtin_mul_overflow(n, h->shape[i], &n))
			return false;
	return n == h->size;
}

static bool is_sum(const char *s)
{
	return strlen(s) == TENSOR_SHA256 - 1 &&
	       strspn(s, "0123456789abcdef") == TENSOR_SHA256 - 1;
}

int tensor_info_of(struct tensor_info *info, uint64_t *offset,
		   const Gfl__V1__TensorHead *h, struct err *err)
{
	if ((*h->sha256 && !is_sum(h->sha256)) || !shape_fits(h) ||
	    h->offset > h->size || strlen(h->layout) >= sizeof(info->layout))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a tensor whose head does not fit");
	*info = (struct tensor_info){.rank = (int)h->n_shape,
				     .size = h->size,
				     .version = h->version};
	for (size_t i = 0; i < h->n_shape; i++)
		info->shape[i] = h->shape[i];
	str_copy(info->dtype, sizeof(info->dtype), h->dtype);
	str_copy(info->sha256, sizeof(info->sha256), h->sha256);
	str_copy(info->layout, sizeof(info->layout), h->layout);
	*offset = h->offset;
	return 0;
}
