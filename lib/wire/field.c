#include "wire/field.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

/* Underscores go, and the letter after one becomes a capital. */
static const char *camel(const char *from, bool capital, char name[FIELD_NAME])
{
	size_t n = 0;

	for (; *from; from++) {
		if (*from == '_') {
			capital = true;
			continue;
		}
		assert(n + 1 < FIELD_NAME);
		name[n++] =
			capital ? (char)toupper((unsigned char)*from) : *from;
		capital = false;
	}
	name[n] = '\0';
	return name;
}

const char *field_json_name(const ProtobufCFieldDescriptor *f,
			    char name[FIELD_NAME])
{
	return camel(f->name, false, name);
}

/* protoc names the items of `map<…> my_field` of message M as M.MyFieldEntry.
 */
bool field_is_map(const ProtobufCMessageDescriptor *in,
		  const ProtobufCFieldDescriptor *f)
{
	const ProtobufCMessageDescriptor *item = f->descriptor;
	size_t outer = strlen(in->name), n;
	char name[FIELD_NAME];

	if (f->label != PROTOBUF_C_LABEL_REPEATED ||
	    f->type != PROTOBUF_C_TYPE_MESSAGE || item->n_fields != 2 ||
	    strcmp(item->fields[0].name, "key") ||
	    strcmp(item->fields[1].name, "value"))
		return false;
	n = strlen(camel(f->name, true, name));
	return !strncmp(item->name, in->name, outer) &&
	       item->name[outer] == '.' &&
	       !strncmp(item->name + outer + 1, name, n) &&
	       !strcmp(item->name + outer + 1 + n, "Entry");
}

bool field_is_oneof(const ProtobufCFieldDescriptor *f)
{
	return f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
}

size_t field_size(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

void *field_at(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *msg)
{
	return (char *)msg + f->offset;
}

size_t *field_count(const ProtobufCFieldDescriptor *f,
		    const ProtobufCMessage *msg)
{
	return (size_t *)((char *)msg + f->quantifier_offset);
}

uint32_t *field_case(const ProtobufCFieldDescriptor *f,
		     const ProtobufCMessage *msg)
{
	return (uint32_t *)((char *)msg + f->quantifier_offset);
}
