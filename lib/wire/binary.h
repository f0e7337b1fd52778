/* binary.h - checks a message's binary form before protobuf-c unpacks it, for
 * what that lets through. Pure. */
#ifndef WIRE_BINARY_H
#define WIRE_BINARY_H

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "base/err.h"

enum {
	BINARY_MAX_DEPTH = 64,       /* of messages in messages */
	BINARY_MAX_FIELDS = 1 << 20, /* in all; each costs memory of ours */
};

/* Strings are UTF-8 without NUL (protobuf-c would cut them there), and no
 * single message is given twice (it would merge them, each time copying all):
 * else INVALID_ARGUMENT naming the field. Past a bound RESOURCE_EXHAUSTED. */
int binary_check(const ProtobufCMessageDescriptor *type, const void *p,
		 size_t len, struct err *err) MUST_CHECK;

#endif
