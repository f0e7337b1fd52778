#include "wire/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/field.h"
#include "wire/json_scan.h"
#include "wire/json_value.h"

struct parser {
	bool strict;
	struct err *err;
};

static int parse_message(struct parser *p, ProtobufCMessage *msg,
			 const json_t *v);

static ProtobufCMessage *new_message(const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *msg = mem_zero(1, type->sizeof_message);

	type->message_init(msg);
	return msg;
}

/* A single value, an item of an array or the value of a map. */
static int parse_value(struct parser *p, const ProtobufCFieldDescriptor *f,
		       void *at, const json_t *v)
{
	int rc;

	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		ProtobufCMessage *msg = new_message(f->descriptor);

		*(ProtobufCMessage **)at = msg;
		return parse_message(p, msg, v);
	}
	rc = json_scalar(f, at, v, p->err);
	return rc == JSON_NO_SUCH_NAME && p->strict ? ERR_INVALID_ARGUMENT : rc;
}

static int parse_array(struct parser *p, const ProtobufCFieldDescriptor *f,
		       ProtobufCMessage *msg, const json_t *v)
{
	size_t n = json_array_size(v), *count = field_count(f, msg);
	char *items;

	if (!json_is_array(v))
		return err_set(p->err, ERR_INVALID_ARGUMENT, "not an array");
	if (!n)
		return 0;
	items = mem_zero(n, field_size(f));
	*(void **)field_at(f, msg) = items;
	for (size_t i = 0; i < n; i++) {
		int rc = parse_value(p, f, items + *count * field_size(f),
				     json_array_get(v, i));

		if (rc == JSON_NO_SUCH_NAME)
			continue;
		++*count;
		if (rc)
			return err_wrap(p->err, "[%zu]", i);
	}
	return 0;
}

static int parse_entry(struct parser *p, ProtobufCMessage *entry,
		       const char *key, const json_t *v)
{
	const ProtobufCFieldDescriptor *f = entry->descriptor->fields;
	int rc = json_key(&f[0], field_at(&f[0], entry), key, p->err);

	return rc ? rc : parse_value(p, &f[1], field_at(&f[1], entry), v);
}

static int parse_map(struct parser *p, const ProtobufCFieldDescriptor *f,
		     ProtobufCMessage *msg, json_t *v)
{
	size_t n = json_object_size(v), *count = field_count(f, msg);
	ProtobufCMessage **entries;
	const char *key;
	json_t *item;

	if (!json_is_object(v))
		return err_set(p->err, ERR_INVALID_ARGUMENT, "not an object");
	if (!n)
		return 0;
	entries = mem_zero(n, sizeof(*entries));
	*(void **)field_at(f, msg) = entries;
	json_object_foreach(v, key, item)
	{
		ProtobufCMessage *entry = new_message(f->descriptor);
		int rc = parse_entry(p, entry, key, item);

		if (rc == JSON_NO_SUCH_NAME) {
			rpc_free(entry);
			continue;
		}
		entries[(*count)++] = entry;
		if (rc)
			return err_wrap(p->err, "[\"%.80s\"]", key);
	}
	return 0;
}

static int parse_single(struct parser *p, const ProtobufCFieldDescriptor *f,
			ProtobufCMessage *msg, const json_t *v)
{
	int rc;

	if (!field_is_oneof(f)) {
		rc = parse_value(p, f, field_at(f, msg), v);
		return rc == JSON_NO_SUCH_NAME ? 0 : rc;
	}
	if (*field_case(f, msg))
		return err_set(p->err, ERR_INVALID_ARGUMENT,
			       "another field of its oneof is given too");
	*field_case(f, msg) = f->id;
	rc = parse_value(p, f, field_at(f, msg), v);
	if (rc == JSON_NO_SUCH_NAME)
		*field_case(f, msg) = 0;
	return rc == JSON_NO_SUCH_NAME ? 0 : rc;
}

static int parse_field(struct parser *p, const ProtobufCFieldDescriptor *f,
		       ProtobufCMessage *msg, json_t *v)
{
	int rc;

	if (json_is_null(v))
		return 0;
	if (field_is_map(msg->descriptor, f))
		rc = parse_map(p, f, msg, v);
	else if (f->label == PROTOBUF_C_LABEL_REPEATED)
		rc = parse_array(p, f, msg, v);
	else
		rc = parse_single(p, f, msg, v);
	return rc ? err_wrap(p->err, "%s", f->name) : 0;
}

/* The field's value under either of its names, or NULL; both is an error. */
static int find(struct parser *p, const ProtobufCFieldDescriptor *f,
		const json_t *v, json_t **out)
{
	char room[FIELD_NAME];
	const char *camel = field_json_name(f, room);

	*out = json_object_get(v, f->name);
	if (!strcmp(camel, f->name))
		return 0;
	if (*out && json_object_get(v, camel))
		return err_set(p->err, ERR_INVALID_ARGUMENT,
			       "%s and %s are the same field", f->name, camel);
	if (!*out)
		*out = json_object_get(v, camel);
	return 0;
}

static bool is_field(const ProtobufCMessageDescriptor *type, const char *key)
{
	char room[FIELD_NAME];

	for (unsigned i = 0; i < type->n_fields; i++)
		if (!strcmp(type->fields[i].name, key) ||
		    !strcmp(field_json_name(&type->fields[i], room), key))
			return true;
	return false;
}

static int unknown_field(struct parser *p, const ProtobufCMessageDescriptor *d,
			 json_t *v)
{
	const char *key;
	json_t *item;

	json_object_foreach(v, key, item)
	{
		if (!is_field(d, key))
			return err_set(p->err, ERR_INVALID_ARGUMENT,
				       "%s has no field \"%.80s\"",
				       d->short_name, key);
	}
	return 0;
}

static int parse_message(struct parser *p, ProtobufCMessage *msg,
			 const json_t *v)
{
	const ProtobufCMessageDescriptor *d = msg->descriptor;
	size_t found = 0;
	json_t *item;
	int rc;

	if (!json_is_object(v))
		return err_set(p->err, ERR_INVALID_ARGUMENT, "not an object");
	for (unsigned i = 0; i < d->n_fields; i++) {
		if ((rc = find(p, &d->fields[i], v, &item)))
			return rc;
		if (item && (rc = parse_field(p, &d->fields[i], msg, item)))
			return rc;
		found += item != NULL;
	}
	if (p->strict && found < json_object_size(v))
		return unknown_field(p, d, (json_t *)v);
	return 0;
}

int json_parse(ProtobufCMessage **out, const ProtobufCMessageDescriptor *type,
	       const char *text, size_t len, int flags, struct err *err)
{
	struct err unread;
	struct parser p = {flags & JSON_STRICT, err ? err : &unread};
	struct buf exact = BUF_INIT(0);
	ProtobufCMessage *msg = NULL;
	json_t *v = NULL;
	int rc;

	rc = len ? json_scan(text, len, &exact, p.err)
		 : err_set(p.err, ERR_INVALID_ARGUMENT, "empty, not an object");
	if (!rc)
		rc = json_load(&v, exact.p ? exact.p : text,
			       exact.p ? exact.len : len, JSON_ALLOW_NUL,
			       p.err);
	if (!rc) {
		msg = new_message(type);
		rc = parse_message(&p, msg, v);
	}
	buf_release(&exact);
	json_decref(v);
	if (!rc) {
		*out = msg;
		return 0;
	}
	rpc_free(msg);
	return err_wrap(p.err, "%s", type->short_name);
}
