#include "wire/binary.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "wire/utf8.h"

/* What is left to read, and what all levels share. */
struct reader {
	const uint8_t *p, *end;
	int depth;
	unsigned *fields;
	struct err *err;
};

static int check(struct reader *r, const ProtobufCMessageDescriptor *type);

/* False if there is none of at most max bytes. */
static bool varint(struct reader *r, int max, uint64_t *v)
{
	*v = 0;
	for (int i = 0; i < max && r->p < r->end; i++) {
		uint8_t byte = *r->p++;

		*v |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static bool skip(struct reader *r, uint64_t len)
{
	if (len > (uint64_t)(r->end - r->p))
		return false;
	r->p += len;
	return true;
}

/* Past a value of this wire type; *from is where its content begins. */
static bool value(struct reader *r, unsigned wire, const uint8_t **from)
{
	uint64_t v;

	switch (wire) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		return varint(r, 10, &v);
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		return skip(r, 8);
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		return skip(r, 4);
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		if (!varint(r, 5, &v))
			return false;
		*from = r->p;
		return skip(r, v);
	default:
		return false;
	}
}

static int wrong(const struct reader *r, const ProtobufCMessageDescriptor *type,
		 const ProtobufCFieldDescriptor *f, const char *what)
{
	return err_set(r->err, ERR_INVALID_ARGUMENT, "%s: %s %s", type->name,
		       f->name, what);
}

static int check_content(struct reader *r,
			 const ProtobufCMessageDescriptor *type,
			 const ProtobufCFieldDescriptor *f, const uint8_t *from,
			 uint64_t *seen)
{
	size_t len = (size_t)(r->p - from), index = (size_t)(f - type->fields);
	struct reader inner = {from, r->p, r->depth + 1, r->fields, r->err};
	uint64_t bit = index < 64 ? (uint64_t)1 << index : 0;

	if (f->type == PROTOBUF_C_TYPE_STRING)
		return utf8_ok((const char *)from, len) &&
				       (!len || !memchr(from, 0, len))
			       ? 0
			       : wrong(r, type, f, "is not UTF-8 without NUL");
	if (f->type != PROTOBUF_C_TYPE_MESSAGE)
		return 0;
	if (f->label != PROTOBUF_C_LABEL_REPEATED) {
		if (*seen & bit)
			return wrong(r, type, f, "is given twice");
		*seen |= bit;
	}
	return check(&inner, f->descriptor);
}

static int check(struct reader *r, const ProtobufCMessageDescriptor *type)
{
	uint64_t seen = 0, tag;

	if (r->depth > BINARY_MAX_DEPTH)
		return err_set(r->err, ERR_RESOURCE_EXHAUSTED,
			       "messages nested deeper than %d",
			       BINARY_MAX_DEPTH);
	while (r->p < r->end) {
		const ProtobufCFieldDescriptor *f;
		const uint8_t *from = NULL;
		int rc;

		if (++*r->fields > BINARY_MAX_FIELDS)
			return err_set(r->err, ERR_RESOURCE_EXHAUSTED,
				       "a message of more than %d fields",
				       BINARY_MAX_FIELDS);
		if (!varint(r, 5, &tag) || tag > UINT32_MAX || !(tag >> 3) ||
		    !value(r, tag & 7, &from))
			return err_set(r->err, ERR_INVALID_ARGUMENT,
				       "malformed %s", type->name);
		f = protobuf_c_message_descriptor_get_field(
			type, (unsigned)(tag >> 3));
		if (!f || !from)
			continue;
		if ((rc = check_content(r, type, f, from, &seen)))
			return rc;
	}
	return 0;
}

int binary_check(const ProtobufCMessageDescriptor *type, const void *p,
		 size_t len, struct err *err)
{
	const uint8_t *from = len ? p : (const uint8_t *)"";
	unsigned fields = 0;
	struct reader r = {from, from + len, 1, &fields, err};

	return check(&r, type);
}
