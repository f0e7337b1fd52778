/* json.h - proto3 JSON (the protobuf JSON mapping) of any message, driven by
 * its descriptor.
 *
 * int64 as strings (numbers accepted), enums by name (numbers accepted),
 * bytes base64 (standard or url-safe accepted), lowerCamelCase out and either
 * spelling in, NaN and Infinity as strings, null means unset. Maps are the
 * messages named XxxEntry with fields key = 1 and value = 2. */
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

#include <stdbool.h>

#include <jansson.h>

#include "base/buf.h"
#include "wire/rpc.h"

enum {
	JSON_DEFAULTS = 1, /* print fields that have their default value too */
	JSON_SNAKE = 4,    /* print the schema's spelling of names */
	JSON_NUMBERS = 8,  /* print int64 as numbers, for people and jq */
	JSON_NULLS = 16,   /* print messages that are not there as null */
};
/* JSON_STRICT (2, jansson's own): parsing: an unknown field is an error. */

/* Append msg as one line of JSON, maps sorted by key. Fails only past out's
 * limit, and then leaves out as it was. */
int json_print(struct buf *out, const ProtobufCMessage *msg, int flags,
	       struct err *err) MUST_CHECK;

enum {
	JSON_MAX_BYTES = 4 << 20,
	JSON_MAX_DEPTH = 32,
	JSON_MAX_TOKENS = 65536, /* of the characters []{},: */
	JSON_MAX_NUMBER = 256,   /* characters */
};

/* A message from text; rpc_free() it. Past the limits RESOURCE_EXHAUSTED;
 * for text that is no JSON, duplicate keys and what does not fit the type
 * INVALID_ARGUMENT naming the field. An unknown field or enum name is ignored
 * unless JSON_STRICT. */
int json_parse(ProtobufCMessage **out, const ProtobufCMessageDescriptor *type,
	       const char *text, size_t len, int flags,
	       struct err *err) MUST_CHECK;

#endif
