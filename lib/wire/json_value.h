/* json_value.h - one JSON value as one value of a field's type. */
#ifndef WIRE_JSON_VALUE_H
#define WIRE_JSON_VALUE_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "base/err.h"

/* Returned for an enum name that the schema does not have. */
enum { JSON_NO_SUCH_NAME = -1 };

/* Store v at `at`, for every type but messages; strings and bytes are
 * allocated. INVALID_ARGUMENT says which type v is not. */
int json_scalar(const ProtobufCFieldDescriptor *f, void *at, const json_t *v,
		struct err *err) MUST_CHECK;

/* The same for the key of a map, which JSON writes as a string. */
int json_key(const ProtobufCFieldDescriptor *f, void *at, const char *key,
	     struct err *err) MUST_CHECK;

#endif
