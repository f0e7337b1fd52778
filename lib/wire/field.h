/* field.h - what protobuf-c's descriptors do not say outright about a field
 * of a proto3 message. */
#ifndef WIRE_FIELD_H
#define WIRE_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

enum { FIELD_NAME = 128 }; /* room for a field's name */

/* The lowerCamelCase name that protoc derives; returns name. */
const char *field_json_name(const ProtobufCFieldDescriptor *f,
			    char name[FIELD_NAME]);

/* Was field f of this message declared as a map? Then its items are messages
 * with fields[0] the key and fields[1] the value. */
bool field_is_map(const ProtobufCMessageDescriptor *in,
		  const ProtobufCFieldDescriptor *f);

bool field_is_oneof(const ProtobufCFieldDescriptor *f);

/* Bytes of one value in the C struct; an item of an array, if repeated. */
size_t field_size(const ProtobufCFieldDescriptor *f);

/* Where its value is (the array's pointer, if repeated), and its count or
 * oneof case. */
void *field_at(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *msg);
size_t *field_count(const ProtobufCFieldDescriptor *f,
		    const ProtobufCMessage *msg);
uint32_t *field_case(const ProtobufCFieldDescriptor *f,
		     const ProtobufCMessage *msg);

#endif
