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
	JSON_NUMBERS = 2,  /* int64 as numbers, for people and jq */
	JSON_SNAKE = 4,	   /* the schema's spelling of names */
	JSON_STRICT = 8,   /* parsing: an unknown field is an error */
};

/* Append msg as one line of JSON; fails only past out's limit. */
int json_print(struct buf *out, const ProtobufCMessage *msg, int flags,
	       struct err *err) MUST_CHECK;

/* A message from text; rpc_free() it. At most 4 MiB, depth 32, 65,536
 * structural characters, no duplicate keys; past that and for what does not
 * fit the type INVALID_ARGUMENT naming the field. */
int json_parse(ProtobufCMessage **out, const ProtobufCMessageDescriptor *type,
	       const char *text, size_t len, int flags, struct err *err)
	MUST_CHECK;

/* The same limits for text that is no message; json_decref() it. */
int json_read(json_t **out, const char *text, size_t len, struct err *err)
	MUST_CHECK;

#endif
